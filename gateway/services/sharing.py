"""What is counted once for the whole gateway, however many processes serve it.

`Alone` is for one process: what it hands out counts by itself, and costs nothing. With several, each is given things
of the same kinds that count together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from gateway.config.limits import Limits
from gateway.services.breakers import Breaking, Circuits
from gateway.services.gates import Gate
from gateway.services.guesses import Guesses
from gateway.services.pace import Pace
from gateway.services.rates import KeyRates, Limited, Rates
from gateway.services.wakes import Wakes

TALLY = "tally"
"""The inquiry after what a process tells of itself: `lasting`, what it counted, and `now`, what it measures; numbers by
what they are of."""


class Sharing(Protocol):
    """Hands out what counts. Each provider's things are asked for once."""

    async def start(self) -> None:
        """Before anything that was handed out is used."""
        ...

    def own(self, limits: Limits) -> Limits:
        """What this process may take of limits that are divided between all of them."""
        ...

    def gate(self, provider: str, limit: int, *, queue: int | None = None) -> Gate:
        """How many submissions the provider gets at a time."""
        ...

    def pace(self, provider: str, limit: int | None, seconds: float, *, queue: int | None = None) -> Pace:
        """How many requests the provider gets in a span of so many seconds."""
        ...

    def circuits(self, provider: str, breaking: Breaking) -> Circuits:
        """What is known of its health."""
        ...

    def rates(self, entries: Iterable[Limited]) -> Rates:
        """What each key may ask for."""
        ...

    def guesses(self, most: int, most_in_all: int) -> Guesses:
        """How many wrong keys came from where."""
        ...

    def wakes(self) -> Wakes:
        """Who is woken by providers' notices."""
        ...

    def place(self, most: int) -> AbstractAsyncContextManager[object]:
        """One of `most` generations that all processes together may have in progress. Raises GateFull on entering."""
        ...

    def office(self, name: str) -> AbstractAsyncContextManager[object]:
        """Something that one process does for all that keep their records in one place: entering waits until it is this
        one's turn to hold it."""
        ...

    async def hold(self, name: str, seconds: float) -> Callable[[], None]:
        """Wait until no other process holds what is called so, and hold it; what is returned gives it back. Raises
        GateTimeout after so many seconds."""
        ...

    async def inquire(self, event: str, body: Any) -> Any:
        """What the first of the other processes says that has something to say, as JSON; None where none has."""
        ...

    def answer(self, event: str, answer: Callable[[Any], Awaitable[Any]]) -> None:
        """Have inquiries of other processes answered; None = nothing to say."""
        ...

    async def told(self, own: Any) -> list[Any]:
        """What each process tells of itself in answer to TALLY, as JSON; this one tells `own`. Of those that are gone,
        or do not answer, what they counted is told as far as it was told before."""
        ...

    async def survey(self, event: str) -> list[Any]:
        """What all other processes say that have something to say, and do so in time, as JSON."""
        ...

    def close(self) -> None:
        """Hold nothing any more."""
        ...


class Alone:
    """`Sharing` of the only process."""

    async def start(self) -> None:
        return None

    def own(self, limits: Limits) -> Limits:
        return limits

    def gate(self, provider: str, limit: int, *, queue: int | None = None) -> Gate:
        return Gate(limit, queue=queue)

    def pace(self, provider: str, limit: int | None, seconds: float, *, queue: int | None = None) -> Pace:
        return Pace(limit, seconds, queue=queue)

    def circuits(self, provider: str, breaking: Breaking) -> Circuits:
        return Circuits(breaking)

    def rates(self, entries: Iterable[Limited]) -> Rates:
        return KeyRates(entries)

    def guesses(self, most: int, most_in_all: int) -> Guesses:
        return Guesses(most, most_in_all)

    def wakes(self) -> Wakes:
        return Wakes()

    def place(self, most: int) -> AbstractAsyncContextManager[object]:
        return contextlib.nullcontext()  # whoever starts jobs knows them all

    def office(self, name: str) -> AbstractAsyncContextManager[object]:
        return contextlib.nullcontext()

    async def hold(self, name: str, seconds: float) -> Callable[[], None]:
        return _nothing

    async def inquire(self, event: str, body: Any) -> Any:
        return None

    def answer(self, event: str, answer: Callable[[Any], Awaitable[Any]]) -> None:
        return None

    async def told(self, own: Any) -> list[Any]:
        return [own]

    async def survey(self, event: str) -> list[Any]:
        return []

    def close(self) -> None:
        return None


def _nothing() -> None:
    return None
