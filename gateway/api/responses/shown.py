"""A finished picture on its way into a response: what stands for it, and under which name it is kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.container import Services
from gateway.outcome import Delivered, Order, Outcome
from normalization.errors import OperatorError

log = logging.getLogger("imagegate.images")


@dataclass(frozen=True, slots=True)
class Shown:
    """`mark` stands for the picture's base64; `name` is the stored picture's, None where it is not stored; `url` where
    the answer carries one instead of the picture."""

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

    def closing(self) -> list[Event]:
        """Events before the item is done."""
        ...


async def stored(services: Services, picture: Delivered, mark: str, *, store: bool, base: str | None) -> Shown:
    """The picture, stored where the response is kept or carries URLs under `base`.

    Where the disk fails now, the answer carries the picture itself: it is paid for, and must not be lost.
    """
    if not store and base is None:
        return Shown(picture, mark)
    try:
        name = await services.storage.put(picture.data, picture.format)
    except OperatorError as error:
        log.error("a finished picture cannot be stored: %s", error.message)
        return Shown(picture, mark)
    return Shown(picture, mark, name, None if base is None else services.hosting.url(name, base))


async def all_stored(
    services: Services, pictures: Sequence[tuple[Delivered, str]], *, store: bool, base: str | None
) -> list[Shown]:
    """`stored` for several pictures at once, each with its mark."""
    work = (stored(services, picture, mark, store=store, base=base) for picture, mark in pictures)
    return list(await asyncio.gather(*work))
