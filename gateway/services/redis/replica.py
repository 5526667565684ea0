"""This process among its equals: who is alive, by which name it counts, and what it says when Redis is back.

Whatever is held in Redis is held by a replica under a name, and a name counts as long as it was seen within the lease.
So one beat renews everything that a process holds, and whoever dies holds nothing once the lease is over.

Each time that Redis comes back a process takes a new name and says anew what it holds. What it had sent under the old
one, and nobody knows whether it arrived, then counts for nothing, even where it arrives late.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from gateway.services.redis.connection import RedisConnection
from gateway.services.redis.wire import Argument, Command, Refused
from normalization.errors import StateUnavailable

log = logging.getLogger("imagegate.redis")

LEASE_SECONDS = 30.0
BEAT_SECONDS = 10.0

ALIVE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local me, lease = ARGV[1], tonumber(ARGV[2])
local function alive(id)
  local seen = redis.call('ZSCORE', KEYS[1], id)
  return seen and tonumber(seen) > now - lease
end
local function held(key)
  local total, counts = 0, redis.call('HGETALL', key)
  for i = 1, #counts, 2 do
    if alive(counts[i]) then
      total = total + tonumber(counts[i + 1])
    else
      redis.call('HDEL', key, counts[i])
    end
  end
  return total
end
local function take(key, ttl)
  redis.call('HINCRBY', key, me, 1)
  redis.call('EXPIRE', key, ttl)
end
local function let_go(key, id)
  if redis.call('HINCRBY', key, id, -1) < 1 then redis.call('HDEL', key, id) end
end
"""
"""What every script of those that count begins with. KEYS[1]: when each name was seen last, by Redis' clock. ARGV: our
name, and the lease."""

# ARGV[3]: seconds to live, [4...]: our names until now.
_BEAT = (
    ALIVE
    + """
local known = alive(me) and 1 or 0
for i = 4, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
redis.call('ZADD', KEYS[1], string.format('%.6f', now), me)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now - lease))
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {known, redis.call('ZRANGE', KEYS[1], 0, -1)}
"""
)


class Member(Protocol):
    """Something that holds places in Redis."""

    def lost(self) -> None:
        """Redis is away: from here on count alone."""
        ...

    def back(self, before: str) -> Iterable[Command]:
        """What is to be carried out so that Redis knows what is held and waited for; `before`: our name until now."""
        ...

    def beat(self) -> Iterable[Command]:
        """What is to be carried out from time to time as long as Redis is there."""
        ...


class Replica:
    """One process. `lease` and `beat` in seconds."""

    def __init__(
        self, connection: RedisConnection, *, lease: float = LEASE_SECONDS, beat: float = BEAT_SECONDS
    ) -> None:
        self.connection = connection
        self.lease = lease
        self.base = secrets.token_hex(8)
        self.name = ""
        """Under which we count; another one each time that Redis is back."""
        self.others: list[str] = []
        """The bases of the others that were alive at the last beat."""
        self.members: dict[str, Member] = {}
        self.on_thrown_away: Callable[[], None] = lambda: None
        """Called when others, too, are to say anew what they hold."""
        self.key = connection.key("replicas")
        self.ttl = max(60, int(4 * lease))
        self._every = beat
        self._epoch = 0
        self._refusing = False
        self._given_up: list[str] = []
        """Names that Redis may still take for alive."""
        self._script = connection.script(_BEAT)
        self._beating: asyncio.Task[None] | None = None
        connection.on_lost(self._lost)
        connection.on_back(self.begin_anew)

    @property
    def counts_together(self) -> bool:
        """Whether Redis counts now."""
        return self.connection.available and not self._refusing and bool(self.name)

    def share(self, limit: int) -> int:
        """What this process may have of a limit while nobody counts for all; never nothing."""
        return max(1, limit // (len(self.others) + 1))

    def args(self) -> tuple[str, float]:
        """What each script's arguments begin with."""
        return self.name, self.lease

    def join(self, name: str, member: Member) -> None:
        """Have it told what happens, until `members` holds it no more."""
        self.members[name] = member

    def start(self) -> None:
        self._beating = asyncio.ensure_future(self._beat())

    def close(self) -> None:
        """Hold nothing any more."""
        if self._beating is not None:
            self._beating.cancel()
        if self.name:
            self.connection.send([("ZREM", self.key, self.name)])
            self.name = ""

    def begin_anew(self) -> None:
        """Take a new name, and say under it what is held. Everything goes off at once, before what others send."""
        before, self._epoch = self.name, self._epoch + 1
        if before:
            self._given_up.append(before)
        self.name = f"{self.base}.{self._epoch}"
        self._say_alive()
        self.connection.send(self._said(lambda member: member.back(before)))

    def spoilt(self, word: str, keys: Sequence[str]) -> None:
        """A script failed in Redis. Keys that hold something else than we put there are thrown away, and what we hold
        is said anew; else Redis is as good as away, until a beat goes well."""
        if word == "WRONGTYPE":
            log.warning("what lay in Redis (state.url) under %s is not ours, and is thrown away", ", ".join(keys))
            self.connection.send([("DEL", *keys)])
            self.begin_anew()
            self.on_thrown_away()
        elif not self._refusing:
            log.error("Redis (state.url) refuses to count: %s; each replica keeps to its share until it does", word)
            self._refusing = True
            self._lost()

    def _lost(self) -> None:
        def lost(member: Member) -> Iterable[Command]:
            member.lost()
            return ()

        self._said(lost)

    def _said(self, say: Callable[[Member], Iterable[Command]]) -> list[Command]:
        """What each member says. One that fails is left out: the others would hold nothing without their word."""
        commands: list[Command] = []
        for name, member in list(self.members.items()):
            try:
                commands += list(say(member))
            except Exception:
                log.exception("what is held of %s could not be said", name)
        return commands

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            if self.connection.available and self.name:
                self._say_alive(again=True)
                if not self._refusing:
                    self.connection.send(self._said(lambda member: member.beat()))

    def _say_alive(self, *, again: bool = False) -> None:
        name, given_up = self.name, tuple(self._given_up)

        def heard(reply: asyncio.Future[Any]) -> None:
            try:
                known, names = reply.result()
            except Refused as error:
                self.spoilt(error.word, [self.key])
                return
            except StateUnavailable:
                return
            self._given_up = [each for each in self._given_up if each not in given_up]
            bases = {each.decode("ascii", "replace").partition(".")[0] for each in names}
            self.others = sorted(bases - {self.base})
            if again and name == self.name and (self._refusing or not known):
                self._refusing = False  # or we were held up for longer than the lease
                self.begin_anew()

        told = self._script.begin([self.key], [*self.args(), self.ttl, *given_up])
        told.add_done_callback(heard)


def scripted(sha: str, keys: Sequence[str], args: Sequence[Argument]) -> Command:
    """A script as a command among others; for one that Redis was told when we connected."""
    return ("EVALSHA", sha, len(keys), *keys, *args)
