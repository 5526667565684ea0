"""`Sharing` of one of several replicas: what they count together lies in Redis, what they only tell goes through it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from gateway.config.limits import Limits
from gateway.config.model import Settings
from gateway.services.breakers import Breaking, Circuits
from gateway.services.gates import Gate
from gateway.services.guesses import Guesses
from gateway.services.pace import Pace
from gateway.services.rates import Limited, Rates
from gateway.services.redis.connection import RedisConnection
from gateway.services.redis.gates import GateKeeper, RedisGate
from gateway.services.redis.paces import RedisPace
from gateway.services.redis.rates import RedisRates
from gateway.services.redis.replica import BEAT_SECONDS, LEASE_SECONDS, Replica
from gateway.services.redis.told import Follows, RedisCircuits, RedisGuesses, RedisWakes
from gateway.services.redis.wire import away
from gateway.services.sharing import Alone, Sharing
from gateway.services.signing import key_from_text
from gateway.services.wakes import Wakes
from normalization.errors import ConfigurationError, StateUnavailable

log = logging.getLogger("imagegate.redis")

ALL = "all"
"""The channel that every replica hears."""
ANSWER_SECONDS = 1.0
"""How long one replica may take to answer another."""


class RedisSharing:
    """`house`: what this replica's own processes share, where they are several. `key`: the bytes that pictures' URLs
    are signed with."""

    def __init__(
        self,
        connection: RedisConnection,
        key: bytes,
        house: Sharing | None = None,
        *,
        lease: float = LEASE_SECONDS,
        beat: float = BEAT_SECONDS,
    ) -> None:
        self.connection = connection
        self.replica = Replica(connection, lease=lease, beat=beat)
        self._key = key
        self._house = house or Alone()
        self._keeper = GateKeeper(self.replica)
        self._paces: dict[str, RedisPace] = {}
        self._circuits: dict[str, RedisCircuits] = {}
        self._events: dict[str, Callable[[list[Any]], None]] = {"health": self._health, "hello": self._hello}
        self._answers: dict[str, Callable[[Any], Awaitable[Any]]] = {}
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._follows = Follows(self.replica, self._spread, self._followed)
        self._events["follow"] = self._follows.hear
        self._events["again"] = lambda _: self.replica.begin_anew()
        self.replica.join("follows", self._follows)
        self.replica.on_thrown_away = lambda: self._spread("again", None)
        connection.hear(ALL, self._heard, but=self.replica.base)
        connection.hear(f"to:{self.replica.base}", self._told)
        connection.on_back(lambda: self._spread("hello", [self.replica.base]))

    async def start(self) -> None:
        await self._house.start()
        await self.connection.start()
        self.replica.start()
        with suppress(StateUnavailable):
            await asyncio.gather(*(each.learn() for each in self._circuits.values()))

    def own(self, limits: Limits) -> Limits:
        return self._house.own(limits)

    def gate(self, provider: str, limit: int, *, queue: int | None = None) -> Gate:
        return RedisGate(self._keeper, f"provider:{provider}", limit, queue=queue)

    def pace(self, provider: str, limit: int | None, seconds: float, *, queue: int | None = None) -> Pace:
        pace = self._paces[provider] = RedisPace(
            self.replica,
            provider,
            limit,
            seconds,
            queue=queue,
            tell=lambda jobs: self._follows.tell(provider, jobs),
        )
        return pace

    def circuits(self, provider: str, breaking: Breaking) -> Circuits:
        circuits = self._circuits[provider] = RedisCircuits(self.connection, provider, breaking, self._spread)
        if self.connection.available:
            self.connection.later(circuits.learn())
        return circuits

    def rates(self, entries: Iterable[Limited]) -> Rates:
        return RedisRates(self.replica, entries)

    def guesses(self, most: int, most_in_all: int) -> Guesses:
        guesses = RedisGuesses(most, most_in_all, self._key, self._spread)
        self._events["guess"] = guesses.hear
        return guesses

    def wakes(self) -> Wakes:
        wakes = RedisWakes(self._spread)
        self._events["ring"] = wakes.hear
        return wakes

    def place(self, most: int) -> AbstractAsyncContextManager[object]:
        return self._house.place(most)

    def office(self, name: str) -> AbstractAsyncContextManager[object]:
        # Each replica has a disk and a journal of its own, and nobody else who would keep them.
        return self._house.office(name)

    async def hold(self, name: str, seconds: float) -> Callable[[], None]:
        """Raises StateUnavailable as well, at once where Redis is away: it cannot be known then who else holds it."""
        if not self.replica.counts_together:
            raise away()
        gate = self._one(f"hold:{name}")
        await gate.take(time.monotonic() + seconds)
        return gate.give_back

    async def inquire(self, event: str, body: Any) -> Any:
        """They are asked one after the other: what one gives away, another must not give as well."""
        for base in tuple(self.replica.others):
            with suppress(StateUnavailable, TimeoutError):
                found = await self._ask(base, event, body)
                if found is not None:
                    return found
        return None

    async def survey(self, event: str) -> list[Any]:
        """They are asked at once; whoever does not answer in time is left out."""
        asked = (self._ask(base, event, None) for base in tuple(self.replica.others))
        said = await asyncio.gather(*asked, return_exceptions=True)
        return [each for each in said if each is not None and not isinstance(each, BaseException)]

    def answer(self, event: str, answer: Callable[[Any], Awaitable[Any]]) -> None:
        self._answers[event] = answer
        self._house.answer(event, answer)

    async def told(self, own: Any) -> list[Any]:
        """Those of this replica's own processes: each replica is asked for its own."""
        return await self._house.told(own)

    def close(self) -> None:
        self.replica.close()
        self._house.close()

    # ---- inside

    def _one(self, name: str) -> RedisGate:
        found = self.replica.members.get(name)
        return found if isinstance(found, RedisGate) else RedisGate(self._keeper, name, 1, alone="refuse")

    def _spread(self, event: str, body: Any) -> None:
        self.connection.tell(ALL, [self.replica.base, event, body])

    def _heard(self, said: list[Any]) -> None:
        _, event, body = said
        hear = self._events.get(event)
        if hear is not None:
            hear(body)

    def _health(self, body: list[Any]) -> None:
        provider, *news = body
        if provider in self._circuits:
            self._circuits[provider].hear(news)

    def _hello(self, body: list[Any]) -> None:
        self.replica.others = sorted({*self.replica.others, body[0]})
        self._follows.all_told()

    def _followed(self, provider: str, jobs: int) -> None:
        if provider in self._paces:
            self._paces[provider].followed_by_others = jobs

    async def _ask(self, base: str, event: str, body: Any) -> Any:
        """What one replica answers; None where it is gone. Raises StateUnavailable or TimeoutError."""
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            heard = (await self.connection.tell(f"to:{base}", [self.replica.base, number, event, body]))[0]
            if not heard:
                return None
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        finally:
            del self._asked[number]

    def _told(self, said: list[Any]) -> None:
        base, number, event, body = said
        if event is not None:
            self.connection.later(self._answer(base, number, event, body))
        elif (asked := self._asked.get(number)) is not None and not asked.done():
            asked.set_result(body)

    async def _answer(self, base: str, number: int, event: str, body: Any) -> None:
        answer, value = self._answers.get(event), None
        try:
            value = None if answer is None else await answer(body)
        except Exception:  # whatever it is, the replica that asks must not wait for ever
            log.exception("an inquiry of another replica failed")
        self.connection.tell(f"to:{base}", [self.replica.base, number, None, value])


def redis_sharing(settings: Settings, house: Sharing | None = None) -> RedisSharing | None:
    """What a replica shares by its configuration; None where `state.url` names no Redis. Raises ConfigurationError
    where there is nothing to seal with."""
    url, given = settings.state.redis, settings.storage.signing_key
    if url is None:
        return None
    if given is None:
        raise ConfigurationError("storage.signing_key: missing; what lies in Redis (state.url) is sealed with it")
    key = key_from_text(given.get_secret_value())
    return RedisSharing(RedisConnection(url, key), key, house)
