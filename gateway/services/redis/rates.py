"""What each key may ask for in a minute and at once, counted for all replicas on Redis' clock.

In Redis lie each admitted request of the last minute and how many are in progress with each replica. Each replica notes
its own as well, so that it can keep the key to its share of the limits as soon as Redis is away.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from gateway.services.rates import (
    MINUTE,
    Admission,
    KeyRates,
    KeyStay,
    Limited,
    Stay,
    rate_headers,
    refuse_too_many_images,
    too_many_at_once,
    too_many_images,
    too_many_requests,
)
from gateway.services.redis.replica import ALIVE, Replica
from gateway.services.redis.wire import Command, Refused
from normalization.errors import StateUnavailable

ADMITTED, REQUESTS, IMAGES, AT_ONCE, UNKNOWN = 0, 1, 2, 3, -1

# KEYS: names seen, how many each has in progress, when which request was admitted, their pictures in all.
_FORGET = (
    ALIVE
    + """
local since = string.format('%.6f', now - 60)
local over = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', since)
if #over > 0 then
  local images = 0
  for _, each in ipairs(over) do images = images + (tonumber(string.match(each, ' (%d+)$')) or 0) end
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', since)
  redis.call('DECRBY', KEYS[4], images)
end
local used = redis.call('ZCARD', KEYS[3])
if used == 0 then redis.call('DEL', KEYS[4]) end
local function left_of(place)
  local at = redis.call('ZRANGE', KEYS[3], place, place, 'WITHSCORES')[2]
  return at and string.format('%.6f', math.max(0, tonumber(at) + 60 - now)) or '0'
end
"""
)
# ARGV[3]: pictures, [4], [5], [6]: limits, -1 = none, [7]: a name for the request, [8]: seconds to live.
ADMIT = (
    _FORGET
    + """
if not alive(me) then return {-1} end
local images, per_minute, pictures, at_once = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if per_minute >= 0 and used >= per_minute then return {1, left_of(used - per_minute)} end
local total = tonumber(redis.call('GET', KEYS[4])) or 0
local left = math.max(0, pictures - total)
if pictures >= 0 and images > left then
  local missing, from = images + total - pictures, 0
  while true do
    local some = redis.call('ZRANGE', KEYS[3], from, from + 99)
    if #some == 0 then return {2, '60', left} end
    for i, each in ipairs(some) do
      missing = missing - (tonumber(string.match(each, ' (%d+)$')) or 0)
      if missing <= 0 then return {2, left_of(from + i - 1), left} end
    end
    from = from + 100
  end
end
if at_once >= 0 and held(KEYS[2]) >= at_once then return {3} end
redis.call('ZADD', KEYS[3], string.format('%.6f', now), me .. '/' .. ARGV[7] .. ' ' .. ARGV[3])
redis.call('INCRBY', KEYS[4], images)
take(KEYS[2], ARGV[8])
redis.call('EXPIRE', KEYS[3], ARGV[8])
redis.call('EXPIRE', KEYS[4], ARGV[8])
return {0, used + 1}
"""
)
DEPART = (
    ALIVE
    + """
if alive(me) then let_go(KEYS[2], me) end
"""
)
TELL = (
    _FORGET
    + """
return {used, left_of(-1)}
"""
)
# ARGV[3]: our name until now, [4]: how many are in progress, [5]: seconds to live, [6], [7]...: when, and for how many
# pictures, requests were admitted meanwhile.
AGAIN = (
    _FORGET
    + """
redis.call('HDEL', KEYS[2], ARGV[3])
if tonumber(ARGV[4]) > 0 then redis.call('HSET', KEYS[2], me, ARGV[4]) end
for i = 6, #ARGV, 2 do
  redis.call('ZADD', KEYS[3], ARGV[i], me .. '/again' .. i .. ' ' .. ARGV[i + 1])
  redis.call('INCRBY', KEYS[4], ARGV[i + 1])
end
for i = 2, 4 do redis.call('EXPIRE', KEYS[i], ARGV[5]) end
"""
)
STILL = (
    ALIVE
    + """
