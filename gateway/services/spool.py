"""The spool: input pictures lie in nameless files while a request lives, so that uploads take disk and not memory.

A file of the spool has no name from the start: whatever ends the process, nothing is left behind. What a request brings
is closed when it ends, or with the work that it began, which may outlive it; at the latest with the last reference.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from normalization.errors import StateUnavailable, StorageFull
from normalization.vocabulary import Held

FOLDER = "spool"
VIEW_BYTES = 256 * 1024
_FULL = frozenset({"ENOSPC", "EDQUOT", "EFBIG"})
_CLOSED = -1


@dataclass(slots=True)
class Brought:
    """The files of one request, and whether work has begun that needs them for longer than the request lasts."""

    files: list[Spooled] = field(default_factory=list)
    kept: bool = False
    ended: bool = False


_brought: ContextVar[Brought | None] = ContextVar("brought", default=None)


@contextlib.contextmanager
def request_scope() -> Iterator[None]:
    """The files made inside, also in tasks that begin there, are closed at the end unless `keep` was called."""
    brought = Brought()
    token = _brought.set(brought)
    try:
        yield
    finally:
        _brought.reset(token)
        brought.ended = True
        if not brought.kept:
            for file in brought.files:
                file.close()
        brought.files.clear()


def keep() -> None:
    """Leave the files of this request to the work that begins now."""
    brought = _brought.get()
    if brought is not None:
        brought.kept = True


class Spooled:
    """One file: written once from the start to the end, then read as often as needed, from any thread. As `Content` it
    is what was written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._digest = hashlib.sha256()
        self.length = 0
        self._close = weakref.finalize(self, os.close, descriptor)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the end. Raises StorageFull where the disk is full, StateUnavailable where it fails."""
        left = memoryview(data).cast("B")
        self._digest.update(left)
        try:
            while left:
                written = os.pwrite(self._descriptor, left, self.length)
                self.length += written
                left = left[written:]
        except OSError as error:
            raise _trouble(error) from error

    @property
    def sha256(self) -> str:
        """Of what was written so far, in lower-case hexadecimal."""
        return self._digest.hexdigest()

    def slices(self, most: int) -> Iterator[bytes]:
        for start in range(0, self.length, most):
            yield self.part(start, min(most, self.length - start))

    def read(self) -> bytes:
        return self.part(0, self.length)

    def view(self) -> View:
        """What was written so far, for looking through."""
        return View(self)

    def close(self) -> None:
        """Give the disk back now, while nobody reads or writes. Reading afterwards raises StateUnavailable."""
        self._descriptor = _CLOSED  # the number may be another file's at once
        self._close()

    def part(self, start: int, length: int) -> bytes:
        """So many bytes from `start` on. Raises StateUnavailable, also where there are fewer."""
        try:
            data = os.pread(self._descriptor, length, start)
            while len(data) < length:
                more = os.pread(self._descriptor, length - len(data), start + len(data))
                if not more:
                    raise StateUnavailable("a spooled picture is shorter than it was written")
                data += more
        except OSError as error:
            raise StateUnavailable(f"a spooled picture cannot be read: {error.strerror}") from error
        return data

    def __reduce__(self) -> tuple[Any, ...]:
        """A codec process has its own memory and no part in our files: there it is the bytes themselves."""
        return Held, (self.read(),)


class View:
    """A spooled file as if it were bytes, of which never more than VIEW_BYTES are held for looking through: memory that
    is mapped would count as ours for as long as it is mapped. For one thread."""

    def __init__(self, file: Spooled) -> None:
        self._file = file
        self._length = file.length
        self._start = 0
        self._held = b""

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> bytes:
        """A slice without a step, from and to places that are not negative. Errors are those of `Spooled.part`."""
        start = min(part.start or 0, self._length)
        end = max(start, self._length if part.stop is None else min(part.stop, self._length))
        if end - start > VIEW_BYTES:
            return self._file.part(start, end - start)
        self._hold(start, end)
        return self._held[start - self._start : end - self._start]

    def find(self, byte: bytes, start: int, end: int | None = None) -> int:
        """Where one byte comes first, as `bytes.find` tells it."""
        end = self._length if end is None else min(end, self._length)
        while start < end:
            self._hold(start, start + 1)
            found = self._held.find(byte, start - self._start, end - self._start)
            if found >= 0:
                return self._start + found
            start = self._start + len(self._held)
        return -1

    def _hold(self, start: int, end: int) -> None:
        if not self._start <= start <= end <= self._start + len(self._held):
            self._held = b""  # not two at a time
            self._start, self._held = start, self._file.part(start, min(VIEW_BYTES, self._length - start))


class Spool:
    """Makes spooled files in a folder of the data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def new(self) -> Spooled:
        """An empty file. Raises StorageFull or StateUnavailable."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder)
            os.unlink(name)
        except OSError as error:
            raise _trouble(error) from error
        made = Spooled(descriptor)
        brought = _brought.get()
        if brought is not None and brought.ended and not brought.kept:
            made.close()  # for work that goes on a little after its request was refused
        elif brought is not None:
            brought.files.append(made)
        return made


def _trouble(error: OSError) -> StorageFull | StateUnavailable:
    if errno.errorcode.get(error.errno or 0) in _FULL:
        return StorageFull("the disk has no room for input pictures; try again later")
    return StateUnavailable(f"input pictures cannot be kept: {error.strerror}")
