"""FLUX.2 klein KV: references are read in the first step alone; later steps take their keys and values from there."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch

from providers.flux_worker.worker.caching import Streams
from providers.flux_worker.worker.families.flux2 import Flux2, Flux2Blocks
from providers.flux_worker.worker.families.runs import Row, Run, Tensor

Keys = dict[tuple[str, int], tuple[Tensor, Tensor]]
"""By block: (1, R, heads, width) each."""


class Gathered:
    """Keys and values of a batch's rows for one block, put together when the block asks, and then let go."""

    def __init__(self, rows: Sequence[Row], block: tuple[str, int]) -> None:
        self.rows = rows
        self.block = block

    def get(self) -> tuple[Tensor, Tensor]:
        pairs: list[tuple[Tensor, Tensor]] = [row.keys[self.block] for row in self.rows]
        if len(pairs) == 1:
            return pairs[0]
        return torch.cat([key for key, _ in pairs]), torch.cat([value for _, value in pairs])


class KvBlocks(Flux2Blocks):
    """Attention reads the references' keys and values where there are any."""

    def keys(self, kind: str, place: int, streams: Streams) -> dict[str, Any] | None:
        if streams.rows[0].keys is None:
            return None
        given: dict[str, Any] = {
            "kv_cache": Gathered(streams.rows, (kind, place)),
            "kv_cache_mode": "cached",
            "num_ref_tokens": streams.rows[0].keys["double", 0][0].shape[1],
        }
        return given if kind == "double" else {**given, "num_txt_tokens": streams.text.shape[1]}


class Flux2Kv(Flux2):
    """Flux2KleinKVPipeline."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.blocks = KvBlocks(self.pipe.transformer)

    def key(self, run: Run) -> Hashable:
        keys = run.rows[0].keys
        return super().key(run), 0 if keys is None else keys["double", 0][0].shape[1]

    def _velocity(self, runs: Sequence[Run]) -> Tensor:
        if runs[0].references is None:
            return super()._velocity(runs)
        return self._extracted(runs)

    def _extracted(self, runs: Sequence[Run]) -> Tensor:
        """The first step: the references come first among the tokens, and see themselves alone."""
        pairs = [(run, row) for run in runs for row in run.rows]
        references = sum(down * across for down, across in runs[0].reference_grids)
        image = torch.cat([torch.cat([run.references, run.latents], dim=1) for run, _ in pairs])
        velocity, cache = self.pipe.transformer(
            hidden_states=image.to(self.dtype),
            timestep=self._times(pairs) / 1000,
            guidance=None,
            encoder_hidden_states=torch.cat([row.text.tokens for _, row in pairs]),
            txt_ids=self.pipe._prepare_text_ids(pairs[0][1].text.tokens).to(self.device),
            img_ids=self._extracted_places(runs[0]),
            return_dict=False,
            kv_cache_mode="extract",
            num_ref_tokens=references,
        )
        blocks = {("double", place): each.get() for place, each in enumerate(cache.double_block_caches)}
        blocks |= {("single", place): each.get() for place, each in enumerate(cache.single_block_caches)}
        for place, (run, row) in enumerate(pairs):
            # clones: a view would keep every other run's keys for as long as this run lives
            row.keys = {
                block: (key[place : place + 1].clone(), value[place : place + 1].clone())
                for block, (key, value) in blocks.items()
            }
            run.references, run.reference_grids = None, ()
        return velocity

    def _extracted_places(self, run: Run) -> Tensor:
        down, across = run.grid
        own = self.pipe._prepare_latent_ids(torch.empty(1, 1, down, across))
        others = self.pipe._prepare_image_ids([torch.empty(1, 1, h, w) for h, w in run.reference_grids])
        return torch.cat([others, own], dim=1).to(self.device)
