"""The one way to Redis that a process has: it comes back by itself, and nobody waits for it while it is gone.

Two connections that live and die together: one for commands, one that hears. A command is answered within `timeout`, or
fails with StateUnavailable; from then on each fails at once, until Redis is back, which is tried in the background.
Only what cannot do without it is held back for a moment, where it asks `patiently`.
Neither a host nor a password stands in what is raised or logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from gateway.config.redis_url import ACCEPTED, RedisUrl
from gateway.services.redis.ear import Ear, Heard
from gateway.services.redis.health import fields_of, warnings_of
from gateway.services.redis.script import Script, sound
from gateway.services.redis.sealing import MAC_BYTES, Seal, dumped
from gateway.services.redis.trouble import mistake, outage
from gateway.services.redis.wire import Argument, Command, Refused, Wire, away, unconnected
from normalization.errors import ConfigurationError, StateUnavailable

log = logging.getLogger("imagegate.redis")

T = TypeVar("T")

PATIENCE_SECONDS = 2.0
"""How long what cannot do without Redis is held back after it was lost, rather than refused: a busy machine answers
late, and is back at once."""
BEAT_SECONDS = 2.0
"""Between looks at whether Redis is there, and at its clock."""
AGAIN_FIRST_SECONDS = 0.1
AGAIN_MOST_SECONDS = 5.0
"""Between attempts to come back."""
HANDSHAKE_SECONDS = 3.0


class RedisConnection:
    """For one event loop. `key`: what pictures' URLs are signed with; it seals what lies in Redis.

    `start` once; nothing before it is answered.
    """

    def __init__(self, url: RedisUrl, key: bytes) -> None:
        self._url = url
        self.timeout = url.timeout
        """Seconds within which any command is answered, or Redis is lost."""
        self.prefix = url.prefix
        self.seal = Seal(key)
        self.latency = 0.0
        """Seconds that the last look took."""
        self._offset = time.time() - time.monotonic()
        self._wire: Wire | None = None
        self._ear: Ear | None = None
        self._scripts: dict[str, Script] = {}
        self._heard: dict[str, Heard] = {}
        self._on_lost: list[Callable[[], None]] = []
        self._on_back: list[Callable[[], None]] = []
        self._keeper: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self._there = asyncio.Event()
        self._lost_at = -math.inf
        self._tasks: set[asyncio.Future[Any]] = set()
        self._ends: set[asyncio.Future[None]] = set()
        """Connections that are given up; each is hung up, whoever leaves meanwhile."""
        self._warned = False
        self._said: list[str] = []

    # ---- its life

    async def start(self) -> None:
        """Connect, and hold on from then on. Where Redis is away that is logged, and it is waited for in the
        background. Raises ConfigurationError where it refuses the password or has no such database, and where something
        else answers."""
        if self._keeper is not None:
            return
        await self._try()
        self._keeper = asyncio.ensure_future(self._keep())

    async def close(self) -> None:
        """Say what is left to say, and go."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._ends, return_exceptions=True)
        await self._hang_up()

    @property
    def available(self) -> bool:
        """Whether a command would be sent now."""
        return self._wire is not None

    def on_lost(self, call: Callable[[], None]) -> None:
        """Have `call` called whenever Redis is lost."""
        self._on_lost.append(call)

    def on_back(self, call: Callable[[], None]) -> None:
        """Have `call` called whenever Redis is there, the first time included. What it sends, with `send`, is carried
        out before anything that others ask."""
        self._on_back.append(call)

    @property
    def offset(self) -> float:
        """What is to be added to our monotonic clock for the time that Redis has."""
        return self._offset

    def now(self) -> float:
        """The time as Redis has it, in epoch seconds; where it is away, as it had it last and our clock went on."""
        return time.monotonic() + self._offset

    # ---- what is asked

    def key(self, *parts: str) -> str:
        """The whole name of a key of ours."""
        return self.prefix + ":".join(parts)

    def send(self, commands: Iterable[Command]) -> asyncio.Future[list[Any]]:
        """Have commands carried out in order; one round trip. The replies, in which an error stands where one came.
        Whoever stops waiting stops nothing, and nobody needs to wait. Fails with StateUnavailable."""
        if self._wire is None:
            failed: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
            failed.set_exception(away())
            failed.exception()  # whoever tells without waiting does not look
            return failed
        return self._wire.send(commands)

    async def command(self, *command: Argument) -> Any:
        """The reply to one command: bytes, int, None or a list. Raises StateUnavailable, of which Refused says that
        Redis answered with an error."""
        return self.sound((await self.send((command,)))[0])

    async def batch(self, commands: Iterable[Command]) -> list[Any]:
        """The replies to several commands, in one round trip; they are not a transaction. Raises as `command` does,
        for the first that was refused."""
        return [self.sound(reply) for reply in await self.send(commands)]

    async def patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives; asked again where Redis is lost meanwhile, or was a moment ago, and comes back within
        PATIENCE_SECONDS. For what cannot do without it and may be asked twice. Raises as `ask` does."""
        began = time.monotonic()
        while True:
            lost_at = self._lost_at
            try:
                return await ask()
            except Refused:
                raise
            except StateUnavailable:
                if self.available and lost_at == self._lost_at:
                    raise  # it is something else that is away
                left = min(began, self._lost_at) + PATIENCE_SECONDS - time.monotonic()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._there.wait()
                if left <= 0 or not self.available:
                    raise

    def script(self, text: str) -> Script:
        """A script to be run often. The same text is the same script."""
        script = Script(self, text)
        if script.sha not in self._scripts:
            self._scripts[script.sha] = script
            if self._wire is not None:  # otherwise it is told when we connect
                self._wire.send([("SCRIPT", "LOAD", text)])
        return self._scripts[script.sha]

    def later(self, work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        """Have work done that nobody waits for; that Redis went away meanwhile is no error then."""
        task = asyncio.ensure_future(_unless_away(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ---- what is told and heard

    def tell(self, channel: str, value: Any) -> asyncio.Future[list[Any]]:
        """Have all replicas that hear a channel hear a value, sealed; this one too. The future's one reply is how many
        they were."""
        return self.send([("PUBLISH", self.key(channel), self.seal.close(channel, value))])

    def hear(self, channel: str, heard: Callable[[Any], None], *, but: str | None = None) -> None:
        """Have `heard` called with each value that is told, from here on, whenever Redis is there. What is not sealed
        is not heard. Values that are told while this process is cut off are lost to it. `but`: lists that begin with
        this word, such as what this process has told itself, are passed over unread."""
        passed = None if but is None else dumped([but])[:-1]

        def opened(data: bytes) -> None:
            if passed is not None and data.startswith(passed, MAC_BYTES):
                return
            value = self.seal.open(channel, data, lambda found: (found,))
            if value is not None:
                heard(value[0])

        self.hear_raw(channel, opened)

    def hear_raw(self, channel: str, heard: Heard) -> None:
        """Have `heard` called with the bytes of each message, which are to be believed as far as anybody who can write
        to Redis is: scripts cannot seal."""
        self._heard[self.key(channel)] = heard
        if self._ear is not None:
            self.later(self._ear.hear([self.key(channel)]))

    # ---- keeping it

    async def _keep(self) -> None:
        pause = AGAIN_FIRST_SECONDS
        while True:
            try:
                if self._wire is None:
                    await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  (replicas are not to come at once)
                    pause = min(AGAIN_MOST_SECONDS, 2 * pause)
                    with contextlib.suppress(ConfigurationError):
                        await self._try()
                else:
                    pause = AGAIN_FIRST_SECONDS
                    await self._beat()
            except Exception:  # whatever it is, nobody else would ever find Redis again
                log.exception("Redis (state.url) could not be looked for")
                await asyncio.sleep(AGAIN_MOST_SECONDS)

    async def _beat(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                await self._gone.wait()
        with contextlib.suppress(StateUnavailable):
            await self._look(self._wire)
        if self._ear is not None:
            await self._ear.look()

    async def _try(self) -> None:
        """Connect, once. Raises ConfigurationError where what answers shows that the URL is wrong."""
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await self._connect()
        except (RedisError, OSError, StateUnavailable) as error:
            await self._hang_up()
            wrong = mistake(error)
            if wrong is None:
                log.log(self._level(), "Redis (state.url) cannot be reached: %s", outage(error))
                return
            log.log(self._level(), "Redis (state.url) cannot be used: %s", wrong)
            raise ConfigurationError(f"state.url: Redis cannot be used: {wrong}; accepted: {ACCEPTED}") from error

    def _level(self) -> int:
        """How loud to say that it is away: once."""
        told, self._warned = self._warned, True
        return logging.DEBUG if told else logging.ERROR

    async def _connect(self) -> None:
        self._gone.clear()
        commands, hearing = unconnected(self._url), unconnected(self._url)
        wire: Wire | None = None
        ear: Ear | None = None
        try:
            # Both have ended one way or the other before either is given up: none opens behind our back.
            for opened in await asyncio.gather(_opened(commands), _opened(hearing), return_exceptions=True):
                if opened is not None:
                    raise opened
            wire = Wire(commands, self.timeout, lambda why: self._lost(wire, why))
            ear = Ear(hearing, self._heard, lambda why: self._lost(wire, why))
            await ear.hear(list(self._heard))
            await self._look(wire)
            await wire.send(("SCRIPT", "LOAD", script.text) for script in self._scripts.values())
            await self._examine(wire)
            if self._gone.is_set():
                raise away()
        except BaseException:
            self._give_up(commands.disconnect(True) if wire is None else wire.close())
            self._give_up(hearing.disconnect(True) if ear is None else ear.close())
            raise
        self._wire, self._ear = wire, ear
        self._there.set()
        if self._warned:
            log.warning("Redis (state.url) is there again")
        self._warned = False
        _call_all(self._on_back)

    async def _look(self, wire: Wire | None) -> None:
        """Whether it is there, how far away, and what time it has."""
        if wire is None:
            return
        began = time.monotonic()
        reply = self.sound((await wire.send([("TIME",)]))[0])
        ended = time.monotonic()
        self.latency = ended - began
        self._offset = int(reply[0]) + int(reply[1]) / 1e6 - (began + ended) / 2

    async def _examine(self, wire: Wire) -> None:
        """Warn of a server that is not safe to keep things in."""
        parts = [("INFO", part) for part in ("server", "memory", "persistence")]
        said = [each for each in await wire.send(parts) if isinstance(each, bytes)]
        warnings = warnings_of(fields_of(b"\n".join(said)))
        for warning in warnings:
            if warning not in self._said:
                log.warning("%s", warning)
        self._said = warnings

    def _lost(self, wire: Wire | None, why: str) -> None:
        self._gone.set()
        if self._wire is None or wire is not self._wire:
            return
        log.error("Redis (state.url) is lost: %s; limits are kept by each replica's share until it is back", why)
        self._warned = True
        gone, deaf, self._wire, self._ear = self._wire, self._ear, None, None
        self._there.clear()
        self._lost_at = time.monotonic()
        self._give_up(gone.close())
        if deaf is not None:
            self._give_up(deaf.close())
        _call_all(self._on_lost)

    def _give_up(self, closing: Coroutine[Any, Any, None]) -> None:
        """Have a connection closed, whoever is cancelled or leaves meanwhile."""
        end = asyncio.ensure_future(_unless_gone(closing))
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)

    async def _hang_up(self) -> None:
        wire, ear, self._wire, self._ear = self._wire, self._ear, None, None
        self._there.clear()
        if wire is not None:
            await wire.close()
        if ear is not None:
            await ear.close()

    def sound(self, reply: Any) -> Any:
        """One of the replies to `send`. Raises Refused where it is an error."""
        try:
            return sound(reply)
        except Refused as error:
            if error.word == "READONLY":
                self._lost(self._wire, "it is a replica that takes no writes")
            raise


async def _opened(connection: AbstractConnection) -> None:
    """Connect, and see that commands are taken: a missing password is told with the first."""
    await connection.connect()  # type: ignore[no-untyped-call]
    await connection.send_command("TIME", check_health=False)
    await connection.read_response()


async def _unless_gone(closing: Awaitable[None]) -> None:
    with contextlib.suppress(RedisError, OSError):
        await closing


def _call_all(calls: Iterable[Callable[[], None]]) -> None:
    for call in tuple(calls):
        try:
            call()
        except Exception:  # the others are to know it all the same
            log.exception("what becomes of Redis (state.url) could not be told to one of those who use it")


async def _unless_away(work: Awaitable[Any]) -> Any:
    try:
        return await work
    except StateUnavailable:
        return None
