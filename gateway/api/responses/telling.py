"""What a response says at its end, whole or as events, and that it is kept before it is said."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from gateway.api.answer import described
from gateway.api.carrying import too_few
from gateway.api.image_stream import watched
from gateway.api.responses.envelope import Resource
from gateway.api.responses.shown import Shown, Style, Told, all_stored
from gateway.api.responses.writing import Marks, Piece, named
from gateway.api.sse import Pieces
from gateway.container import Services
from gateway.jobs import Job
from gateway.ordering import Prepared
from gateway.outcome import Delivered, Order, Outcome
from gateway.services.responses import KeptPicture, KeptResponse
from normalization.errors import ImagegateError, InternalError, OperatorError

log = logging.getLogger("imagegate.images")

_UNSEEN: set[asyncio.Task[None]] = set()
"""Responses that are finished without their clients; the event loop alone would forget them."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Keeps responses for the key that made them, for as long as pictures are kept."""

    services: Services
    owner: str | None

    async def keep(self, resource: Resource, pieces: Sequence[Piece], item: str, shown: Sequence[Shown] = ()) -> bool:
        """Whether the response is kept now; False too where the client wants it forgotten. Never raises: an answer
        that is paid for goes out whether or not it can be read again."""
        names = {id(each.picture): each.name for each in shown if each.name is not None}
        if not resource.store or len(names) < len(shown):
            return False
        kept = KeptResponse(
            resource.id,
            self.owner,
            time.time() + self.services.settings.storage.retention_seconds,
            named(pieces, names),
            tuple(KeptPicture(item, names[id(each.picture)]) for each in shown),
        )
        try:
            if not shown:  # where there are pictures, they have asked for room already
                await self.services.storage.check()
            await self.services.responses.keep(kept)
        except OperatorError as error:
            log.error("response %s cannot be kept: %s", resource.id, error.message)
            return False
        return True


@dataclass(frozen=True, slots=True)
class Telling:
    """One response of a request that could be carried out. `base` is where its pictures' URLs lead; None = it carries
    the pictures themselves."""

    services: Services
    keeping: Keeping
    resource: Resource
    style: Style
    prepared: Prepared
    base: str | None
    marks: Marks = field(default_factory=Marks)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def whole(self, order: Order, outcome: Outcome) -> tuple[Pieces, dict[str, Any]]:
        """The finished response, and `described` of it."""
        response, told = await self._completed(order, outcome, await self._stored(outcome.pictures))
        return self.marks.pieces(response), told.tail

    def opening(self) -> bytes:
        """The events before there is anything to tell."""
        response = self.resource.written("in_progress")
        item = {"output_index": 0, "item": self.style.begun()}
        events = [
            self._event("response.created", {"response": response}),
            self._event("response.in_progress", {"response": response}),
            self._event("response.output_item.added", item),
            *(self._event(*event) for event in self.style.opening()),
        ]
        return b"".join(piece for event in events for piece in event if isinstance(piece, bytes))

    async def script(self, order: Order, job: Job) -> AsyncGenerator[Pieces, None]:
        """The events of the work, from its first picture to `response.completed` or `response.failed`."""
        shown: list[Shown] = []
        last: list[Pieces] = []
        try:
            async with aclosing(watched(order, job, self.services.settings.server.deadline_seconds)) as outcomes:
                async for outcome in outcomes:
                    arrived = await self._arrived(order, outcome, len(shown))
                    events = self._shown(len(shown), arrived)
                    shown += arrived
                    for event in events:
                        yield event
                    last = [] if outcome is None else await self._last(order, outcome, shown)
        except (GeneratorExit, asyncio.CancelledError):
            if self.resource.store:
                self._finish_alone(order, job, shown)
            raise
        except ImagegateError as error:
            last = await self._failed(error)
        except Exception as unexpected:  # the stream has begun: all that is left is to say so in it
            log.exception("unexpected error in a stream", exc_info=unexpected)
            last = await self._failed(InternalError("an unexpected error in the gateway"))
        for event in last:
            yield event

    def _finish_alone(self, order: Order, job: Job, shown: list[Shown]) -> None:
        """The client has left with the response's id in hand: let it find the response under it."""
        task = asyncio.create_task(self._kept_unseen(order, job, shown))
        _UNSEEN.add(task)
        task.add_done_callback(_UNSEEN.discard)

    async def _kept_unseen(self, order: Order, job: Job, shown: list[Shown]) -> None:
        try:
            outcome = await job.wait(self.services.settings.limits.settle_seconds)
            shown += await self._arrived(order, outcome, len(shown))
            await self._completed(order, outcome, shown)
        except ImagegateError as error:
            log.warning("response %s, which nobody waits for, failed: %s", self.resource.id, error.message)

    async def _arrived(self, order: Order, outcome: Outcome | None, sent: int) -> list[Shown]:
        """What can be shown now, in order. Places are shown without a gap as long as one of them may still come."""
        if outcome is not None:
            if self.prepared.strict and outcome.failed:
                await self.services.keep(order, outcome)
                raise too_few(self.prepared, outcome)
            return await self._stored([picture for place, picture in outcome.placed if place >= sent])
        if self.prepared.strict:
            return []
        made = order.progress.made
        ready = itertools.takewhile(lambda place: place in made, itertools.count(sent))
        return await self._stored([made[place] for place in ready])

    async def _stored(self, pictures: Sequence[Delivered]) -> list[Shown]:
        marked = [(picture, self.marks.mark(picture)) for picture in pictures]
        return await all_stored(self.services, marked, store=self.resource.store, base=self.base)

    async def _completed(self, order: Order, outcome: Outcome, shown: Sequence[Shown]) -> tuple[dict[str, Any], Told]:
        told = Told(order, outcome, described(order, outcome, self.prepared.delivery), shown)
        response = self.resource.written("completed", [self.style.done(told)], **self.style.more(told))
        pieces = self.marks.pieces(response)
        kept = await self.keeping.keep(self.resource, pieces, self.style.item_id, shown)
        return {**response, "store": kept}, told

    def _shown(self, first: int, arrived: Sequence[Shown]) -> list[Pieces]:
        events = (event for index, each in enumerate(arrived, first) for event in self.style.arrived(index, each))
        return [self._event(*event) for event in events]

    async def _last(self, order: Order, outcome: Outcome, shown: Sequence[Shown]) -> list[Pieces]:
        response, _ = await self._completed(order, outcome, shown)
        return [
            *(self._event(*event) for event in self.style.closing()),
            self._event("response.output_item.done", {"output_index": 0, "item": response["output"][0]}),
            self._event("response.completed", {"response": response}),
        ]

    async def _failed(self, error: ImagegateError) -> list[Pieces]:
        told = {"code": error.code, "message": error.message, "param": error.param}
        response = self.resource.failed(error, [self.style.failed(dict(error.body()["error"]))])
        kept = await self.keeping.keep(self.resource, self.marks.pieces(response), self.style.item_id)
        return [
            self._event("error", told),
            self._event("response.failed", {"response": {**response, "store": kept}}),
        ]

    def _event(self, kind: str, data: dict[str, Any]) -> Pieces:
        return numbered(self.marks, next(self._numbers), kind, data)


def numbered(marks: Marks, number: int, kind: str, data: dict[str, Any]) -> list[Piece]:
    """One event, whose name is its type."""
    head = b"event: %b\ndata: " % kind.encode()
    return [head, *marks.pieces({"type": kind, "sequence_number": number, **data}), b"\n\n"]
