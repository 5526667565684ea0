"""How many codec processes, and how much one picture may take of them."""

from __future__ import annotations

import os
from dataclasses import dataclass

MODULES = ("normalization.pictures", "providers.sketch*")
ORDINARY_PIXELS = 16 * 1024 * 1024
BYTES_A_PIXEL = 64
"""Address space for each pixel beyond the ordinary: a 40 megapixel AVIF takes half of it."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """`workers`: processes at most. `pixels_most`: in work at once; one larger job may run alone. `seconds_most`: of
    one job, in processor time, so that a busy machine kills nobody's picture; `wall_seconds_most`: by the clock, for
    what hangs. `memory_most`: bytes of address space of a child (larger pictures get more, in proportion).
    `jobs_most`: after so many a child is replaced. `idle_seconds`: after so long without work a child ends.
    `queue_most`: jobs that may wait, None = any number, since what waits may have been paid for. `modules`: where
    codec functions may lie."""

    workers: int = min(4, os.cpu_count() or 1)
    pixels_most: int = 64 * 1024 * 1024
    seconds_most: float = 20.0
    wall_seconds_most: float = 60.0
    memory_most: int = 1536 * 1024 * 1024
    jobs_most: int = 500
    idle_seconds: float = 60.0
    queue_most: int | None = None
    modules: tuple[str, ...] = MODULES

    def memory(self, pixels: int) -> int:
        """Bytes of address space for a job of that size."""
        return self.memory_most + BYTES_A_PIXEL * max(0, pixels - ORDINARY_PIXELS)
