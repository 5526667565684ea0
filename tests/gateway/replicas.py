"""Several processes' `Sharing`, in each form that there is, all on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from gateway.services.rates import Limited
from gateway.services.redis.sharing import RedisSharing
from gateway.services.sharing import Sharing
from gateway.workers.channel import Channel
from gateway.workers.shared import Coordinated
from gateway.workers.shares import Part
from tests.gateway.workforce import House, house
from tests.redis_server import KEY, RedisServer, connection

PATIENCE = 20.0

FORMS = ("workers", pytest.param("redis", marks=pytest.mark.needs("redis-server")))


async def until(true: Callable[[], bool]) -> None:
    """Wait for what nobody tells."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Processes(Protocol):
    """Processes that share."""

    async def one(self) -> Sharing:
        """One more, at work."""
        ...

    async def dies(self, sharing: Sharing) -> None:
        """One ends without a word; returns once what it held is free."""
        ...

    async def settled(self) -> None:
        """All that was said before has been heard by everyone."""
        ...


class Workers:
    """Of one machine, counted by their parent."""

    def __init__(self, home: House) -> None:
        self.home = home
        self._channels: dict[int, Channel] = {}

    async def one(self) -> Sharing:
        channel = await self.home.worker()
        sharing = Coordinated(channel, Part(0, 2))
        self._channels[id(sharing)] = channel
        return sharing

    async def dies(self, sharing: Sharing) -> None:
        await self.home.dies(self._channels[id(sharing)])

    async def settled(self) -> None:
        await self.home.settled()


class Replicas:
    """Of several machines, counted in Redis. `lease` in seconds; each beats five times in it."""

    def __init__(self, server: RedisServer, lease: float = 30.0, url: str = "") -> None:
        self.server = server
        self.url = url or server.url()
        self.lease = lease
        self.alive: list[RedisSharing] = []

    async def one(self) -> RedisSharing:
        sharing = self.made()
        await self.started(sharing)
        return sharing

    def made(self) -> RedisSharing:
        """One that is yet to be started."""
        return RedisSharing(connection(self.url), KEY, lease=self.lease, beat=self.lease / 5)

    async def started(self, sharing: RedisSharing) -> None:
        sharing.connection.hear(f"settled:{sharing.replica.base}", lambda event: self._settling.set())
        try:
            await sharing.start()
        except BaseException:
            await sharing.connection.close()
            raise
        self.alive.append(sharing)

    async def dies(self, sharing: Sharing) -> None:
        assert isinstance(sharing, RedisSharing)
        others = [other for other in self.alive if other is not sharing]
        assert others, "nobody is left to see it"
        # Only who was seen alive can be seen to be gone.
        await until(lambda: sharing.replica.base in others[0].replica.others)
        await self.falls_silent(sharing)
        await until(lambda: sharing.replica.base not in others[0].replica.others)
        for other in others:
            other.connection.send([command for each in other.replica.members.values() for command in each.beat()])

    async def falls_silent(self, sharing: RedisSharing) -> None:
        """Its connections end as the kernel ends them; nothing is given back."""
        self.alive.remove(sharing)
        assert sharing.replica._beating is not None
        sharing.replica._beating.cancel()
        await sharing.connection.close()

    async def settled(self) -> None:
        for _ in range(2):
            for each in self.alive:
                if not each.connection.available:
                    continue
                await each.connection.command("PING")
                self._settling = asyncio.Event()
                await each.connection.tell(f"settled:{each.replica.base}", None)
                async with asyncio.timeout(PATIENCE):
                    await self._settling.wait()

    async def back(self) -> None:
        """All of them have found their server again."""
        await until(lambda: all(each.replica.counts_together for each in self.alive))
        await self.settled()

    async def gone(self) -> None:
        """All of them have noticed that it is away."""
        await until(lambda: not any(each.replica.counts_together for each in self.alive))

    async def close(self) -> None:
        for each in self.alive:
            each.close()
            await each.connection.close()


def inside(home: Replicas, gate: str) -> int:
    """How many Redis says are inside."""
    said = home.server.say("HVALS", f"{home.alive[0].connection.prefix}gate:in:{gate}")
    return sum(int(line) for line in said.split(b"\r\n")[2::2])


@asynccontextmanager
async def replicas(server: RedisServer, *, lease: float = 30.0, url: str = "") -> AsyncIterator[Replicas]:
    made = Replicas(server, lease, url)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def processes(
    form: str, request: pytest.FixtureRequest, keys: Iterable[Limited] = (), *, lease: float = 30.0
) -> AsyncIterator[Processes]:
    """Those of a form of FORMS. `keys`: whose requests are counted."""
    if form == "workers":
        async with house(*keys) as home:
            yield Workers(home)
    else:
        async with replicas(request.getfixturevalue("redis"), lease=lease) as made:
            yield made
