"""An allowance of bytes for what is worth doing only while it costs little: so many at once, and so many a second."""

from __future__ import annotations

import time
from collections.abc import Callable


class Allowance:
    """At most `most` bytes at once, and `per_second` again every second. `clock` gives monotonic seconds."""

    def __init__(self, most: int, per_second: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._per_second = per_second
        self._clock = clock
        self._left = float(most)
        self._then = clock()

    def take(self, size: int) -> bool:
        """Whether `size` bytes may be spent now; then they are. What is larger than all that there can be may go
        alone."""
        now = self._clock()
        self._left = min(float(self._most), self._left + (now - self._then) * self._per_second)
        self._then = now
        if self._left < min(size, self._most):
            return False
        self._left -= size
        return True
