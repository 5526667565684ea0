"""Several workers of one machine, one process for each GPU: started, watched, replaced and ended together.

A process that crashed or was killed is started anew. One that ends by itself with an error has said why, and would say
it again: the others end with it.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType

log = logging.getLogger("imagegate.worker")

VISIBLE = "CUDA_VISIBLE_DEVICES"
CALM_SECONDS = 60.0
"""After so long a crash is the first again."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
OWN_WORDS = frozenset({1, 2})
"""Exit codes of a program that has said why it ends."""


def devices(count: int, environ: Mapping[str, str]) -> list[str]:
    """`CUDA_VISIBLE_DEVICES` of each process. Raises ValueError where the environment shows fewer than `count`."""
    visible = [part.strip() for part in environ.get(VISIBLE, "").split(",") if part.strip()]
    if not visible:
        return [str(index) for index in range(count)]
    if len(visible) < count:
        raise ValueError(f"{VISIBLE}={environ[VISIBLE]} shows {len(visible)} GPUs; at most so many can be used")
    return visible[:count]


@dataclass(slots=True)
class _Member:
    index: int
    device: str
    process: SpawnProcess
    began: float = field(default_factory=time.monotonic)
    crashes: int = 0
    again_at: float | None = None
    """When it is started anew; None = it runs, or its end was not seen yet, or all are to end."""


class Fleet:
    """`run` is the program of one process, given its number; it must be picklable, and what it returns is the exit
    code."""

    def __init__(self, run: Callable[[int], int], shown: list[str]) -> None:
        self._run, self._shown = run, shown
        self._context = multiprocessing.get_context("spawn")
        self._ending = False
        self._signals: list[int] = []
        """What came and is yet to be passed on: a handler runs at any moment, as while a process is being started."""
        self._members: list[_Member] = []

    def supervise(self) -> int:
        """Until SIGTERM or SIGINT, or until a process gives up; the exit code."""
        before = {sig: signal.signal(sig, self._told) for sig in (signal.SIGTERM, signal.SIGINT)}
        try:
            self._members = [
                _Member(index, device, self._started(index, device)) for index, device in enumerate(self._shown)
            ]
            return self._watched()
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _watched(self) -> int:
        code = 0
        while True:
            alive = [member for member in self._members if member.process.is_alive()]
            if self._ending and not alive:
                return code
            wait([member.process.sentinel for member in alive], timeout=0.2)
            while self._signals:
                self._end(self._signals.pop(0))
            for member in self._members:
                code = self._looked_after(member) or code

    def _looked_after(self, member: _Member) -> int:
        """A process that gave up: its exit code."""
        now = time.monotonic()
        if member.again_at is not None:
            if now >= member.again_at and not self._ending:
                member.process, member.began, member.again_at = self._started(member.index, member.device), now, None
            return 0
        ended = member.process.exitcode
        if ended is None or self._ending:
            return 0
        if ended in OWN_WORDS:
            self._end(signal.SIGTERM)
            return ended
        if now - member.began > CALM_SECONDS:
            member.crashes = 0
        pause = PAUSES[min(member.crashes, len(PAUSES) - 1)]
        log.error("the worker on GPU %s ended with %d; it is started anew in %g s", member.device, ended, pause)
        member.crashes, member.again_at = member.crashes + 1, now + pause
        return 0

    def _started(self, index: int, device: str) -> SpawnProcess:
        process = self._context.Process(target=_member, args=(self._run, index, device), name=f"GPU {device}")
        process.start()
        return process

    def _told(self, sig: int, frame: FrameType | None) -> None:
        self._signals.append(sig)

    def _end(self, sig: int) -> None:
        self._ending = True
        for member in self._members:
            if member.process.is_alive() and member.process.pid is not None:
                os.kill(member.process.pid, sig)


def _member(run: Callable[[int], int], index: int, device: str) -> None:
    if hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C would come twice: from it, and from us
    os.environ[VISIBLE] = device  # before torch is loaded, which reads it once
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(run(index))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
