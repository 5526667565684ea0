"""One picture under way, as tensors. Everything that belongs to it hangs here, so that nothing outlives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from providers.flux_worker.worker.work import Work

Tensor = Any
"""torch.Tensor; torch is untyped where this is checked."""


@dataclass(frozen=True, slots=True)
class Text:
    """What the text encoders made of a prompt. tokens: (1, L, D); pooled: (1, P), of FLUX.1 alone."""

    tokens: Tensor
    pooled: Tensor | None = None

    @property
    def bytes(self) -> int:
        return sum(each.nbytes for each in (self.tokens, self.pooled) if each is not None)


@dataclass(slots=True)
class Row:
    """One pass through the transformer in each step: a run has one, and one more for what it shall not show."""

    text: Text
    first: Tensor | None = None
    """What the first block changed in the last step that was computed whole, (T, C): see caching.py."""
    rest: Tensor | None = None
    """What the other blocks changed in it, (T, C)."""
    keys: Any = None
    """Keys and values of the references, of each block, once they were computed (FLUX.2 klein KV)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Of an inpainting: what stays. All (1, S, C), or broadcast to it."""

    mask: Tensor
    picture: Tensor
    noise: Tensor

    def blend(self, latents: Tensor, sigma: Tensor) -> Tensor:
        """The kept parts as noisy as `sigma`, the others from `latents`."""
        stays = sigma * self.noise + (1.0 - sigma) * self.picture
        return (1 - self.mask) * stays + self.mask * latents


@dataclass(slots=True)
class Run:
    """The state of one piece of work on the device."""

    work: Work
    latents: Tensor
    """(1, S, C), packed: a token is 16 x 16 pixels."""
    sigmas: Tensor
    """(steps + 1,), float32, on the CPU; the last is where the picture is clean."""
    rows: tuple[Row, ...]
    grid: tuple[int, int]
    """Tokens down and across."""
    scale: float = 1.0
    """How far a second row pushes away; 1 = there is none."""
    references: Tensor | None = None
    """(1, R, C): tokens that are read, and not changed."""
    reference_grids: tuple[tuple[int, int], ...] = ()
    channels: Tensor | None = None
    """(1, S, X): more channels of each token (Fill: the masked picture and the mask)."""
    kept: Kept | None = None
    clean: Tensor | None = None
    """(1, S, C): what the latents would be at the end, by the last step."""
    index: int = 0
    skipped: int = 0
    fast: bool = field(default=False)

    @property
    def steps(self) -> int:
        return len(self.sigmas) - 1

    @property
    def ended(self) -> bool:
        return self.index >= self.steps
