"""Pictures in memory, for a gateway without a disk: gone at the next start, the least recently used first."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace

from gateway.services.storage import CHUNK_BYTES, Content, Usage, format_of, new_name, pieces_of
from normalization.errors import StorageFull
from normalization.vocabulary import Format

MOST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class MemoryStored:
    """`Stored` whose bytes are at hand; they stay so when the picture is dropped meanwhile."""

    name: str
    format: Format
    created: float
    data: bytes
    expires: float = math.inf

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self, start: int = 0) -> AsyncGenerator[bytes, None]:
        for position in range(start, len(self.data), CHUNK_BYTES):
            yield self.data[position : position + CHUNK_BYTES]


class MemoryStorage:
    """`Storage` of at most `most_bytes`: a picture that would not fit pushes out those unused for longest. `clock`
    gives epoch seconds."""

    def __init__(
        self, retention_seconds: float, *, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self._retention_seconds = retention_seconds
        self._most_bytes = most_bytes
        self._clock = clock
        self._kept: OrderedDict[str, MemoryStored] = OrderedDict()
        self._bytes = 0

    async def put(self, content: Content, format: Format, *, durable: bool = True, seconds: float | None = None) -> str:
        data = b"".join(pieces_of(content))
        if len(data) > self._most_bytes:
            raise StorageFull(f"a picture of {len(data)} bytes is more than the {self._most_bytes} kept in memory")
        while self._bytes + len(data) > self._most_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.size
        now = self._clock()
        expires = now + (self._retention_seconds if seconds is None else seconds)
        stored = MemoryStored(new_name(format), format, now, data, expires)
        self._kept[stored.name] = stored
        self._bytes += stored.size
        return stored.name

    async def prolong(self, name: str, seconds: float) -> None:
        stored, expires = self._kept.get(name), self._clock() + seconds
        if stored is not None and stored.expires < expires:
            self._kept[name] = replace(stored, expires=expires)

    async def open(self, name: str) -> MemoryStored | None:
        stored = self._kept.get(name) if format_of(name) else None
        if stored is not None:
            self._kept.move_to_end(name)
        return stored

    async def delete(self, name: str) -> None:
        stored = self._kept.pop(name, None)
        if stored is not None:
            self._bytes -= stored.size

    async def sweep(self, now: float) -> int:
        old = [each for each in self._kept.values() if each.expires < now]
        for each in old:
            del self._kept[each.name]
            self._bytes -= each.size
        return len(old)

    async def usage(self) -> Usage:
        return Usage(len(self._kept), self._bytes)

    async def free_bytes(self) -> int:
        return self._most_bytes - self._bytes

    async def check(self) -> None:
        """Memory can always keep a picture, at the price of an older one."""

    async def close(self) -> None:
        self._kept.clear()
        self._bytes = 0
