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

import pybase64

from gateway.api.answer import NO_USAGE, described
from gateway.api.carrying import linked
from gateway.api.sse import Pieces, event
from gateway.container import Services
from gateway.outcome import Delivered, Ended, Order, Outcome, Partial
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
        sent = partials = 0
        try:
            async for outcome in watched(order, job, self.services.settings.server.deadline_seconds):
                if outcome is None:
                    for partial in order.progress.partials[partials:]:
                        partials += 1
                        shown = await self._partial(order, partial)
                        if shown is not None:
                            yield shown
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

    async def _partial(self, order: Order, partial: Partial) -> Pieces | None:
        """What the picture looks like by now, small; None where it cannot be shown in the format asked for."""
        shown = await self.services.dispatcher.driver.finisher.preview(partial.data, partial.format)
        if shown is None:
            return None
        finish = order.candidates[0].plan.finish
        data = {
            "created_at": int(time.time()),
            "quality": order.request.quality or "auto",
            "background": order.request.background or "auto",
            "size": "auto" if finish.fit is None else str(finish.fit),
            "output_format": shown.format.value,
            "partial_image_index": partial.index,
            "image_index": partial.place,
            "b64_json": pybase64.b64encode(shown.data).decode("ascii"),
        }
        return event(f"{self.kind}.partial_image", data)

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
        return event(f"{self.kind}.completed", data, b64_json=picture, thumbnail_b64_json=picture.thumbnail)

    async def _hosted(self, order: Order, picture: Delivered) -> dict[str, str]:
        try:
            return {"url": (await linked(self.services, order, picture, self.base)).url}
        except OperatorError:
            return {}  # the picture itself is in the event


async def watched(order: Order, job: Ended, seconds: float) -> AsyncGenerator[Outcome | None, None]:
    """None whenever another picture is there (`order.progress`: `made` or `partials`), and at last the outcome. Raises
    ImagegateError as the work ends, or GenerationTimeout after `seconds`."""
    ended, seen = asyncio.ensure_future(job.wait(seconds)), 0
    try:
        while not ended.done():
            # What came while the last was told is told now: somebody else may have taken note of it.
            if order.progress.news == seen:
                changed = asyncio.ensure_future(order.progress.changed.wait())
                try:
                    await asyncio.wait({ended, changed}, return_when=asyncio.FIRST_COMPLETED)
                finally:  # whoever stops listening leaves nothing behind that waits
                    changed.cancel()
                order.progress.changed.clear()
            if not ended.done() and order.progress.news > seen:
                seen = order.progress.news
                yield None
        yield await ended
    finally:
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)
