"""How the weights are loaded: the operator's choices, checked before anything is read. Free of torch until `load`."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from providers.flux_worker.words import SIDE_LEAST
from providers.flux_worker.worker.folders import Folder, recognise
from providers.flux_worker.worker.work import Model

if TYPE_CHECKING:
    from providers.flux_worker.worker.engine import StepEngine

log = logging.getLogger("imagegate.worker")

Number = Literal["bfloat16", "float16", "float32"]
Quantisation = Literal["none", "float8"]
MIB = 1 << 20

SMALLEST = ((SIDE_LEAST, SIDE_LEAST),)
"""Stepped and decoded where no sizes are named: what cannot work at all is found before anybody waits."""


class OptionError(Exception):
    """A choice that cannot be, here or with another; the message names it and what would be."""


@dataclass(frozen=True, slots=True)
class Options:
    """model: a diffusers folder, or an id of a hub. None = as fits the device."""

    model: str
    download: bool = False
    """Fetch what the hub's local cache lacks; else nothing is asked of a network."""
    device: str | None = None
    """`cuda`, `cuda:1`, `cpu`; None = a GPU where there is one. A process has one: CUDA_VISIBLE_DEVICES gives each of
    several its own."""
    dtype: Number | None = None
    """None = bfloat16 on a GPU, float32 on the CPU."""
    compile: bool = False
    """torch.compile of the repeated blocks: minutes for the first step of each size, so warm the sizes up."""
    sizes: tuple[tuple[int, int], ...] = ()
    """(width, height) stepped and decoded before the worker is ready."""
    attention: str | None = None
    """A backend of diffusers' attention dispatcher, such as `_native_cudnn`, `flash` or `_flash_3`."""
    quantisation: Quantisation = "none"
    """`float8`: the transformer's matrices by torchao, weights and activations."""
    offload: bool = False
    """Keep transformer and text encoders in the machine's memory and bring them to the GPU leaf by leaf."""
    batch_most: int = 4
    """Pictures that step together at most; fewer where memory does not suffice."""
    waiting_most: int = 16
    """Pictures in line beyond those under way, which are at most twice a batch."""
    threads: int | None = None
    """torch's threads on the CPU; None = torch's own choice."""
    fast_threshold: float = 0.12
    """For work of quality `fast`: how much the first block's change may differ from the step before for the rest to be
    taken from there. 0 never takes it."""
    embeddings_mib: int = field(default=256)
    """Encoded prompts kept, by their bytes."""

    def __post_init__(self) -> None:
        for name, least in (("batch_most", 1), ("waiting_most", 0), ("embeddings_mib", 0)):
            if getattr(self, name) < least:
                raise OptionError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"threads is {self.threads}; it must be at least 1")
        if not 0 <= self.fast_threshold <= 1:
            raise OptionError(f"fast_threshold is {self.fast_threshold}; it must be between 0 and 1")
        if self.dtype is not None and self.dtype not in get_args(Number):
            raise OptionError(f"dtype is {self.dtype!r}; it must be one of {', '.join(get_args(Number))}")
        if self.quantisation not in get_args(Quantisation):
            raise OptionError(f"quantisation is {self.quantisation!r}; it must be none or float8")
        for width, height in self.sizes:
            if min(width, height) < 128 or width % 16 or height % 16:
                said = "sides must be multiples of 16, at least 128"
                raise OptionError(f"sizes holds {width}x{height}; {said}")
        if self.offload and (self.compile or self.quantisation != "none"):
            raise OptionError("offload cannot be combined with compile or quantisation: choose one")


def load(options: Options) -> StepEngine:
    """Load the weights, warm them up, and start the engine. Minutes; any thread. Raises FolderError and OptionError."""
    folder = recognise(options.model, download=options.download)
    from providers.flux_worker.worker.admission import CudaMeter, NoMeter
    from providers.flux_worker.worker.engine import Limits, StepEngine
    from providers.flux_worker.worker.loading import load_weights, settle_thread

    family = load_weights(folder, options)
    cuda = family.device.type == "cuda"
    limits = Limits(options.batch_most, 2 * options.batch_most, options.waiting_most)
    meter = CudaMeter(str(family.device)) if cuda else NoMeter()
    engine = StepEngine(
        family, model_of(folder, options), limits, meter, partial(settle_thread, options, family.device)
    )
    try:
        engine.start(options.sizes or SMALLEST)
    except Exception as error:
        log.error("the first steps failed", exc_info=error)
        said = " ".join(str(error).split()) or type(error).__name__
        raise OptionError(f"{folder.path} was loaded, and cannot take a step with these options: {said}") from error
    return engine


def model_of(folder: Folder, options: Options) -> Model:
    """What is told of it on the wire."""
    kind = folder.kind
    return Model(
        id=folder.id,
        family=kind.family,
        modes=kind.modes,
        default_steps=kind.default_steps,
        default_guidance=kind.default_guidance,
        default_size=(1024, 1024),
        references_most=kind.references_most,
        guided=kind.guided,
        negative=kind.negative,
        sizes=options.sizes,
    )
