"""Many pictures in few files: kept just in case, written without waiting for the disk, and deleted file by file.

A file system takes longer to make a file than to write a small picture into one that is open. What lies in a pack has a
name that says where; a pack is closed after a while and deleted when everything in it is old.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.services.storage import FORMATS
from gateway.services.storage_reading import FileStored
from normalization.errors import StateUnavailable
from normalization.vocabulary import Format

FOLDER = "packs"
PACK_BYTES = 256 * 1024 * 1024
PACK_SECONDS = 600.0
"""A pack of which so much is written, or that is so old, gets no more."""
BATCH_BYTES = 1024 * 1024
ZEROS = bytes(BATCH_BYTES)
HEAD_BYTES = 16
"""No format of pictures begins with so many zeros: they tell that a picture was deleted."""
GATHER_SECONDS = 0.02
"""Between two writes, unless much waits: a way to a thread and back costs more than to write a small picture."""
IOV_MOST = 512
"""Pieces that one call writes; the system's own limit is 1024."""

_NAME = re.compile(r"([0-9a-f]{32})-([0-9a-f]{1,12})-([0-9a-f]{1,10})\.([a-z]+)")


class Packs:
    """The packs in a folder, for one event loop. This process writes into one of its own, one call at a time; what
    comes meanwhile, or soon after, goes with the next."""

    def __init__(self, folder: Path, pool: ThreadPoolExecutor, make_room: Callable[[int], None]) -> None:
        """`make_room` raises where the disk has no room for so many bytes; it blocks."""
        self._folder = folder
        self._pool = pool
        self._make_room = make_room
        self._pack = _Pack(folder)
        self._waiting: list[tuple[Sequence[memoryview], asyncio.Future[tuple[str, int]]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._rested = 0.0
        """When little may be written again, on the loop's clock."""

    async def put(self, pieces: Sequence[memoryview], format: Format) -> str:
        """Keep a picture and return its name. Raises OSError, what `make_room` does, and StateUnavailable after
        `close`."""
        if self._closed:
            raise _closed()
        place: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((pieces, place))
        self._write_when_due()
        pack, offset = await place
        return f"{pack}-{offset:x}-{_size(pieces):x}.{format.extension}"

    def _write_when_due(self) -> None:
        """Write at once what comes alone or is much, and small pictures that follow each other together."""
        if self._writing is not None or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        rest = self._rested - loop.time()
        if rest > 0 and sum(_size(pieces) for pieces, _ in self._waiting) < BATCH_BYTES:
            self._timer = self._timer or loop.call_later(rest, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._writing = None, asyncio.create_task(self._write())

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            batch = self._next()
            try:
                if self._pack.full:
                    self._begin_another()
                offsets = await loop.run_in_executor(self._pool, self._append, [pieces for pieces, _ in batch])
            except Exception as error:  # whatever it is: nobody else would ever tell those who wait
                _tell(batch, error)
                return
            for (_, place), offset in zip(batch, offsets, strict=True):
                if not place.done():
                    place.set_result((self._pack.name, offset))
        finally:
            self._writing, self._rested = None, loop.time() + GATHER_SECONDS
            if not self._closed:
                self._write_when_due()

    def _next(self) -> list[tuple[Sequence[memoryview], asyncio.Future[tuple[str, int]]]]:
        """What goes with the next call: small pictures together, so that large ones are soon let go of."""
        count, size = 0, 0
        while count < len(self._waiting) and (not count or size < BATCH_BYTES):
            size += _size(self._waiting[count][0])
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _append(self, pictures: list[Sequence[memoryview]]) -> list[int]:
        self._make_room(sum(map(_size, pictures)))
        offsets = self._pack.append(pictures)
        if self._pack.swept:  # its file was deleted under us, and what was written to it just now with it
            self._begin_another()
            offsets = self._pack.append(pictures)
        return offsets

    def _begin_another(self) -> None:
        old, self._pack = self._pack, _Pack(self._folder)
        old.close()

    def open(self, name: str) -> FileStored | None:
        """The picture of that name; None where there is none. Blocks."""
        place = self._place(name)
        if place is None:
            return None
        path, offset, size, format = place
        try:
            with _opened(path, os.O_RDONLY) as file:
                about = os.fstat(file)
                head = os.pread(file, min(size, HEAD_BYTES), offset)
        except FileNotFoundError:
            return None
        if about.st_size < offset + size or (size and not any(head)):
            return None
        return FileStored(name, format, about.st_mtime, size, path, self._pool, offset)

    def delete(self, name: str) -> None:
        """Write zeros where the picture of that name is; what lies beside it stays, and goes with its time. Blocks."""
        place = self._place(name)
        if place is None:
            return
        path, offset, size, _ = place
        with contextlib.suppress(FileNotFoundError), _opened(path, os.O_WRONLY) as file:
            about = os.fstat(file)
            end = offset + size
            while about.st_size >= end and offset < end:
                offset += os.pwrite(file, ZEROS[: end - offset], offset)
            os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))

    def _place(self, name: str) -> tuple[Path, int, int, Format] | None:
        """Where a picture of that name would be: file, offset, size; None where the text is no name."""
        found = _NAME.fullmatch(name)
        format = None if found is None else FORMATS.get(found[4])
        if found is None or format is None:
            return None
        return self._folder / found[1], int(found[2], 16), int(found[3], 16), format

    async def close(self) -> None:
        """Write no more. What is being written is written first: a thread that wrote on into a file that is closed
        would write into whatever gets its number next."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await asyncio.wait({self._writing})
        left, self._waiting = self._waiting, []
        _tell(left, _closed())
        self._pack.close()


class _Pack:
    """One file, made when the first picture comes."""

    def __init__(self, folder: Path) -> None:
        self.name = secrets.token_hex(16)
        self._path = folder / self.name
        self._began = time.monotonic()
        self._file: int | None = None
        self._end = 0
        self.swept = False
        """Its file was deleted while it was written to."""

    @property
    def full(self) -> bool:
        return self.swept or self._end >= PACK_BYTES or time.monotonic() - self._began > PACK_SECONDS

    def append(self, pictures: list[Sequence[memoryview]]) -> list[int]:
        """Write the pictures one after the other, and return where each begins. Blocks."""
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o600)
        offsets, position = [], self._end
        for pieces in pictures:
            offsets.append(position)
            position += _size(pieces)
        left = [piece for pieces in pictures for piece in pieces if piece.nbytes]
        at = self._end
        while left:
            written = os.pwritev(self._file, left[:IOV_MOST], at)
            at += written
            while left and written >= left[0].nbytes:
                written -= left.pop(0).nbytes
            if written:
                left[0] = left[0][written:]
        self._end = position
        self.swept = os.fstat(self._file).st_nlink == 0
        return offsets

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def _closed() -> StateUnavailable:
    return StateUnavailable("the gateway is shutting down; try again in a moment")


def _size(pieces: Sequence[memoryview]) -> int:
    return sum(piece.nbytes for piece in pieces)


def _tell(batch: Sequence[tuple[Sequence[memoryview], asyncio.Future[tuple[str, int]]]], error: Exception) -> None:
    for _, place in batch:
        if not place.done():
            place.set_exception(error)
