"""What a response says at its end, whole or as events, and that it is kept before it is said."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.api.answer import described, outcome_headers
from gateway.api.carrying import too_few
from gateway.api.image_stream import watched
from gateway.api.responses.envelope import Resource
from gateway.api.responses.shown import Event, Shelf, Shown, Style, Told
from gateway.api.responses.writing import Marks, named
from gateway.api.sse import DONE, Pieces
from gateway.container import Services
from gateway.outcome import Answer, Delivered, Ended, Order, Outcome, Partial, Piece
from gateway.resuming import listed_applied
from gateway.services.responses import KeptPicture, KeptResponse
from normalization.errors import ImagegateError, InternalError, OperatorError
from normalization.vocabulary import Applied

log = logging.getLogger("imagegate.images")

KIND = "response"


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
            await self.services.state.responses.keep(kept)
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
    base: str | None
    strict: bool = False
    delivery: tuple[Applied, ...] = ()
    streams: bool = False
    marks: Marks = field(default_factory=Marks)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def forgotten(self) -> bool:
        return not self.resource.store

    def recipe(self) -> dict[str, Any]:
        resource = self.resource
        return {
            "kind": KIND,
            "owner": self.keeping.owner,
            "resource": [resource.id, resource.created, resource.model, resource.echo],
            "base": self.base,
            "strict": self.strict,
            "delivery": listed_applied(self.delivery),
            "streams": self.streams,
            **self.style.recipe(),
        }

    def _anew(self) -> Telling:
        """The same response, told from its beginning."""
        return replace(self, marks=Marks(), _numbers=itertools.count())

    async def written(self, order: Order, outcome: Outcome) -> Answer:
        if self.strict and outcome.failed:
            raise too_few(order, outcome)
        anew = self._anew()
        shown = await anew._stored(order, outcome.pictures)
        response, told = await anew._completed(order, outcome, shown)
        return Answer(tuple(anew.marks.pieces(response)), outcome_headers(outcome, told.tail["metadata"]))

    async def events(self, order: Order, ended: Ended) -> tuple[Piece, ...] | None:
        if not self.streams:
            return None
        anew = self._anew()
        opening = anew.opening()
        told = [piece async for pieces in anew.script(order, ended) for piece in pieces]
        return (opening, *told, DONE)

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

    async def script(self, order: Order, job: Ended) -> AsyncGenerator[Pieces, None]:
        """The events of the work, from its first picture to `response.completed` or `response.failed`."""
        shown: list[Shown] = []
        partials = 0
        last: list[Pieces] = []
        try:
            async with aclosing(watched(order, job, self.services.settings.server.deadline_seconds)) as outcomes:
                async for outcome in outcomes:
                    for partial in order.progress.partials[partials:] if outcome is None else ():
                        partials += 1
                        for told in await self._between(partial):
                            yield self._event(*told)
                    arrived = await self._arrived(order, outcome, len(shown))
                    events = self._shown(len(shown), arrived)
                    shown += arrived
                    for event in events:
                        yield event
                    last = [] if outcome is None else await self._last(order, outcome, shown)
        except ImagegateError as error:
            last = await self._failed(error)
        except Exception as unexpected:  # the stream has begun: all that is left is to say so in it
            log.exception("unexpected error in a stream", exc_info=unexpected)
            last = await self._failed(InternalError("an unexpected error in the gateway"))
        for event in last:
            yield event

    async def _between(self, partial: Partial) -> list[Event]:
        picture = await self.services.dispatcher.driver.finisher.preview(partial.data, partial.format)
        return [] if picture is None else self.style.partial(partial.index, picture)

    async def _arrived(self, order: Order, outcome: Outcome | None, sent: int) -> list[Shown]:
        """What can be shown now, in order. Places are shown without a gap as long as one of them may still come."""
        if outcome is not None:
            return await self._stored(order, [picture for place, picture in outcome.placed if place >= sent])
        if self.strict:
            return []
        made = order.progress.made
        ready = itertools.takewhile(lambda place: place in made, itertools.count(sent))
        return await self._stored(order, [made[place] for place in ready])

    async def _stored(self, order: Order, pictures: Sequence[Delivered]) -> list[Shown]:
        return await Shelf(self.services, self.marks, self.resource.store, self.base).all_stored(order, pictures)

    async def _completed(self, order: Order, outcome: Outcome, shown: Sequence[Shown]) -> tuple[dict[str, Any], Told]:
        told = Told(order, outcome, described(order, outcome, self.delivery), shown)
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
