"""What one process of a replica does for all of them, turn by turn.

The process that holds the office tells what waits in the outbox, holds on in Redis to what the
replica works on, and writes down what the others settled and answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from typing import Any

from gateway.services.redis.connection import RedisConnection
from gateway.services.redis.wire import Refused
from gateway.services.replicas import merging
from gateway.services.replicas.office import Office
from gateway.services.replicas.outbox import AT_ONCE, Outbox, put_mark
from gateway.services.replicas.records import MOST_BYTES, Told, attempt_name, read_attempt, read_request
from gateway.services.replicas.scripts import BEAT
from gateway.services.replicas.shared import mended
from gateway.services.replicas.spending import Spending
from gateway.services.replicas.telling import Teller
from normalization.errors import OperatorError, StateUnavailable

log = logging.getLogger("imagegate.redis")

LEASE_SECONDS = 30.0
TURN_SECONDS = 0.25
"""Between the times that what waits is told and what others told is read."""
LOOK_TURNS = 20
"""How many of those pass between looks at how much waits."""
READ_AT_ONCE = 500
BUDGETS_OF_TODAY = """
SELECT key_name || char(10) || span FROM spending
WHERE span IN ('total', strftime('%Y-%m', 'now'), strftime('%Y-%m-%d', 'now'))
"""
OVERLAP_MS = 60_000
"""What is read again of the ledger once Redis was away: another server may be a little behind the one before."""


class Turns:
    """Of the replica `id`."""

    def __init__(
        self,
        id: str,
        redis: RedisConnection,
        outbox: Outbox,
        teller: Teller,
        spending: Spending,
        office: Office,
    ) -> None:
        self.id = id
        self._redis = redis
        self._outbox = outbox
        self._teller = teller
        self._spending = spending
        self._office = office
        self._beat = redis.script(BEAT)
        self._ledger = redis.key("ledger")
        self._wake = asyncio.Event()
        self._back = True
        self._turns = 0
        self._complaints: dict[str, str] = {}
        """What fails unexpectedly, and how: said already."""
        self._work: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; a command that somebody gives right after finds the connection as it is."""
        self._redis.on_back(self._returned)
        # Others see by whether anybody hears it that a replica is there.
        self._redis.hear(f"replica:{self.id}", lambda told: None)
        self._work = asyncio.create_task(self._run())

    def hurry(self) -> None:
        """There is something to tell."""
        self._wake.set()

    async def close(self) -> None:
        """Tell what is left to tell, as far as Redis is there."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        try:
            with contextlib.suppress(OperatorError):
                while self._redis.available and await self._teller.drain() == AT_ONCE:
                    pass
                if self._office.held:
                    # Whoever is there may go on with what is left here at once.
                    await self._redis.command("ZADD", self._redis.key("owners"), 0, self.id)
        finally:
            self._office.leave()

    def _returned(self) -> None:
        self._back = True
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                if self._redis.available and self._office.mine():
                    await self._turn()
                elif self._turns % LOOK_TURNS == 0:
                    await self._outbox.look()
            except StateUnavailable as error:
                log.debug("replicas are not told now: %s", error.message)
            except Exception as error:
                # Whatever it is: a replica that renews its lease no more is taken for dead, and works on.
                self._complain("turn", error)
            self._turns += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TURN_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def _turn(self) -> None:
        if self._back:
            await self._outbox.again()
        for step in (self._hold_on, self._drain, self._catch_up, self._retell, self._tidy):
            try:
                await step()
            except Refused as error:
                # One thing that Redis refuses must not keep the rest from being told and read.
                log.warning("%s, while replicas tell each other", error.message)
                await mended(self._redis, self._kinds)
            except OperatorError:
                raise  # Redis or the disk, and so the other steps as well
            except Exception as error:
                self._complain(step.__name__, error)
            else:
                self._complaints.pop(step.__name__, None)
        self._back = False
        self._complaints.pop("turn", None)

    def _complain(self, what: str, error: Exception) -> None:
        """Say it once, however many turns it fails: there are four a second."""
        if self._complaints.get(what) != repr(error):
            self._complaints[what] = repr(error)
            log.error("replicas cannot be told or heard now", exc_info=error)

    @property
    def _kinds(self) -> dict[str, bytes]:
        key = self._redis.key
        own = {key("open", self.id): b"set"}
        return {key("owners"): b"zset", key("epoch"): b"string", self._ledger: b"stream", **own}

    async def _drain(self) -> None:
        while await self._teller.drain() == AT_ONCE:
            pass

    async def _catch_up(self) -> None:
        while await self._read(overlap=self._back) == READ_AT_ONCE:
            self._back = False

    async def _tidy(self) -> None:
        if self._turns % LOOK_TURNS == 0:
            await self._outbox.look()
            await self._spending.forget_dead(await self._budgets(), self._office.gone)

    async def _hold_on(self) -> None:
        """Renew the lease, and see whether this Redis is the one that was told."""
        keys = [self._redis.key("owners"), self._redis.key("epoch")]
        found = await self._beat(keys, (self.id, int(LEASE_SECONDS * 1000), secrets.token_hex(8)))
        epoch = found.decode("utf-8", "replace")
        if epoch == await self._outbox.mark("epoch"):
            return
        if await self._outbox.mark("epoch") is not None:
            log.warning("Redis has lost what it knew; this replica tells it all that is its own")

        def begin(connection: Any) -> None:
            put_mark(connection, "epoch", epoch)
            put_mark(connection, "retold", [0, ""])
            put_mark(connection, "read", "0-0")

        await self._outbox.run(begin)
        await self._retell()

    async def _budgets(self) -> list[str]:
        """Those that may still be spent from: of others it makes no difference what somebody who is gone has held."""
        return await self._outbox.run(
            lambda connection: [row[0] for row in connection.execute(BUDGETS_OF_TODAY)], reading=True
        )

    async def _retell(self) -> None:
        after = await self._outbox.mark("retold")
        if after is None:
            return
        following = await self._outbox.retell((after[0], after[1]))
        await self._outbox.note("retold", following)

    async def _read(self, *, overlap: bool) -> int:
        """Write down a piece of what others told, and return how long that was."""
        position = await self._outbox.mark("read") or "0-0"
        if overlap:
            position = f"{max(0, int(position.partition('-')[0]) - OVERLAP_MS)}-0"
        found = await self._redis.command("XREAD", "COUNT", READ_AT_ONCE, "STREAMS", self._ledger, position)
        entries = found[0][1] if found else []
        if not entries:
            return 0
        attempts: list[Told] = []
        requests: list[tuple[str, dict[str, Any]]] = []
        for _, values in entries:
            self._opened(values, attempts, requests)
        last = entries[-1][0].decode()

        def write(connection: Any) -> None:
            merging.merge_ledger(connection, attempts, requests, self.id)
            put_mark(connection, "read", last)

        await self._outbox.run(write)
        return len(entries)

    def _opened(self, values: list[bytes], attempts: list[Told], requests: list[tuple[str, dict[str, Any]]]) -> None:
        fields = dict(zip(values[::2], values[1::2], strict=False))
        id, kind, sealed = fields.get(b"i", b"").decode("utf-8", "replace"), fields.get(b"k"), fields.get(b"d")
        if kind == b"attempt":
            told = self._redis.seal.open(attempt_name(id), sealed, read_attempt, most=MOST_BYTES)
            if told is not None and not told.open:
                attempts.append(told)
        elif kind == b"request":
            request = self._redis.seal.open(f"request {id}", sealed, read_request, most=MOST_BYTES)
            if request is not None:
                requests.append(request)
        else:
            log.warning("an entry of the ledger in Redis is of no kind that is known, and left out")