if not alive(me) then return end
local known = tonumber(redis.call('HGET', KEYS[2], me)) or 0
if known < tonumber(ARGV[3]) then redis.call('HSET', KEYS[2], me, ARGV[3]) end
redis.call('EXPIRE', KEYS[2], ARGV[4])
"""
)
SCRIPTS = (ADMIT, DEPART, TELL, STILL, AGAIN)


@dataclass(frozen=True, slots=True)
class _Share:
    name: str
    requests_per_minute: int | None
    images_per_minute: int | None
    max_concurrent: int | None


class RedisRates:
    """`Rates` of one replica."""

    def __init__(
        self, replica: Replica, entries: Iterable[Limited], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.replica = replica
        self.clock = clock
        self.own = KeyRates((), clock=clock, shares=True)
        """What this replica admitted, and what it may admit alone."""
        scripts = (replica.connection.script(text) for text in SCRIPTS)
        self.script_admit, self.script_depart, self.script_tell, self._still, self._again = scripts
        self.numbers = itertools.count(1)
        self.ttl = max(int(2 * MINUTE), replica.ttl)
        self.entries: dict[str, Limited] = {}
        self._alone: deque[tuple[str, float, int]] = deque()
        self.configure(entries)
        replica.join("rates", self)

    def configure(self, entries: Iterable[Limited]) -> None:
        self.entries = {
            entry.name: entry
            for entry in entries
            if (entry.requests_per_minute, entry.images_per_minute, entry.max_concurrent) != (None, None, None)
        }
        share = self.replica.share
        self.own.configure(
            _Share(
                name,
                *(
                    None if limit is None else share(limit)
                    for limit in (entry.requests_per_minute, entry.images_per_minute, entry.max_concurrent)
                ),
            )
            for name, entry in self.entries.items()
        )

    def admit(self, key: str | None, images: int) -> Stay:
        if key is None or key not in self.entries:
            return self.own.admit(None, images)
        return RedisStay(self, key, images)

    async def headers(self, key: str | None) -> Mapping[str, str]:
        limit = self.entries[key].requests_per_minute if key in self.entries else None
        if key is None or limit is None:
            return {}
        if self.replica.counts_together:
            try:
                used, reset = await self.script_tell(self.keys(key), self.replica.args())
            except StateUnavailable as error:
                self.failed(error, key)
            else:
                return rate_headers(limit, max(0, limit - used), float(reset))
        return self.own.headers_now(key)

    def keys(self, key: str) -> tuple[str, ...]:
        of = self.replica.connection.key
        return self.replica.key, of("rate", "in", key), of("rate", "at", key), of("rate", "images", key)

    def failed(self, error: StateUnavailable, key: str) -> None:
        if isinstance(error, Refused):
            self.replica.spoilt(error.word, self.keys(key)[1:])

    def alone(self, key: str, images: int) -> None:
        """A request was admitted while nobody counts for all."""
        now = self.clock()
        self._alone.append((key, now, images))
        while self._alone[0][1] <= now - MINUTE:
            self._alone.popleft()

    # ---- what a member does

    def lost(self) -> None:
        self.configure(self.entries.values())  # by as many as are alive now

    def back(self, before: str) -> Iterable[Command]:
        told, self._alone = self._alone, deque()
        now, offset = self.clock(), self.replica.connection.now() - self.clock()
        for key in self.entries:
            meanwhile: list[str | float] = []
            for name, at, images in told:
                if name == key and at > now - MINUTE:
                    meanwhile += [f"{at + offset:.6f}", images]
            inside = self.own.in_progress(key)
            if inside or meanwhile:
                args = [*self.replica.args(), before, inside, self.ttl, *meanwhile]
                yield ("EVALSHA", self._again.sha, 4, *self.keys(key), *args)

    def beat(self) -> Iterable[Command]:
        for key in self.entries:
            inside = self.own.in_progress(key)
            if inside:
                yield ("EVALSHA", self._still.sha, 4, *self.keys(key), *self.replica.args(), inside, self.ttl)


class RedisStay:
    """One request of a limited key."""

    __slots__ = ("_images", "_key", "_limits", "_rates", "_stay")

    def __init__(self, rates: RedisRates, key: str, images: int) -> None:
        self._rates = rates
        self._key = key
        self._limits = rates.entries[key]
        """Those it came under: a reload may change them, or lift them, before it is admitted."""
        self._images = images
        self._stay: KeyStay = rates.own.admit(key, images)

    async def __aenter__(self) -> Admission:
        rates = self._rates
        refuse_too_many_images(self._limits.images_per_minute, self._images)
        if rates.replica.counts_together:
            name = rates.replica.name
            reply = rates.script_admit.begin(rates.keys(self._key), self._args())
            try:
                outcome, *told = await asyncio.shield(reply)
            except StateUnavailable as error:
                rates.failed(error, self._key)
            except asyncio.CancelledError:
                reply.add_done_callback(self._too_late)
                raise
            else:
                if outcome != UNKNOWN:
                    return self._decided(outcome, told, name)
                if name == rates.replica.name:  # nothing was heard of us for too long
                    rates.replica.begin_anew()
        admission = self._stay.begin()
        rates.alone(self._key, self._images)
        return admission

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stay.end()
        self._depart()

    def _args(self) -> list[str | float]:
        entry, replica = self._limits, self._rates.replica
        limits = (entry.requests_per_minute, entry.images_per_minute, entry.max_concurrent)
        known = [-1 if limit is None else limit for limit in limits]
        return [*replica.args(), self._images, *known, next(self._rates.numbers), self._rates.ttl]

    def _decided(self, outcome: int, told: list[Any], name: str) -> Admission:
        entry, rates = self._limits, self._rates
        if outcome == REQUESTS:
            raise too_many_requests(entry.requests_per_minute, float(told[0]))
        if outcome == IMAGES:
            raise too_many_images(entry.images_per_minute, self._images, told[1], float(told[0]))
        if outcome == AT_ONCE:
            raise too_many_at_once(entry.max_concurrent or 0)
        self._stay.count()
        if name != rates.replica.name:  # it was said meanwhile what we hold, and this was not among it
            rates.replica.begin_anew()
        limit = entry.requests_per_minute
        return Admission({} if limit is None else rate_headers(limit, max(0, limit - told[0]), MINUTE))

    def _depart(self) -> None:
        rates = self._rates
        if rates.replica.counts_together:
            rates.script_depart.begin(rates.keys(self._key), rates.replica.args())

    def _too_late(self, reply: asyncio.Future[Any]) -> None:
        """Whoever asked is gone; what was admitted stays used, but is in progress no more."""
        if reply.exception() is None and reply.result()[0] == ADMITTED:
            self._depart()
