"""Kept responses in memory, for a gateway without a disk: gone at the next start, the oldest first."""

from __future__ import annotations

from collections import OrderedDict

from gateway.services.responses import KeptPicture, KeptResponse
from normalization.errors import StorageFull

MOST_BYTES = 64 * 1024 * 1024


class MemoryResponses:
    """`Responses` of at most `most_bytes`: one that would not fit pushes out the oldest."""

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, KeptResponse] = OrderedDict()
        self._by_item: dict[str, str] = {}
        self._bytes = 0

    async def keep(self, response: KeptResponse) -> None:
        size = _size(response)
        if size > self._most_bytes:
            raise StorageFull(f"a response of {size} bytes is more than the {self._most_bytes} kept in memory")
        self._drop(response.id)
        while self._bytes + size > self._most_bytes:
            self._drop(next(iter(self._kept)))
        self._kept[response.id] = response
        self._bytes += size
        self._by_item |= {picture.item: response.id for picture in response.pictures}

    async def find(self, id: str, owner: str | None, now: float) -> KeptResponse | None:
        found = self._kept.get(id)
        return found if found is not None and found.owner == owner and found.expires > now else None

    async def pictures(self, id: str, owner: str | None, now: float) -> tuple[KeptPicture, ...] | None:
        found = await self.find(self._by_item.get(id, id), owner, now)
        if found is None:
            return None
        return tuple(picture for picture in found.pictures if id in (found.id, picture.item))

    async def delete(self, id: str, owner: str | None, now: float) -> bool:
        if await self.find(id, owner, now) is None:
            return False
        self._drop(id)
        return True

    async def sweep(self, now: float) -> int:
        old = [response.id for response in self._kept.values() if response.expires <= now]
        for id in old:
            self._drop(id)
        return len(old)

    async def close(self) -> None:
        self._kept.clear()
        self._by_item.clear()
        self._bytes = 0

    def _drop(self, id: str) -> None:
        dropped = self._kept.pop(id, None)
        if dropped is None:
            return
        self._bytes -= _size(dropped)
        for picture in dropped.pictures:
            self._by_item.pop(picture.item, None)


def _size(response: KeptResponse) -> int:
    return sum(len(piece) for piece in response.body)
