"""Pictures that a client fetches by address: in memory, bounded, and for a while.

An address holds for at least `SURE_SECONDS`; after that, the oldest make room for new ones.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from providers.flux_worker.worker.pictures import Form

BYTES_MOST = 512 * 1024 * 1024
SURE_SECONDS = 600.0


class Full(Exception):
    """No room, and nothing is old enough to go."""


@dataclass(frozen=True, slots=True)
class Kept:
    data: bytes
    form: Form
    at: float


class Shelf:
    """Not thread-safe: it belongs to the loop."""

    def __init__(
        self,
        bytes_most: int = BYTES_MOST,
        sure_seconds: float = SURE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._sure, self._clock = bytes_most, sure_seconds, clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def put(self, data: bytes, form: Form) -> str:
        """The picture's id. Raises Full."""
        now = self._clock()
        while self._bytes + len(data) > self._most:
            first = next(iter(self._kept.values()), None)
            if first is None or now - first.at < self._sure:
                raise Full
            _, gone = self._kept.popitem(last=False)
            self._bytes -= len(gone.data)
        name = secrets.token_hex(16)
        self._kept[name] = Kept(data, form, now)
        self._bytes += len(data)
        return name

    def get(self, name: str) -> Kept | None:
        return self._kept.get(name)
