"""What could not be put into the bucket and waits on this machine's disk: finished pictures are paid for.

A file is called as the object will be, written and synced before it gets that name. Several processes may work on the
folder: each moves what it finds, and that one object is put twice does no harm.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.services.storage_file import PART_SECONDS, PART_SUFFIX, write_whole
from gateway.services.storage_reading import FileStored, in_thread
from normalization.errors import StorageFull
from normalization.vocabulary import Format

FOLDER = "waiting"


class Waiting:
    """The files in `data_dir`/waiting. It leaves `floor_bytes` free on the disk. Each method raises StorageFull or
    StateUnavailable."""

    def __init__(self, data_dir: Path, floor_bytes: int) -> None:
        self._folder = data_dir / FOLDER
        self._floor_bytes = floor_bytes
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="waiting")

    async def put(self, name: str, pieces: Sequence[memoryview]) -> None:
        """Keep a file; it survives a power cut from then on."""
        await in_thread(self._pool, self._put, name, pieces)

    async def open(self, name: str, format: Format) -> FileStored | None:
        """The picture of that name; None where it does not wait."""
        return await in_thread(self._pool, self._open, name, format)

    async def read(self, name: str) -> bytes | None:
        """All of a file; None where it is gone by now."""
        return await in_thread(self._pool, self._read, name)

    async def names(self) -> list[str]:
        """What waits, the oldest first. What a crash left half written is deleted."""
        return await in_thread(self._pool, self._names)

    async def remove(self, name: str) -> None:
        """Let go of a file; nothing where there is none."""
        await in_thread(self._pool, self._remove, name)

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def _put(self, name: str, pieces: Sequence[memoryview]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free - self._floor_bytes < sum(piece.nbytes for piece in pieces):
            raise StorageFull(
                "the gateway's disk is full; try again later",
                detail=f"less than {self._floor_bytes} bytes free (limits.disk_floor_bytes) under {self._folder}",
            )
        write_whole(self._folder / name, pieces)

    def _open(self, name: str, format: Format) -> FileStored | None:
        path = self._folder / name
        try:
            about = path.lstat()
        except FileNotFoundError:
            return None
        return FileStored(name, format, about.st_mtime, about.st_size, path, self._pool)

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def _names(self) -> list[str]:
        found: list[tuple[float, str]] = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another process moved it
                    written = entry.stat(follow_symlinks=False).st_mtime
                    if not entry.name.endswith(PART_SUFFIX):
                        found.append((written, entry.name))
                    elif written < time.time() - PART_SECONDS:
                        os.unlink(entry.path)
        return [name for _, name in sorted(found)]

    def _remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
