"""Pictures as files under the data directory, in 256 folders by the first two digits of their names; those that are
kept just in case together in packs.

A picture that has a name is whole and on the disk: it is written and synced under another name first. All file work
is done in threads of its own: a slow disk holds up neither the event loop nor anything else that needs a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gateway.services.storage import Content, Usage, format_of, new_name, pieces_of
from gateway.services.storage_packs import FOLDER, Packs
from gateway.services.storage_reading import FileStored, in_thread, translated
from normalization.errors import StorageFull
from normalization.vocabulary import Format

FLOOR_BYTES = 512_000_000
"""Free space below which nothing is kept any more: the records of attempts need room to the last."""
MOST_BYTES = 20_000_000_000
THREADS = 4
"""Read from a file at a time: a way to a thread and back costs more than the copying of a chunk."""
PART_SUFFIX = ".part"
PART_SECONDS = 3600.0
"""After this a file that was never finished was left behind by a crash."""


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    size: int
    modified: float
    part: bool
    """Not finished."""


class FileStorage:
    """`Storage` in `data_dir`/pictures. It refuses pictures that would leave less than `floor_bytes` free on the disk,
    and sweeps away the oldest beyond `most_bytes` altogether."""

    def __init__(
        self,
        data_dir: Path,
        *,
        retention_seconds: float,
        floor_bytes: int = FLOOR_BYTES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._root = data_dir / "pictures"
        self._retention_seconds = retention_seconds
        self._floor_bytes = floor_bytes
        self._most_bytes = most_bytes
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")
        self._packs = Packs(self._root / FOLDER, self._pool, self._make_room)

    async def put(self, content: Content, format: Format, *, durable: bool = True, seconds: float | None = None) -> str:
        pieces = pieces_of(content)
        if durable:
            return await in_thread(self._pool, self._put, pieces, format, seconds)
        try:
            return await self._packs.put(pieces, format)
        except OSError as error:
            raise translated(error) from error

    async def prolong(self, name: str, seconds: float) -> None:
        if format_of(name) is not None:
            await in_thread(self._pool, self._prolong, self._path(name), seconds)

    async def open(self, name: str) -> FileStored | None:
        format = format_of(name)
        if format is None:
            return await in_thread(self._pool, self._packs.open, name)
        return await in_thread(self._pool, self._open, name, format)

    async def delete(self, name: str) -> None:
        if format_of(name) is None:
            await in_thread(self._pool, self._packs.delete, name)
        else:
            await in_thread(self._pool, _unlink, self._path(name))

    async def sweep(self, now: float) -> int:
        return await in_thread(self._pool, self._sweep, now)

    async def usage(self) -> Usage:
        return await in_thread(self._pool, self._usage)

    async def free_bytes(self) -> int:
        return max(0, await in_thread(self._pool, self._room))

    async def check(self) -> None:
        await in_thread(self._pool, self._make_room, 0)

    async def close(self) -> None:
        await self._packs.close()
        self._pool.shutdown(wait=False)

    def _path(self, name: str) -> Path:
        return self._root / name[:2] / name

    def _put(self, pieces: Sequence[memoryview], format: Format, seconds: float | None) -> str:
        self._make_room(sum(piece.nbytes for piece in pieces))
        name = new_name(format)
        path = self._path(name)
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(mode=0o700)
            sync_directory(self._root)
        write_whole(path, pieces)
        if seconds is not None:
            self._prolong(path, seconds)
        return name

    def _prolong(self, path: Path, seconds: float) -> None:
        """A file's time of change is all that is known of its age: one that is to be kept longer is younger."""
        due = time.time() + seconds - self._retention_seconds
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < due:
                os.utime(path, (due, due))

    def _make_room(self, wanted: int) -> None:
        room = self._room()
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self._root))
        if room < wanted:
            raise StorageFull(
                "the gateway's disk is full; try again later",
                detail=f"less than {self._floor_bytes} bytes free (limits.disk_floor_bytes) under {self._root}",
            )

    def _room(self) -> int:
        """Bytes above the floor; below 0 where even that is not free."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return shutil.disk_usage(self._root).free - self._floor_bytes

    def _open(self, name: str, format: Format) -> FileStored | None:
        path = self._path(name)
        try:
            found = path.lstat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(found.st_mode):  # not made by us
            return None
        return FileStored(name, format, found.st_mtime, found.st_size, path, self._pool)

    def _sweep(self, now: float) -> int:
        swept = 0
        kept: list[_Found] = []
        for found in self._files():
            if found.modified < now - (PART_SECONDS if found.part else self._retention_seconds):
                swept += _unlink(found.path)
            elif not found.part:
                kept.append(found)
        excess = sum(found.size for found in kept) - self._most_bytes
        for found in sorted(kept, key=lambda each: each.modified):
            if excess <= 0:
                break
            swept += _unlink(found.path)
            excess -= found.size
        return swept

    def _usage(self) -> Usage:
        sizes = [found.size for found in self._files() if not found.part]
        return Usage(len(sizes), sum(sizes))

    def _files(self) -> Iterator[_Found]:
        """Every picture, finished or not, and every pack. What others left in our folders is not touched."""
        for number in range(256):
            with contextlib.suppress(FileNotFoundError), os.scandir(self._root / f"{number:02x}") as entries:
                for entry in entries:
                    if format_of(entry.name.removesuffix(PART_SUFFIX)) is None:
                        continue
                    with contextlib.suppress(FileNotFoundError):  # another process sweeps as well
                        about = entry.stat(follow_symlinks=False)
                        yield _Found(entry.path, about.st_size, about.st_mtime, entry.name.endswith(PART_SUFFIX))
        with contextlib.suppress(FileNotFoundError), os.scandir(self._root / FOLDER) as packs:
            for pack in packs:
                with contextlib.suppress(FileNotFoundError):
                    about = pack.stat(follow_symlinks=False)
                    yield _Found(pack.path, about.st_size, about.st_mtime, part=False)


def write_whole(path: Path, pieces: Sequence[memoryview]) -> None:
    """A file with these bytes that survives a power cut; it has its name once it is whole, or leaves nothing behind."""
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        _write_synced(part, pieces)
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _write_synced(path: Path, pieces: Sequence[memoryview]) -> None:
    """A new file with these bytes, synced to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb", buffering=0) as file:
        for piece in pieces:
            rest = piece
            while rest:
                rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Make a rename survive a power cut."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _unlink(path: str | Path) -> int:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return 0
    return 1
