"""`imagegate worker`: FLUX weights on this machine's GPU, served on Modular MAX's wire.

torch and diffusers live in an environment of their own, and are loaded by nothing but the engine: whatever is wrong
with the words of the command line is said before that.
"""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import os
import re
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from gateway.cli.failure import CommandFailed
from normalization.errors import ConfigurationError

if TYPE_CHECKING:
    from providers.flux_worker.worker.desk import Desk, Serving
    from providers.flux_worker.worker.options import Options
    from providers.flux_worker.worker.work import Engine

EXTRA = ("torch", "diffusers", "transformers")
PORT = 8001
GPUS_MOST = 64
DEVICE_FAILED = 3
"""Exit code; no word of its own for several GPUs' supervisor, which starts the process anew."""
DRIVER = "/dev/nvidiactl"
"""There where a GPU's driver is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="M", required=True, help="a diffusers folder, or a hub's id that lies in its local cache"
    )
    parser.add_argument("--download", action="store_true", help="fetch what the hub's local cache lacks")
    parser.add_argument("--name", metavar="N", help="what the model is called on the wire (as its folder, or its id)")
    _add_listening(parser.add_argument_group("listening"))
    _add_engine(parser.add_argument_group("the engine"))
    _add_bounds(parser.add_argument_group("bounds"))


def _add_listening(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", metavar="H", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    group.add_argument(
        "--port", metavar="P", type=_whole(0, 65535), default=PORT, help=f"port, 0 for any free one ({PORT})"
    )
    group.add_argument("--api-key-env", metavar="VAR", help="the environment variable with the key clients present")
    group.add_argument("--open", action="store_true", help="listen beyond this machine without a key")
    group.add_argument(
        "--gpus", metavar="N", type=_whole(1, GPUS_MOST), default=1,
        help="GPUs to use: one process each, on ports from --port on (1)",
    )  # fmt: skip
    group.add_argument(
        "--drain-seconds", metavar="S", type=_seconds, default=120.0, help="for work under way, at the end (120)"
    )
    group.add_argument(
        "--drain-unready-seconds", metavar="S", type=_seconds, default=0.0,
        help="between SIGTERM and the end of listening, while /ready says no (0)",
    )  # fmt: skip


def _add_engine(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--device", metavar="D", help="cuda, cuda:1 or cpu (a GPU where there is one)")
    group.add_argument(
        "--dtype", choices=("bfloat16", "float16", "float32"), help="(bfloat16 on a GPU, float32 on the CPU)"
    )
    group.add_argument("--compile", action="store_true", help="compile the transformer's blocks")
    group.add_argument(
        "--sizes", metavar="WxH,...", type=_sizes, default=(), help="sizes to warm up before it is ready"
    )
    group.add_argument("--attention", metavar="A", help="diffusers' attention backend (its own choice)")
    group.add_argument(
        "--quantize", choices=("none", "float8"), default="none", help="the transformer's matrices in fewer bits (none)"
    )
    group.add_argument("--offload", action="store_true", help="keep weights in main memory while they are not needed")
    group.add_argument("--batch", metavar="N", type=_whole(1, 64), default=4, help="pictures that share a step (4)")
    group.add_argument("--queue", metavar="N", type=_whole(0, 10_000), default=16, help="pictures that may wait (16)")
    group.add_argument(
        "--fast-threshold", metavar="F", type=_share, default=0.12,
        help="for requests of quality `fast`: what share a first block's change may differ by for a step to be "
        "taken from the one before, 0 for never (0.12)",
    )  # fmt: skip
    group.add_argument(
        "--embeddings", metavar="MIB", type=_whole(0, 1 << 20), default=256, help="of encoded prompts to keep (256)"
    )
    group.add_argument("--threads", metavar="N", type=_whole(1, 1024), help="of torch, on a CPU (its own choice)")


def _add_bounds(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--pixels", metavar="N", type=_whole(128 * 128, 10**9), default=17_000_000, help="of a picture")
    group.add_argument("--steps", metavar="N", type=_whole(1, 10_000), default=1000, help="of a picture (1000)")
    group.add_argument("--images", metavar="N", type=_whole(1, 1000), default=10, help="of a request (10)")
    group.add_argument("--validation-status", type=int, choices=(400, 422), default=422, help="for what is invalid")


def run(args: argparse.Namespace) -> int:
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"imagegate worker needs {', '.join(missing)}, which this environment lacks: `make worker` makes one that "
            "has them, and .venv-worker/bin/imagegate worker runs there"
        )
    if not args.download:  # of kernels for attention too, which diffusers fetches by itself
        os.environ["HF_HUB_OFFLINE"] = "1"
    for say_what_is_wrong in (_serving, _options, _weights):  # once, not in each process, and before it listens
        say_what_is_wrong(args)
    if args.gpus == 1:
        return _one(args, 0)
    from providers.flux_worker.worker.fleet import Fleet, devices

    try:
        shown = devices(args.gpus, os.environ)
    except ValueError as wrong:
        raise ConfigurationError(f"--gpus: {wrong}") from None
    return Fleet(partial(_reported, args), shown).supervise()


def _reported(args: argparse.Namespace, index: int) -> int:
    from gateway.cli import reported

    return reported(lambda: _one(args, index))


def _one(args: argparse.Namespace, index: int) -> int:
    """One process, number `index` of its kind."""
    from gateway.cli.serve import address_of, listener_on
    from gateway.config.logs import Logs
    from gateway.telemetry.logs import logging_to
    from providers.flux_worker.worker.program import DeviceFailed, Ending, serve

    # Until uvicorn takes over, and when it hands the signal back after a graceful end, SIGTERM is an ordinary exit.
    signal.signal(signal.SIGTERM, _stopped)
    ending = Ending(args.drain_unready_seconds, args.drain_seconds)
    with (
        logging_to(sys.stderr, Logs()),
        listener_on(args.host, args.port + index if args.port else 0) as listener,
    ):
        address = address_of(args.host, listener.getsockname()[1])
        print(f"imagegate worker on {address}: the model is being loaded", flush=True)
        try:
            serve(listener, _serving(args), _loading(args), ending, partial(_greet, address))
        except KeyboardInterrupt:
            return 0  # uvicorn hands Ctrl-C on when everything has ended
        except DeviceFailed as failed:
            print(f"imagegate worker: {failed}", file=sys.stderr)
            return DEVICE_FAILED
    return 0


def _greet(address: str, desk: Desk) -> None:
    engine = desk.engine
    if engine is not None:
        name = desk.serving.name or engine.model.id
        print(f"imagegate worker on {address}: ready with {name}", flush=True)


def _serving(args: argparse.Namespace) -> Serving:
    """Raises ConfigurationError for words that do not go together."""
    from providers.flux_worker.worker.desk import Serving
    from providers.flux_worker.worker.reading import Bounds

    key = None
    if args.api_key_env is not None:
        key = os.environ.get(args.api_key_env, "").strip()
        if not key:
            raise ConfigurationError(f"--api-key-env: the environment has no {args.api_key_env}, or an empty one")
    if key is None and not args.open and not _of_this_machine(args.host):
        raise ConfigurationError(
            f"--host: {args.host} is reached from other machines; accepted: with --api-key-env, or with --open where "
            "the network itself is closed"
        )
    bounds = Bounds(pixels=args.pixels, steps=args.steps, images=args.images, validation_status=args.validation_status)
    return Serving(name=args.name, key=key, bounds=bounds)


def _weights(args: argparse.Namespace) -> None:
    """Raises ConfigurationError where there are none to load; what is to be fetched is not known yet."""
    from providers.flux_worker.worker.folders import FolderError, may_be_fetched, recognise

    if args.download and may_be_fetched(args.model):
        return
    try:
        recognise(args.model)
    except FolderError as wrong:
        raise ConfigurationError(f"imagegate worker: --model: {wrong}") from None


def _loading(args: argparse.Namespace) -> Callable[[], Engine]:
    from providers.flux_worker.worker.options import load

    options = _options(args)

    def loaded() -> Engine:
        from providers.flux_worker.worker.folders import FolderError
        from providers.flux_worker.worker.options import OptionError

        try:
            return load(options)
        except (FolderError, OptionError) as wrong:
            raise CommandFailed(str(wrong)) from wrong

    return loaded


def _options(args: argparse.Namespace) -> Options:
    """Raises ConfigurationError for choices that do not go together."""
    from providers.flux_worker.worker.options import OptionError, Options

    try:
        return Options(
            model=args.model,
            download=args.download,
            # One process each of several GPUs: where one of them is not there, its process must not fall to the CPU.
            device=args.device or ("cuda" if args.gpus > 1 and os.path.exists(DRIVER) else None),
            dtype=args.dtype,
            compile=args.compile,
            sizes=args.sizes,
            attention=args.attention,
            quantisation=args.quantize,
            offload=args.offload,
            batch_most=args.batch,
            waiting_most=args.queue,
            threads=args.threads,
            fast_threshold=args.fast_threshold,
            embeddings_mib=args.embeddings,
        )
    except OptionError as wrong:
        raise ConfigurationError(f"imagegate worker: {wrong}") from None


def _of_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r}; accepted: {least} to {most}")
        return int(text)

    return read


def _share(text: str) -> float:
    if not re.fullmatch(r"0?\.\d+|[01](\.0*)?", text):
        raise argparse.ArgumentTypeError(f"{text!r}; accepted: 0 to 1")
    return float(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,6}(\.\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return float(text)


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    """Sizes of whole cells, separated by commas."""
    found = []
    for part in text.split(","):
        width, _, height = part.strip().partition("x")
        sides = [int(side) for side in (width, height) if side.isascii() and side.isdigit()]
        if len(sides) < 2 or any(side < 128 or side % 16 for side in sides):
            raise argparse.ArgumentTypeError(f"{part!r}; accepted: WxH, both multiples of 16 and at least 128")
        found.append((sides[0], sides[1]))
    return tuple(found)


def _stopped(*_: Any) -> NoReturn:
    sys.exit(0)
