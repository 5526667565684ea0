"""From the artifacts of one submission to its finished pictures, each on its own: one that fails takes no other with
it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from gateway.finishing import Expired, Finisher
from gateway.outcome import Delivered, Timing
from gateway.services.failpoints import reach
from gateway.services.weights import Weight
from normalization.errors import BadUpstreamImage, ImagegateError
from normalization.plan import Call, Finish
from providers.base import Artifact
from providers.transport import Target

RENEWALS = 2
"""Times that a provider is asked anew where its picture lies."""
RENEWAL_FIRST_SECONDS = 0.5
RENEWAL_FACTOR = 4
"""The pauses before: what is not there yet may only be late."""

Again = Callable[[], Awaitable[Sequence[Artifact]]]
"""The artifacts as the provider names them now; none where it does not."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Fetches from `target` what is only named, and finishes it, until `deadline` (monotonic). `again`: where the
    provider can be asked anew for its artifacts."""

    finisher: Finisher
    timing: Timing
    target: Target
    finish: Finish
    deadline: float
    again: Again | None = None

    async def pictures(
        self, artifacts: Sequence[Artifact], call: Call, weight: Weight | None = None
    ) -> tuple[dict[int, Delivered], ImagegateError | None]:
        """The pictures by place, and the first error. `weight` counts the artifacts. Bugs of ours are raised."""
        weights: Sequence[Weight | None] = [None] * len(artifacts)
        if weight is not None:
            weights = weight.split([len(artifact.data or b"") for artifact in artifacts])
        finished = await asyncio.gather(
            *(
                self._one(artifact, index, call.seeds[index], weight)
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

    async def _one(self, artifact: Artifact, index: int, planned_seed: int | None, weight: Weight | None) -> Delivered:
        data = artifact.data
        if data is None:
            if artifact.url is None:
                raise BadUpstreamImage("the provider answered without a picture")
            began = time.monotonic()
            data, weight = await self._fetched(artifact.url, index)
            reach("after_fetch")
            self.timing.fetch += time.monotonic() - began
        began = time.monotonic()
        delivered = await self.finisher.finish(data, self.finish, self.deadline, weight)
        self.timing.convert += time.monotonic() - began
        seed = artifact.seed if artifact.seed is not None else planned_seed
        return replace(delivered, seed=seed, revised_prompt=artifact.revised_prompt, repair=artifact.repair)

    async def _fetched(self, url: str, index: int) -> tuple[bytes, Weight]:
        """What lies at the address of artifact number `index`, or at another one that the provider gives for it."""
        again = self.again
        if again is None:
            return await self.finisher.fetch(url, self.target, self.deadline)
        for renewal in range(RENEWALS + 1):
            try:
                return await self.finisher.fetch(url, self.target, self.deadline, renewable=True)
            except Expired:
                if renewal == RENEWALS:
                    raise
            await asyncio.sleep(RENEWAL_FIRST_SECONDS * RENEWAL_FACTOR**renewal)
            found = await again()
            url = (found[index].url if index < len(found) else None) or url
        raise AssertionError("unreachable: the last look returns or raises")
