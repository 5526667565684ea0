"""Rates: what each key may ask for in a minute, and at once.

A minute is the last 60 seconds, counted exactly: never more than the limit in any 60 seconds. Only what is admitted
counts. What a key is limited in is its entry in the configuration; what is not limited costs nothing.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from normalization.errors import RateLimitExceeded, RateNeverAllows

MINUTE = 60.0
BUSY_RETRY_SECONDS = 1.0
"""What a client is told to wait when all its places are taken: nobody knows when one becomes free."""


class Limited(Protocol):
    """A key's entry. None = no limit."""

    @property
    def name(self) -> str: ...

    @property
    def requests_per_minute(self) -> int | None: ...

    @property
    def images_per_minute(self) -> int | None: ...

    @property
    def max_concurrent(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Admission:
    """Leave to go on."""

    headers: Mapping[str, str]
    """`x-ratelimit-*-requests`, this request counted; empty where the key's requests are not limited."""


class Stay(Protocol):
    """A request as long as it goes on."""

    async def __aenter__(self) -> Admission: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Rates(Protocol):
    """Keeps keys to their limits."""

    def configure(self, entries: Iterable[Limited]) -> None:
        """Take over changed limits. What a key has used stays used."""
        ...

    def admit(self, key: str | None, images: int) -> Stay:
        """`async with rates.admit("web-team", 4) as admission:` is one request for so many pictures. It counts as
        concurrent until the block ends. `key`: a configured key's name; None, or a key without limits, may do all.

        Raises RateLimitExceeded on entering, with `retry_after` in seconds, and RateNeverAllows for more pictures than
        a minute ever allows; nothing is counted then.
        """
        ...

    async def headers(self, key: str | None) -> Mapping[str, str]:
        """The headers of `Admission` as they are now, for an answer to a request that was not admitted."""
        ...


class KeyRates:
    """`Rates` within one process, for one event loop. `clock` gives monotonic seconds; `shares`: the limits are a share
    of larger ones, and may grow."""

    def __init__(
        self, entries: Iterable[Limited], *, clock: Callable[[], float] = time.monotonic, shares: bool = False
    ) -> None:
        self._clock = clock
        self._shares = shares
        self._keys: dict[str, _Key] = {}
        self.configure(entries)

    def configure(self, entries: Iterable[Limited]) -> None:
        """Take over changed limits. What a key has used stays used."""
        keys = {}
        for entry in entries:
            key = self._keys.get(entry.name) or _Key(shares=self._shares)
            key.limit(entry)
            if key.limited:
                keys[entry.name] = key
        self._keys = keys

    def admit(self, key: str | None, images: int) -> KeyStay:
        return KeyStay(self._found(key), images, self._clock)

    async def headers(self, key: str | None) -> Mapping[str, str]:
        return self.headers_now(key)

    def headers_now(self, key: str | None) -> Mapping[str, str]:
        """What `headers` tells."""
        found = self._found(key)
        return {} if found is None else found.headers(self._clock())

    def in_progress(self, key: str) -> int:
        """How many requests of a limited key there are now."""
        found = self._keys.get(key)
        return 0 if found is None else found.in_progress

    def _found(self, key: str | None) -> _Key | None:
        return self._keys.get(key) if key is not None else None


class _Window:
    """What was used of one limit in the last minute. `limit` None: nothing is counted."""

    __slots__ = ("_total", "_used", "limit")

    def __init__(self) -> None:
        self.limit: int | None = None
        self._used: deque[tuple[float, int]] = deque()
        self._total = 0

    def remaining(self, now: float) -> int:
        """How much may be used now; 0 where there is no limit to tell of."""
        self._forget(now)
        return max(0, (self.limit or 0) - self._total)

    def wait(self, amount: int, now: float) -> float:
        """Seconds until so much may be used, 0.0 = now. A whole minute when it is more than the limit itself, which
        may be a share that grows."""
        self._forget(now)
        # More may be used already than there is: a limit that was lowered counts it all.
        missing = 0 if self.limit is None else amount + self._total - self.limit
        if missing <= 0:
            return 0.0
        for used_at, used in self._used:
            missing -= used
            if missing <= 0:
                return used_at + MINUTE - now
        return MINUTE

    def _forget(self, now: float) -> None:
        while self._used and self._used[0][0] + MINUTE <= now:
            self._total -= self._used.popleft()[1]

    def use(self, amount: int, now: float) -> None:
        if self.limit is not None:
            self._used.append((now, amount))
            self._total += amount

    def cleared_after(self, now: float) -> float:
        """Seconds until nothing counts any more."""
        return self._used[-1][0] + MINUTE - now if self._used else 0.0


class _Key:
    """One key's limits, and how much of them is used."""

    __slots__ = ("_shares", "images", "in_progress", "max_concurrent", "requests")

    def __init__(self, *, shares: bool) -> None:
        self._shares = shares
        self.requests = _Window()
        self.images = _Window()
        self.max_concurrent: int | None = None
        self.in_progress = 0

    def limit(self, entry: Limited) -> None:
        self.requests.limit = entry.requests_per_minute
        self.images.limit = entry.images_per_minute
        self.max_concurrent = entry.max_concurrent

    @property
    def limited(self) -> bool:
        return any(limit is not None for limit in (self.requests.limit, self.images.limit, self.max_concurrent))

    def enter(self, images: int, now: float) -> None:
        """Count one request for so many pictures, or raise RateLimitExceeded and count nothing."""
        if not self._shares:
            refuse_too_many_images(self.images.limit, images)
        wait = self.requests.wait(1, now)
        if wait > 0:
            raise too_many_requests(self.requests.limit, wait)
        wait = self.images.wait(images, now)
        if wait > 0:
            raise too_many_images(self.images.limit, images, self.images.remaining(now), wait)
        if self.max_concurrent is not None and self.in_progress >= self.max_concurrent:
            raise too_many_at_once(self.max_concurrent)
        self.count(images, now)

    def count(self, images: int, now: float) -> None:
        """Count a request that was admitted, by whomever."""
        self.requests.use(1, now)
        self.images.use(images, now)
        self.in_progress += 1

    def headers(self, now: float) -> Mapping[str, str]:
        limit = self.requests.limit
        if limit is None:
            return {}
        return rate_headers(limit, self.requests.remaining(now), self.requests.cleared_after(now))


def rate_headers(limit: int, remaining: int, reset: float) -> Mapping[str, str]:
    """What an answer tells of a limit in requests; `reset` in seconds."""
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(remaining),
        "x-ratelimit-reset-requests": f"{math.ceil(reset)}s",
    }


