"""`imagegate serve`: the gateway on a socket, until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.cli import early_signals
from gateway.cli.configuration import add_config, print_warnings, settings_of
from gateway.cli.failure import CommandFailed
from gateway.cli.open_files import allow
from gateway.config.model import Settings
from gateway.config.references import exposure
from gateway.config.reloading import waiting
from gateway.telemetry.logs import logging_to
from normalization.errors import ConfigurationError

log = logging.getLogger("imagegate")

WORKERS_MOST = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--host", metavar="H", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", metavar="P", type=_port, help="port to listen on, 0 for any free one (8000)")
    parser.add_argument("--data-dir", metavar="D", type=Path, help="where state and pictures are kept (imagegate-data)")
    parser.add_argument("--workers", metavar="N", type=_workers, default=1, help="processes that serve together (1)")


def run(args: argparse.Namespace) -> int:
    settings = _overridden(settings_of(args), args)
    print_warnings(settings)
    with logging_to(sys.stderr, settings.logs):
        if args.workers > 1:
            return _serve_together(settings, args)
        allow()
        with listener_on(settings.server.host, settings.server.port) as listener:
            return _serve(settings, listener, lambda: _read_anew(settings, args))


def _serve(settings: Settings, listener: socket.socket, read: Callable[[], Settings]) -> int:
    from gateway.app import create_app
    from gateway.cli.listening import Hooks, Watched, server
    from gateway.services import heap

    app = create_app(settings)
    services = app.state.services

    def reload() -> None:
        try:
            services.reload(read())
        except ConfigurationError as error:
            _reloaded(error.message)
        else:
            _reloaded(None)

    watched = Watched(app)
    address = address_of(settings.server.host, listener.getsockname()[1])

    def ready() -> None:
        heap.settle()
        _greet(settings, address)

    hooks = Hooks(ready=ready, reload=reload)
    serving = server(watched, settings, services.jobs, hooks)
    try:
        serving.run(sockets=[listener])
    except KeyboardInterrupt:
        return 0  # uvicorn hands Ctrl-C on when everything has ended
    except SystemExit:
        if watched.failure is not None:
            raise watched.failure from None
        raise
    return 0


def _serve_together(settings: Settings, args: argparse.Namespace) -> int:
    from gateway.workers.shares import overdrawn, refuse_what_cannot_be_shared
    from gateway.workers.supervisor import Hooks, supervise

    workers: int = args.workers
    refuse_what_cannot_be_shared(settings, workers)
    warning = overdrawn(settings, workers)
    if warning is not None:
        print(f"warning: {warning}", file=sys.stderr)
    with listener_on(settings.server.host, settings.server.port) as listener:
        address = address_of(settings.server.host, listener.getsockname()[1])
        hooks = Hooks(
            ready=lambda: _greet(settings, address),
            read=lambda: _read_anew(settings, args),
            reloaded=_reloaded,
        )
        return supervise(settings, listener, workers, hooks)


def _read_anew(settings: Settings, args: argparse.Namespace) -> Settings:
    """The configuration as it is now; what of it differs from `settings` and is not taken over is logged. Raises
    ConfigurationError, also where only its own `server.host`, for which it would take a restart, goes with its keys."""
    read = _overridden(settings_of(args), args)
    _refuse_exposure("the address in use, until a restart,", settings.server.host, read)
    waits = waiting(settings, read)
    if waits:
        log.warning("changed, and in force only after a restart: %s", ", ".join(waits))
    return read


def _reloaded(trouble: str | None) -> None:
    if trouble is None:
        log.info("reloaded: providers, models, keys and normalization")
    else:
        log.error("not reloaded, the running configuration stays:\n%s", trouble)


def _overridden(settings: Settings, args: argparse.Namespace) -> Settings:
    given = {"host": args.host, "port": args.port, "data_dir": args.data_dir}
    said = {name: value for name, value in given.items() if value is not None}
    if args.host is not None:
        _refuse_exposure("--host:", args.host, settings)
    return settings.model_copy(update={"server": settings.server.model_copy(update=said)})


def _refuse_exposure(what: str, host: str, settings: Settings) -> None:
    """Raises ConfigurationError where what listens on `host` would be open to others by the settings' keys."""
    problem = exposure(host, {"mode": settings.auth.mode_written, "keys": settings.auth.keys})
    if problem is not None:
        raise ConfigurationError(f"{what} {host} {problem[0]}; accepted: {problem[1]}")


def listener_on(host: str, port: int) -> socket.socket:
    """A socket bound but not yet listening: who connects before the gateway is ready is refused, not kept waiting."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CommandFailed(f"cannot listen on {host}: {error.strerror}") from None
    try:
        if sys.platform != "win32":  # there the option would let two processes share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise CommandFailed(
            f"cannot listen on {host} port {port}: {error.strerror}; --port names another, 0 any free one"
        ) from None
    return listener


def _greet(settings: Settings, address: str) -> None:
    print(_greeting(settings, address), flush=True)
    early_signals.repeat()


def _greeting(settings: Settings, address: str) -> str:
    """One line: where, what, and how people and clients get there."""
    names = list(settings.models)
    models = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    key = "any api_key" if settings.auth.mode == "none" else "a key of auth.keys"
    client = f'point a client at base_url="{address}/v1" with {key}'
    return f"imagegate on {address} with {models}; open it in a browser, or {client}"


def address_of(host: str, port: int) -> str:
    """The address to show for what listens on `host`."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host)  # noqa: S104 - what to show for it, not what to bind
    return f"http://{shown or (f'[{host}]' if ':' in host else host)}:{port}"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; accepted: 0 to 65535")
    return int(text)


def _workers(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= WORKERS_MOST):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; accepted: 1 to {WORKERS_MOST}")
    if int(text) > 1 and sys.platform == "win32":
        raise argparse.ArgumentTypeError(f"{text}: several processes cannot share a socket on Windows; accepted: 1")
    return int(text)
