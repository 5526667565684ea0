"""The events of a streamed images request: one `completed` for each picture, in order, the last with the metadata.

A partial picture is sent only where a provider shows its progress; fewer than were asked for is legal. Shapes:
https://platform.openai.com/docs/api-reference/images-streaming.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Literal

from gateway.api.answer import NO_USAGE, described
from gateway.api.carrying import linked
from gateway.api.sse import Pieces, event
from gateway.container import Services
from gateway.outcome import Delivered, Ended, Order, Outcome
from normalization.errors import ImagegateError, InternalError, OperatorError
from normalization.vocabulary import Applied

log = logging.getLogger("imagegate.images")

Kind = Literal["image_generation", "image_edit"]


@dataclass(frozen=True, slots=True)
class ImageStream:
    """What a stream of the images API tells. `url`: its pictures are hosted too, and `base` is where they are
    reached."""

    services: Services
    kind: Kind
    base: str
    strict: bool
    delivery: tuple[Applied, ...]
    url: bool

    async def script(self, order: Order, job: Ended) -> AsyncGenerator[Pieces, None]:
        sent = 0
        try:
            async for outcome in watched(order, job, self.services.settings.server.deadline_seconds):
                if outcome is None:
                    # The last one carries what is known at the end, so the newest always waits.
                    while not self.strict and {sent, sent + 1} <= order.progress.made.keys():
                        yield await self._completed(order, order.progress.made[sent], sent)
                        sent += 1
                    continue
                left = [(place, picture) for place, picture in outcome.placed if place >= sent]
                for place, picture in left:
                    end = outcome if place == left[-1][0] else None
                    yield await self._completed(order, picture, place, end)
        except ImagegateError as error:
            yield event("error", error.body())
        except Exception as unexpected:  # the stream has begun: all that is left is to say so in it
            log.exception("unexpected error in a stream", exc_info=unexpected)
            yield event("error", InternalError("an unexpected error in the gateway").body())

    async def _completed(self, order: Order, picture: Delivered, place: int, end: Outcome | None = None) -> Pieces:
        asked = order.request
        tail: dict[str, Any] = {"usage": NO_USAGE} if end is None else described(order, end, self.delivery)
        data = {
            "created_at": int(time.time()),
            "quality": asked.quality or "auto",
            "background": asked.background or "auto",
            **tail,
            "size": str(picture.size),
            "output_format": picture.format.value,
            "image_index": place,
        }
        if picture.seed is not None:
            data["seed"] = picture.seed
        if picture.revised_prompt is not None:
            data["revised_prompt"] = picture.revised_prompt
        if self.url:
            data |= await self._hosted(order, picture)
        return event(f"{self.kind}.completed", data, ("b64_json", picture))

    async def _hosted(self, order: Order, picture: Delivered) -> dict[str, str]:
        try:
            return {"url": (await linked(self.services, order, picture, self.base)).url}
        except OperatorError:
            return {}  # the picture itself is in the event


async def watched(order: Order, job: Ended, seconds: float) -> AsyncGenerator[Outcome | None, None]:
    """None whenever another picture is there (`order.progress.made`), and at last the outcome. Raises ImagegateError
    as the work ends, or GenerationTimeout after `seconds`."""
    ended, seen = asyncio.ensure_future(job.wait(seconds)), 0
    try:
        while not ended.done():
            # What came while the last was told is told now: somebody else may have taken note of it.
            if len(order.progress.made) == seen:
                changed = asyncio.ensure_future(order.progress.changed.wait())
                await asyncio.wait({ended, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                order.progress.changed.clear()
            if not ended.done() and len(order.progress.made) > seen:
                seen = len(order.progress.made)
                yield None
        yield await ended
    finally:
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)