def too_many_requests(limit: int | None, wait: float) -> RateLimitExceeded:
    return _exceeded(f"this key may make {limit} requests a minute", wait)


def too_many_images(limit: int | None, asked: int, left: int, wait: float) -> RateLimitExceeded:
    return _exceeded(
        f"this key may ask for {limit} pictures a minute, this request asks for {asked}, and {left} are left", wait
    )


def refuse_too_many_images(limit: int | None, asked: int) -> None:
    """Raises RateNeverAllows for more pictures than a minute ever allows."""
    if limit is not None and asked > limit:
        raise RateNeverAllows(f"this key may ask for {limit} pictures a minute; ask for fewer")


def too_many_at_once(limit: int) -> RateLimitExceeded:
    return _exceeded(f"this key may have {limit} requests in progress, and has as many", BUSY_RETRY_SECONDS)


def _exceeded(what: str, seconds: float) -> RateLimitExceeded:
    return RateLimitExceeded(f"{what}; try again in {math.ceil(seconds)} s", retry_after=seconds)


class KeyStay:
    """One admitted request; without a key, of whoever is not limited: nothing to count, nothing to tell."""

    __slots__ = ("_clock", "_images", "_key")

    def __init__(self, key: _Key | None, images: int, clock: Callable[[], float]) -> None:
        self._key = key
        self._images = images
        self._clock = clock

    def begin(self) -> Admission:
        """What entering does, for whoever cannot stay within a block; `end` must follow unless this raises."""
        if self._key is None:
            return _FREE
        now = self._clock()
        self._key.enter(self._images, now)
        return Admission(self._key.headers(now))

    def count(self) -> None:
        """Count what somebody else has admitted, whatever the limits say; `end` must follow."""
        if self._key is not None:
            self._key.count(self._images, self._clock())

    def end(self) -> None:
        """The request is over."""
        if self._key is not None:
            self._key.in_progress -= 1

    async def __aenter__(self) -> Admission:
        return self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


_FREE = Admission({})
