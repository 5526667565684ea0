"""A coordinator and workers' ends of its connections, all on one event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.services.rates import Limited
from gateway.workers.channel import Channel
from gateway.workers.coordinator import Coordinator, Desk


@dataclass(frozen=True)
class Key:
    """A client's key, as far as it is counted."""

    name: str
    requests_per_minute: int | None = None
    images_per_minute: int | None = None
    max_concurrent: int | None = None


class House:
    """A coordinator and whoever is connected to it."""

    def __init__(self, keys: Iterable[Limited] = ()) -> None:
        self.coordinator = Coordinator(keys)
        self.channels: list[Channel] = []
        self.desks: dict[Channel, Desk] = {}

    async def worker(self, *, ready: bool = True) -> Channel:
        """One more worker's end."""
        ours, theirs = socket.socketpair()
        desk = self.coordinator.connect()
        await asyncio.get_running_loop().create_unix_connection(lambda: desk, sock=ours)
        channel = Channel(theirs)
        await channel.start()
        if ready:
            channel.tell("ready")
        self.channels.append(channel)
        self.desks[channel] = desk
        return channel

    async def dies(self, channel: Channel) -> None:
        """The worker's process ends, and all that it held is free again."""
        channel.close()
        self.channels.remove(channel)
        await self.desks[channel].lost.wait()

    async def settled(self) -> None:
        """All that was said before has been heard, by the coordinator and by every worker."""
        for channel in self.channels:
            await channel.ask("headers", key="nobody")
        for channel in self.channels:
            await channel.ask("headers", key="nobody")


@asynccontextmanager
async def house(*keys: Limited) -> AsyncIterator[House]:
    made = House(keys)
    try:
        yield made
    finally:
        for channel in tuple(made.channels):
            await made.dies(channel)
