"""The spool: input pictures lie in nameless files while a request lives, so that uploads take disk and not memory.

A file of the spool has no name from the start: whatever ends the process, nothing is left behind. It is closed with the
last reference to it, so that a job that outlives its request keeps its pictures.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from normalization.errors import StateUnavailable, StorageFull
from normalization.vocabulary import Held

FOLDER = "spool"
_FULL = frozenset({"ENOSPC", "EDQUOT", "EFBIG"})


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
            yield self._at(start, min(most, self.length - start))

    def read(self) -> bytes:
        return self._at(0, self.length)

    def mapped(self) -> mmap.mmap:
        """What was written, as memory that the system may take back at any time: for looking through, read-only. Not
        for an empty file. Raises StateUnavailable."""
        try:
            return mmap.mmap(self._descriptor, self.length, access=mmap.ACCESS_READ)
        except OSError as error:
            raise StateUnavailable(f"a spooled file cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Give the disk back now. What is read afterwards is an error."""
        self._close()

    def _at(self, start: int, length: int) -> bytes:
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
        return Spooled(descriptor)


def _trouble(error: OSError) -> StorageFull | StateUnavailable:
    if errno.errorcode.get(error.errno or 0) in _FULL:
        return StorageFull("the disk has no room for input pictures; try again later")
    return StateUnavailable(f"input pictures cannot be kept: {error.strerror}")
