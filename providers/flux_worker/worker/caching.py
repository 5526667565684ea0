"""The transformer's pass over a batch, and the first-block cache: where a step's first block changes about what it
changed before, the rest is taken from the step before. Each row decides by itself, and the others go on without it.

The idea and its threshold are ParaAttention's first block cache, which diffusers has for FLUX.1 alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from providers.flux_worker.worker.families.runs import Row, Run, Tensor


@dataclass(frozen=True, slots=True)
class Inputs:
    """A batch of B rows for one step. All on the device."""

    image: Tensor
    """(B, S + R, C): the tokens that become the picture, then those of references."""
    text: Tensor
    """(B, L, D)"""
    pooled: Tensor | None
    """(B, P)"""
    times: Tensor
    """(B,): 1000 is all noise."""
    guidance: Tensor | None
    """(B,): times 1000."""
    rope: Any
    rows: tuple[Row, ...]
    target: int
    """S: of the image's tokens, those that become the picture."""


@dataclass(frozen=True, slots=True)
class Streams:
    """A batch between two blocks."""

    image: Tensor
    text: Tensor
    modulations: tuple[Tensor, ...]
    """Each (B, ...): what time and guidance do to every block."""
    rope: Any
    rows: tuple[Row, ...]
    target: int

    def pick(self, places: Sequence[int]) -> Streams:
        """Those rows alone."""
        chosen = torch.tensor(places, device=self.image.device)
        return replace(
            self,
            image=self.image[chosen],
            text=self.text[chosen],
            modulations=tuple(each[chosen] for each in self.modulations),
            rows=tuple(self.rows[place] for place in places),
        )


class Blocks(Protocol):
    """A transformer in pieces."""

    def enter(self, inputs: Inputs) -> Streams:
        """Embed."""
        ...

    def first(self, streams: Streams) -> Streams:
        """The first block."""
        ...

    def rest(self, streams: Streams) -> Tensor:
        """All other blocks: (B, T, C), the tokens that become the picture."""
        ...

    def leave(self, hidden: Tensor, streams: Streams) -> Tensor:
        """(B, T, C) to the velocity, (B, T, channels)."""
        ...


class FirstBlocks:
    """Takes batches through a transformer. threshold: how far the first block's change may be from the one before, as
    a share of it, for the rest to be taken from there; 0 never takes it."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def velocity(self, blocks: Blocks, inputs: Inputs, runs: Sequence[Run]) -> Tensor:
        """(B, T, channels): of every row, in order. Counts what a run skipped."""
        entered = blocks.enter(inputs)
        streams = blocks.first(entered)
        if not any(run.fast for run in runs):
            return blocks.leave(blocks.rest(streams), streams)
        fast = [run.fast for run in runs for _ in run.rows]
        hidden = streams.image[:, : inputs.target]
        change = hidden - entered.image[:, : inputs.target]
        skips = self._skips(change, inputs.rows, runs)
        places = [place for place, skip in enumerate(skips) if not skip]
        out = hidden.clone()
        if places:
            whole = len(places) == len(skips)
            computed = blocks.rest(streams if whole else streams.pick(places))
            for each, place in enumerate(places):
                row = inputs.rows[place]
                if fast[place]:
                    row.first, row.rest = change[place].clone(), computed[each] - hidden[place]
                out[place] = computed[each]
        for place, skip in enumerate(skips):
            if skip:
                out[place] = hidden[place] + inputs.rows[place].rest
        return blocks.leave(out, streams)

    def _skips(self, change: Tensor, rows: Sequence[Row], runs: Sequence[Run]) -> list[bool]:
        """For each row. Rows of one run go together: half a guidance would be none."""
        differences = torch.full((len(rows),), float("inf"), device=change.device)
        for place, row in enumerate(rows):
            if row.first is not None and row.first.shape == change[place].shape:
                differences[place] = (change[place] - row.first).abs().mean() / row.first.abs().mean()
        near = (differences < self.threshold).tolist()
        skips: list[bool] = []
        for run in runs:
            last = run.index == run.steps - 1  # the last step is the one that is looked at
            skip = run.fast and not last and all(near[len(skips) : len(skips) + len(run.rows)])
            run.skipped += skip
            skips += [skip] * len(run.rows)
        return skips
