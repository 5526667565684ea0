"""What is asked of the engine, and what it tells: the seam between the wire and the weights. Free of torch.

A request for n pictures is n pieces of work, so that they share steps with others and each can be made again by its
own seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from PIL import Image

Mode = Literal["generate", "edit", "img2img", "inpaint", "fill"]
"""`edit`: input pictures are references; `img2img`: the first is where the noise begins; `inpaint`, `fill`: only what
the mask shows is made anew, by a model for all purposes or by one that is made for that."""

Quality = Literal["exact", "fast"]
"""`fast`: steps whose first block changes little take the rest from the step before."""


class Refused(Exception):
    """A request that this model cannot carry out. `param`: the field as the wire calls it."""

    def __init__(self, message: str, param: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class Busy(Exception):
    """So much waits already. `seconds`: when to come again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the queue is full; try again in {seconds:.0f} s")
        self.seconds = seconds


class OutOfMemory(Exception):
    """The device's memory did not suffice for this work; nothing else was lost with it."""


class BadPicture(Exception):
    """The model came to numbers that are none: nothing of it is a picture."""


class Cancelled(Exception):
    """Nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Work:
    """One picture to make. None = the model's own default; the engine fills those in."""

    prompt: str
    width: int
    height: int
    """Multiples of 16, at least 128."""
    steps: int
    seed: int
    guidance: float
    mode: Mode = "generate"
    negative_prompt: str | None = None
    secondary_prompt: str | None = None
    secondary_negative_prompt: str | None = None
    true_cfg_scale: float = 1.0
    strength: float = 0.6
    pictures: tuple[Image.Image, ...] = ()
    """RGB, as they came."""
    mask: Image.Image | None = None
    """L, white where it is made anew."""
    quality: Quality = "exact"
    previews: int = 0
    """Pictures in between that are wanted, spread over the steps."""


@dataclass(frozen=True, slots=True)
class Progress:
    """After a step. `preview`: what the picture would be, where one was wanted now."""

    step: int
    steps: int
    preview: Image.Image | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A finished picture, not encoded yet."""

    picture: Image.Image
    steps: int
    skipped: int
    """Steps of those that were taken from the step before (`quality: fast`)."""
    seconds: float
    """From the first step to the last; `waited` is what was before it."""
    waited: float


class Handle(Protocol):
    """Work under way. Thread-safe."""

    def cancel(self) -> None:
        """Nobody waits any more: it is dropped within one step."""
        ...


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told of a piece of work, from the engine's thread: quick functions that only hand over."""

    progress: Callable[[Progress], None]
    done: Callable[[Made | Exception], None]
    """Called exactly once: a picture, or Refused, OutOfMemory, BadPicture, Cancelled, or whatever went wrong."""


@dataclass(frozen=True, slots=True)
class Model:
    """What is loaded, as the wire tells it."""

    id: str
    """The name it is asked for by: the folder's or the hub's."""
    family: str
    modes: frozenset[Mode]
    default_steps: int
    default_guidance: float
    default_size: tuple[int, int]
    references_most: int
    guided: bool
    """Guidance means something; a distilled model ignores it."""
    negative: bool
    """A negative prompt means something."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Warmed up before it is ready."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The engine at a moment, for /metrics."""

    ready: bool
    waiting: int
    running: int
    made: int
    cancelled: int
    failed: int
    batch_most: int
    memory_bytes: int
    """Of the device at its highest; 0 where that cannot be told."""
    expected_seconds: float
    """What a piece of work takes of late."""
    broken: bool = False
    """The device failed for good: nothing works until the process starts anew."""


class Engine(Protocol):
    """Holds the weights, in a thread of its own."""

    @property
    def model(self) -> Model: ...

    def check(self, work: Work) -> None:
        """Raise Refused where this model cannot carry it out: an unknown mode, too many pictures, a prompt that is
        longer than the model reads. Any thread; does not wait for the device."""
        ...

    def submit(self, works: Sequence[tuple[Work, Listener]]) -> Sequence[Handle]:
        """Put work in line, all of it or none: raises Busy where it does not fit. Any thread."""
        ...

    def standing(self) -> Standing: ...

    def drain(self, seconds: float) -> None:
        """Take no new work, end what is there, wait for that at most so long, and stop the thread. Any thread."""
        ...
