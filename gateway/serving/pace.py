"""Whether a body comes fast enough. Asked by a timer, so that the bytes themselves pass at no cost."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["silent", "slow"]


class Pace:
    """At least `rate` bytes a second over every `seconds`, and never so long without any.

    So the last bytes of a body may be few, and a pause shorter than `seconds` costs nothing that the rest makes up for.
    """

    __slots__ = ("_began", "_excused", "_last", "_moved", "_rate", "_seconds")

    def __init__(self, rate: float, seconds: float, now: float) -> None:
        self._rate = rate
        self._seconds = seconds
        self.restart(now)

    def restart(self, now: float) -> None:
        """Begin anew: what was until now is forgotten."""
        self._began = self._last = now
        self._moved = 0
        self._excused = False

    def moved(self, amount: int, now: float) -> None:
        self._moved += amount
        self._last = now

    def excuse(self) -> None:
        """The other side was kept waiting by us: this span does not count."""
        self._excused = True

    @property
    def due(self) -> float:
        """When to ask again."""
        return min(self._last, self._began) + self._seconds

    def verdict(self, now: float) -> Verdict | None:
        """None = fast enough until now."""
        if now < self.due:
            return None
        if self._excused:
            self.restart(now)
            return None
        if now >= self._last + self._seconds:
            return "silent"
        if self._moved < self._rate * self._seconds:
            return "slow"
        last = self._last
        self.restart(now)
        self._last = last
        return None
