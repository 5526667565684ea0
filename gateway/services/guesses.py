"""Wrong keys: how many an address may try before it is no longer listened to.

A key of 256 random bits cannot be guessed; one that an operator thought up can, at thousands of tries a second. An
address with too many wrong ones in the last minute is refused before its key is compared with anything, so that even
the right one would look wrong. A key that was right from the same address before still opens: one client's mistakes,
or a stranger's behind the same proxy, do not shut out those who are at work there.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from normalization.errors import RateLimitExceeded

MINUTE = 60.0

REMEMBERED_MOST = 10_000
"""Addresses whose failures, and keys whose success, are remembered; the oldest are forgotten first."""

PAUSE_SECONDS = 1.0
"""What a wrong key waits for its answer while there are too many in all, from however many addresses."""


class Guesses:
    """`address`: whatever stands for a client's address. `clock` gives monotonic seconds."""

    def __init__(self, most: int, most_in_all: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._right: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._all: deque[float] = deque(maxlen=most_in_all)

    def check(self, address: str, digest: str) -> None:
        """Raises RateLimitExceeded, telling when to come again, where the key is not to be looked at."""
        wrong = self._wrong.get(address)
        if wrong is None or (address, digest) in self._right:
            return
        left = MINUTE - (self._clock() - wrong[0])
        if len(wrong) >= self._most and left > 0:
            raise RateLimitExceeded(
                f"{self._most} wrong API keys came from this address within a minute (limits.auth_failures_per_minute)",
                retry_after=math.ceil(left),
            )

    def failed(self, address: str) -> None:
        """A key from there was wrong."""
        now = self._clock()
        wrong = self._wrong.get(address)
        if wrong is None:
            wrong = self._wrong[address] = deque(maxlen=self._most)
            if len(self._wrong) > REMEMBERED_MOST:
                self._wrong.popitem(last=False)
        else:
            self._wrong.move_to_end(address)
        while wrong and now - wrong[0] >= MINUTE:
            wrong.popleft()
        wrong.append(now)
        self._all.append(now)

    def proved(self, address: str, digest: str) -> None:
        """A key from there was right."""
        known = (address, digest)
        if known in self._right:
            self._right.move_to_end(known)
            return
        self._right[known] = None
        if len(self._right) > REMEMBERED_MOST:
            self._right.popitem(last=False)

    @property
    def pause(self) -> float:
        """Seconds to wait before a key is called wrong; 0 where there were few of late."""
        full = len(self._all) == self._all.maxlen
        return PAUSE_SECONDS if full and self._clock() - self._all[0] < MINUTE else 0.0
