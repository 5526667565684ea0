"""Pictures in a bucket that several gateways share; `gateway.services.storage_places` tells where.

What the bucket does not take now waits on this machine's disk and is moved there later.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.services.storage import CHUNK_BYTES, Content, Stored, Usage, pieces_of
from gateway.services.storage_places import KEPT, PICTURES, hour_of, key_of, mark_of, new_place, ours, place_of
from gateway.services.storage_waiting import Waiting
from normalization.errors import ConfigurationError, OperatorError, StateUnavailable
from normalization.vocabulary import Format

if TYPE_CHECKING:
    from gateway.services.bucket import Bucket, Found

log = logging.getLogger("imagegate.storage")

PROBE = "probe"
READ_BYTES = 4 * CHUNK_BYTES
"""What one request fetches: all that a reader who is slow or gone makes us hold."""
START_SECONDS = 30.0
PROBE_SECONDS = 5.0
FRESH_SECONDS = 30.0
"""For so long a success tells that the bucket takes pictures; then a tiny put asks."""
FAILING_SECONDS = 3.0
"""For so long a failure tells that it does not."""
MOVE_FIRST_SECONDS, MOVE_MOST_SECONDS = 1.0, 60.0
"""Between looks at whether what waits can be moved."""
SWEEP_MOST = 10_000
"""Objects that one sweep deletes, give or take a page; the next one goes on."""
NOTHING: Sequence[memoryview] = ()

_HOUR = re.compile(r"\d{4}-\d\d-\d\dT\d\d")


@dataclass(frozen=True, slots=True)
class ObjectStored:
    """`Stored` in a bucket. Each block is fetched when the one before it was taken."""

    name: str
    format: Format
    created: float
    size: int
    key: str
    bucket: Bucket

    async def chunks(self, start: int = 0) -> AsyncGenerator[bytes, None]:
        for position in range(start, self.size, READ_BYTES):
            wanted = min(READ_BYTES, self.size - position)
            block = await self.bucket.get(self.key, position, wanted)
            if len(block) != wanted:
                raise StateUnavailable("a stored picture was cut short", detail=self.key)
            for part in range(0, wanted, CHUNK_BYTES):
                yield bytes(block[part : part + CHUNK_BYTES])


class ObjectStorage:
    """`Storage` in a bucket. `start` before anything else. `clock` gives epoch seconds."""

    def __init__(
        self,
        bucket: Bucket,
        data_dir: Path,
        *,
        retention_seconds: float,
        floor_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bucket = bucket
        self._waiting = Waiting(data_dir, floor_bytes)
        self._retention_seconds = retention_seconds
        self._clock = clock
        self._well = -math.inf
        self._ill = -math.inf
        self._why = StateUnavailable("the gateway's store of pictures was not asked yet")
        self._probe: asyncio.Task[None] | None = None
        self._mover: asyncio.Task[None] | None = None
        self._more = False
        self._better = asyncio.Event()

    async def start(self) -> None:
        """Try all that will be done with the bucket. Raises ConfigurationError where any of it fails: rather now than
        when a picture is paid for."""
        key, doing = f"{PROBE}-{secrets.token_hex(8)}", "writing"
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._bucket.put(key, [memoryview(b"imagegate")], "text/plain")
                doing = "reading"
                await self._bucket.get(key, 0, 1)
                doing = "listing"
                await self._bucket.folders(PICTURES)
                doing = "deleting"
                await self._bucket.delete([key])
        except (StateUnavailable, TimeoutError) as error:
            why = error.detail if isinstance(error, StateUnavailable) else f"no answer within {START_SECONDS:g} s"
            raise ConfigurationError(
                f"storage.url: {self._bucket.url}: {doing} failed: {why}; accepted: a bucket in which the "
                "credentials of the environment may write, read, list and delete"
            ) from error
        self._is_well()
        self._move_soon()

    async def put(self, content: Content, format: Format, *, durable: bool = True, seconds: float | None = None) -> str:
        due = self._clock() + (self._retention_seconds if seconds is None else seconds)
        place = new_place(format, math.ceil(due))
        await self._keep(place.name, pieces_of(content), format.media_type, durable=durable)
        return place.name

    async def prolong(self, name: str, seconds: float) -> None:
        place, due = place_of(name), math.ceil(self._clock() + seconds)
        if place is not None and due > place.due:  # a mark of a picture that is gone does no harm, and goes as well
            await self._keep(place.mark(due), NOTHING, "text/plain", durable=True)

    async def open(self, name: str) -> Stored | None:
        place = place_of(name)
        if place is None:
            return None
        found, trouble = None, None
        try:
            found = await self._bucket.head(place.key)
        except StateUnavailable as error:
            trouble = error
        if found is None:
            waiting = await self._waiting.open(name, place.format)
            if waiting is not None:
                return waiting
            if trouble is not None:
                raise trouble
            found = await self._bucket.head(place.key)  # it may have moved just now
            if found is None:
                return None
        return ObjectStored(name, place.format, found.modified, found.size, place.key, self._bucket)

    async def delete(self, name: str) -> None:
        place = place_of(name)
        if place is not None:
            await self._waiting.remove(name)
            await self._bucket.delete([place.key])

    async def sweep(self, now: float) -> int:
        folders = {*await self._bucket.folders(PICTURES), *await self._bucket.folders(KEPT)}
        swept = 0
        for hour in sorted(each for each in folders if _HOUR.fullmatch(each) and each <= hour_of(now)):
            swept += await self._sweep_hour(hour, now, SWEEP_MOST - swept)
            if swept >= SWEEP_MOST:
                break
        return swept

    async def _sweep_hour(self, hour: str, now: float, most: int) -> int:
        """Delete what is past its time of what was to go in that hour. Others may do the same at the same time: the
        last mark of a picture goes after it, so that a picture without one is due for all."""
        marks: dict[str, list[tuple[int, str]]] = {}
        async for page in self._bucket.objects(f"{KEPT}/{hour}"):
            for found in page:
                marked = mark_of(ours(found.key) or "")
                if marked is not None:
                    marks.setdefault(marked[0].name, []).append((marked[1], found.key))
        kept = {name for name, of_one in marks.items() if max(of_one)[0] >= now}
        swept = 0
        async for page in self._bucket.objects(f"{PICTURES}/{hour}"):
            swept += await self._delete_due(page, kept, now)
            if swept >= most:
                return swept
        await self._bucket.delete([key for name, of_one in marks.items() if name not in kept for _, key in of_one])
        return swept

    async def _delete_due(self, page: Sequence[Found], kept: set[str], now: float) -> int:
        places = [place for found in page if (place := place_of(ours(found.key) or "")) is not None]
        old = [place.key for place in places if place.due < now and place.name not in kept]
        await self._bucket.delete(old)
        return len(old)

    async def usage(self) -> Usage:
        files = size = 0
        async for page in self._bucket.objects(PICTURES):
            sizes = [found.size for found in page if ours(found.key)]
            files, size = files + len(sizes), size + sum(sizes)
        return Usage(files, size)

    async def free_bytes(self) -> None:
        """A bucket has no end."""

    async def check(self) -> None:
        now = time.monotonic()
        if now < self._well + FRESH_SECONDS:
            return
        if now < self._ill + FAILING_SECONDS:
            raise self._trouble()
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._ask())
        await asyncio.shield(self._probe)
        if self._ill > self._well:
            raise self._trouble()

    async def close(self) -> None:
        tasks = [task for task in (self._probe, self._mover) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._waiting.close()

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._bucket.put(PROBE, NOTHING, "text/plain")
        except TimeoutError:
            self._is_ill(StateUnavailable("the gateway's store of pictures does not answer"))
        except StateUnavailable as error:
            self._is_ill(error)
        else:
            self._is_well()

    async def _keep(self, name: str, pieces: Sequence[memoryview], media_type: str, *, durable: bool) -> None:
        """Put a picture or a mark; here, where the bucket fails and it must not be lost."""
        try:
            if durable and time.monotonic() < self._ill + FAILING_SECONDS:  # an answer has waited for it just now
                raise self._trouble()
            await self._put(name, pieces, media_type)
        except StateUnavailable as error:
            if not durable:
                raise
            await self._waiting.put(name, pieces)
            log.error("%s is not in the bucket and waits on this machine: %s", name, error.detail or error.message)
            self._move_soon()

    async def _put(self, name: str, pieces: Sequence[memoryview], media_type: str) -> None:
        key = key_of(name)
        assert key is not None  # noqa: S101  (a name of ours)
        try:
            await self._bucket.put(key, pieces, media_type)
        except StateUnavailable as error:
            self._is_ill(error)
            raise
        self._is_well()

    def _is_well(self) -> None:
        self._well, self._ill = time.monotonic(), -math.inf
        self._better.set()

    def _is_ill(self, why: StateUnavailable) -> None:
        self._well, self._ill, self._why = -math.inf, time.monotonic(), why

    def _trouble(self) -> StateUnavailable:
        return StateUnavailable(self._why.message, detail=self._why.detail)

    def _move_soon(self) -> None:
        self._more = True
        if self._mover is None or self._mover.done():
            self._mover = asyncio.create_task(self._move())

    async def _move(self) -> None:
        """Put what waits into the bucket, until nothing waits any more."""
        pause = MOVE_FIRST_SECONDS
        while True:
            try:
                self._more = False
                waited = await self._move_all()
                if not waited and not self._more:
                    return
                pause = MOVE_FIRST_SECONDS
                continue
            except OperatorError as error:
                log.warning("what waits for the bucket cannot be moved yet: %s", error.detail or error.message)
            except Exception:  # nobody else would ever move it
                log.exception("what waits for the bucket cannot be moved yet")
            self._better.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._better.wait()
            except TimeoutError:
                pause = min(MOVE_MOST_SECONDS, 2 * pause)

    async def _move_all(self) -> bool:
        """Move what waits, and tell whether anything did. One that cannot be read keeps back none of the others; why it
        cannot is raised after them."""
        names = [name for name in await self._waiting.names() if key_of(name) is not None]
        unread: OperatorError | None = None
        for name in names:
            try:
                data = await self._waiting.read(name)
            except OperatorError as error:
                unread = error
                continue
            if data is not None:
                await self._move_one(name, data)
        if unread is not None:
            raise unread
        return bool(names)

    async def _move_one(self, name: str, data: bytes) -> None:
        place = place_of(name)
        await self._put(name, [memoryview(data)], "text/plain" if place is None else place.format.media_type)
        await self._waiting.remove(name)
        log.info("%s is in the bucket now", name)
