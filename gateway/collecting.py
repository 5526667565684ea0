"""From the artifacts of one submission to its finished pictures, each on its own: one that fails takes no other with
it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.finishing import Finisher
from gateway.outcome import Delivered, Timing
from gateway.services.failpoints import reach
from gateway.services.weights import Weight
from normalization.errors import BadUpstreamImage, ImagegateError
from normalization.plan import Call, Finish
from providers.base import Artifact
from providers.transport import Target


@dataclass(frozen=True, slots=True)
class Collector:
    """Fetches from `target` what is only named, and finishes it, until `deadline` (monotonic)."""

    finisher: Finisher
    timing: Timing
    target: Target
    finish: Finish
    deadline: float

    async def pictures(
        self, artifacts: Sequence[Artifact], call: Call, weight: Weight | None = None
    ) -> tuple[dict[int, Delivered], ImagegateError | None]:
        """The pictures by place, and the first error. `weight` counts the artifacts. Bugs of ours are raised."""
        weights: Sequence[Weight | None] = [None] * len(artifacts)
        if weight is not None:
            weights = weight.split([len(artifact.data or b"") for artifact in artifacts])
        finished = await asyncio.gather(
            *(
                self._one(artifact, call.seeds[index], weight)
                for index, (artifact, weight) in enumerate(zip(artifacts, weights, strict=True))
            ),
            return_exceptions=True,
        )
        pictures: dict[int, Delivered] = {}
        error: ImagegateError | None = None
        for place, each in zip(call.places, finished, strict=False):
            if isinstance(each, Delivered):
                pictures[place] = each
            elif isinstance(each, ImagegateError):
                error = error or each
            elif isinstance(each, BaseException):
                raise each
        return pictures, error

    async def _one(self, artifact: Artifact, planned_seed: int | None, weight: Weight | None) -> Delivered:
        data = artifact.data
        if data is None:
            if artifact.url is None:
                raise BadUpstreamImage("the provider answered without a picture")
            began = time.monotonic()
            data, weight = await self.finisher.fetch(artifact.url, self.target, self.deadline)
            reach("after_fetch")
            self.timing.fetch += time.monotonic() - began
        began = time.monotonic()
        delivered = await self.finisher.finish(data, self.finish, self.deadline, weight)
        self.timing.convert += time.monotonic() - began
        seed = artifact.seed if artifact.seed is not None else planned_seed
        return replace(delivered, seed=seed, revised_prompt=artifact.revised_prompt, repair=artifact.repair)
