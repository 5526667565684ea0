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
from gateway.api.carrying import too_few
from gateway.api.sse import Pieces, event
from gateway.container import Services
from gateway.jobs import Job
from gateway.ordering import Prepared
from gateway.outcome import Delivered, Order, Outcome
from normalization.errors import ImagegateError, InternalError, OperatorError

log = logging.getLogger("imagegate.images")

Kind = Literal["image_generation", "image_edit"]


@dataclass(frozen=True, slots=True)
class ImageStream:
    """What a stream of the images API tells. `base` is where hosted pictures are reached."""

    services: Services
    prepared: Prepared
    kind: Kind
    base: str

    async def script(self, order: Order, job: Job) -> AsyncGenerator[Pieces, None]:
        sent = 0
        try:
            async for outcome in watched(order, job, self.services.settings.server.deadline_seconds):
                if outcome is None:
                    # The last one carries what is known at the end, so the newest always waits.
                    while not self.prepared.strict and {sent, sent + 1} <= order.progress.made.keys():
                        yield await self._completed(order, order.progress.made[sent], sent)
                        sent += 1
                    continue
                if self.prepared.strict and outcome.failed:
                    await self.services.keep(order, outcome)
                    raise too_few(self.prepared, outcome)
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
        tail: dict[str, Any] = {"usage": NO_USAGE} if end is None else described(order, end, self.prepared.delivery)
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
        if "response_format" in asked.said and self.prepared.response_format == "url":
            data |= await self._hosted(picture)
        return event(f"{self.kind}.completed", data, ("b64_json", picture))

    async def _hosted(self, picture: Delivered) -> dict[str, str]:
        try:
            return {"url": await self.services.hosting.host(picture.data, picture.format, self.base)}
        except OperatorError:
            return {}  # the picture itself is in the event


async def watched(order: Order, job: Job, seconds: float) -> AsyncGenerator[Outcome | None, None]:
    """None whenever another picture is there (`order.progress.made`), and at last the outcome. Raises ImagegateError
    as the work ends, or GenerationTimeout after `seconds`."""
    ended = asyncio.ensure_future(job.wait(seconds))
    try:
        while not ended.done():
            changed = asyncio.ensure_future(order.progress.changed.wait())
            await asyncio.wait({ended, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            order.progress.changed.clear()
            if not ended.done():
                yield None
        yield await ended
    finally:
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)
