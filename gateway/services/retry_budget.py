"""How many repeats a provider may get at a time: a share of its calls, so that repeats never make an outage worse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class RetryBudget:
    """Counts calls in progress and those of them that are being repeated, the pause before a repeat included.

    At most `percent` of the calls, or `least` where that is more, are repeated at a time.
    """

    def __init__(self, percent: int = 10, least: int = 2) -> None:
        self.percent, self.least = percent, least
        self.calls = 0
        self.repeats = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call from its first submission to the end of its last repeat."""
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1

    def take(self) -> bool:
        """Whether one more repeat may begin; `give_back` must follow each True."""
        if self.repeats >= max(self.least, self.calls * self.percent // 100):
            return False
        self.repeats += 1
        return True

    def give_back(self) -> None:
        self.repeats -= 1
