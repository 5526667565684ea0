"""A finished picture on its way into a response: what stands for it, and under which name it is kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.api.responses.writing import Marks
from gateway.container import Services
from gateway.outcome import Delivered, Link, Order, Outcome
from normalization.errors import OperatorError
from normalization.pictures.finish import Finished

log = logging.getLogger("imagegate.images")


@dataclass(frozen=True, slots=True)
class Shown:
    """`mark` stands for the picture's base64; `name` is the stored picture's, None where it is not stored; `url` stands
    for its URL where the answer carries that instead of the picture."""

    picture: Delivered
    mark: str
    name: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What is known at the end: `tail` is `gateway.api.answer.described`."""

    order: Order
    outcome: Outcome
    tail: dict[str, Any]
    shown: Sequence[Shown]


Event = tuple[str, dict[str, Any]]
"""An event's type and data, without the number."""


class Style(Protocol):
    """How a response tells of its pictures. All of them are in one output item."""

    @property
    def item_id(self) -> str: ...

    def recipe(self) -> dict[str, Any]:
        """A JSON object that makes it anew."""
        ...

    def begun(self) -> dict[str, Any]:
        """The output item while there is nothing to show."""
        ...

    def failed(self, error: dict[str, Any]) -> dict[str, Any]:
        """The output item when there never will be; `error` is that of OpenAI's envelope."""
        ...

    def done(self, told: Told) -> dict[str, Any]:
        """The output item."""
        ...

    def more(self, told: Told) -> dict[str, Any]:
        """Keys of the response besides its output."""
        ...

    def opening(self) -> list[Event]:
        """Events after the item was added."""
        ...

    def arrived(self, index: int, shown: Shown) -> list[Event]:
        """Events when the picture at `index` is there."""
        ...

    def partial(self, index: int, picture: Finished) -> list[Event]:
        """Events when a picture in between, number `index`, is there, small and in the format asked for."""
        ...

    def closing(self) -> list[Event]:
        """Events before the item is done."""
        ...


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where pictures of one response are stored. `store`: the response is kept; `base`: where the URLs lead that it
    carries, None = it carries the pictures themselves."""

    services: Services
    marks: Marks
    store: bool
    base: str | None

    async def stored(self, order: Order, picture: Delivered) -> Shown:
        """The picture, stored where it must be.

        Where the disk fails now, the answer carries the picture itself: it is paid for, and must not be lost.
        """
        mark = self.marks.mark(picture)
        if not self.store and self.base is None:
            return Shown(picture, mark)
        try:
            name = await self.services.journal.name(order, picture)
        except OperatorError as error:
            log.error("a finished picture cannot be stored: %s", error.message)
            return Shown(picture, mark)
        if self.base is None:
            return Shown(picture, mark, name)
        return Shown(picture, mark, name, self.marks.mark(Link(name, self.services.hosting.url(name, self.base))))

    async def all_stored(self, order: Order, pictures: Sequence[Delivered]) -> list[Shown]:
        """`stored` for several pictures at once."""
        return list(await asyncio.gather(*(self.stored(order, picture) for picture in pictures)))
