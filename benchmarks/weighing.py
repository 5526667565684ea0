"""What a server weighs while it works: memory of its first process and of all, and the disk of its nameless files."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.processes import Server

EVERY_SECONDS = 0.1


@dataclass(slots=True)
class Weight:
    """The most that was seen, in bytes; `files` is how many more were open than before."""

    tree: int = 0
    """RSS of all processes at one time. Pages that they share count in each."""
    alone: int = 0
    """RSS of the first process, by the kernel's own mark."""
    idle: int = 0
    """RSS of the first process before."""
    disk: int = 0
    """Of files that have no name any more."""
    files: int = 0

    @property
    def growth(self) -> int:
        return self.alone - self.idle


class Weighing:
    """A context manager: `weight` is what the server came to while it was entered. `every`: seconds between looks,
    which take longer the more files are open."""

    def __init__(self, server: Server, every: float = EVERY_SECONDS) -> None:
        self.weight = Weight()
        self._every = every
        self._server = server
        self._first = server.pids()[0]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._server.forget_peak()
        self.weight.idle = self._server.memory_bytes(pids=[self._first])
        self._files = self._open()[0]
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        self.weight.alone = self._server.memory_bytes("VmHWM", pids=[self._first])

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def _look(self) -> None:
        weight = self.weight
        weight.tree = max(weight.tree, self._server.memory_bytes())
        files, disk = self._open()
        weight.files, weight.disk = max(weight.files, files - self._files), max(weight.disk, disk)

    def _open(self) -> tuple[int, int]:
        found = [nameless(pid) for pid in self._server.pids()]
        return sum(files for files, _ in found), sum(disk for _, disk in found)


def nameless(pid: int) -> tuple[int, int]:
    """How many files a process has open, and the bytes on disk of those among them that have no name."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        names = os.listdir(folder)
    except OSError:
        return 0, 0
    disk = 0
    for name in names:
        with contextlib.suppress(OSError):
            said = os.stat(folder / name)
            if not said.st_nlink:
                disk += said.st_blocks * 512
    return len(names), disk
