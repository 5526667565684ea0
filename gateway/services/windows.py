"""How a provider's calls went lately: the share that went well, and how long pictures took."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

WINDOW_SECONDS = 300.0
CALLS_MOST = 5_000
"""Calls that are remembered; of a provider with more in the window the latest count."""
TIMES_MOST = 500
"""Times that percentiles are taken of, the latest."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of a window: how many told something of the provider, how many of them went well, and the seconds of
    those that brought pictures, the latest first."""

    count: int = 0
    well: int = 0
    seconds: tuple[float, ...] = ()


class Window:
    """Of one provider. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: deque[tuple[float, bool, float | None]] = deque(maxlen=CALLS_MOST)

    def note(self, well: bool, seconds: float | None) -> None:
        """A call has ended that tells something of the provider; `seconds` where it brought pictures."""
        self._calls.append((self._clock(), well, seconds))

    def calls(self) -> Calls:
        """Those of the last five minutes."""
        oldest = self._clock() - WINDOW_SECONDS
        while self._calls and self._calls[0][0] < oldest:
            self._calls.popleft()
        times = (seconds for _, _, seconds in reversed(self._calls) if seconds is not None)
        well = sum(well for _, well, _ in self._calls)
        return Calls(len(self._calls), well, tuple(islice(times, TIMES_MOST)))


def together(calls: Iterable[Calls]) -> Calls:
    """The calls of several processes."""
    count, well = 0, 0
    seconds: list[float] = []
    for each in calls:
        count, well = count + each.count, well + each.well
        seconds += each.seconds
    return Calls(count, well, tuple(seconds))


def percentile(values: Iterable[float], percent: int) -> float | None:
    """A percentile by nearest rank: a value that was measured, not one between two; None where there is none."""
    found = sorted(values)
    return found[rank(len(found), percent) - 1] if found else None


def rank(count: int, percent: int) -> int:
    """The nearest rank of a percentile among so many, counted from 1."""
    return max(1, -(-count * percent // 100))
