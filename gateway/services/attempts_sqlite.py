"""Attempts in a SQLite file under the data directory: one writer thread, many submissions per commit.

The event loop gathers what is to be written into a batch; one batch at a time is with the writer, and becomes one
transaction with one fsync. While it is written the next one gathers, so the slower the disk, the larger the batches.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gateway.services import leases
from gateway.services.attempts import Attempt, NewAttempt, Settlement, new_id
from gateway.services.attempts_schema import MIGRATIONS, UNSETTLED
from gateway.services.attempts_writer import LEASE_SECONDS, Batch, Question, Report, Row, Writer
from gateway.services.generations import NewGeneration, Orphan
from gateway.services.sqlite import open_database, presence, translated
from normalization.errors import OperatorError, StateUnavailable

log = logging.getLogger("imagegate.attempts")

T = TypeVar("T")

FILE = "imagegate.sqlite3"
LINGER_SECONDS = 0.1
"""How long a settlement may wait for company: nobody waits for it, and a commit has a price."""
APPLICATION = 0x696D6774
"""Stands in the file's head, for whoever asks what it is of: "imgt"."""
LOG_PAGES = 1024
"""Pages that SQLite's log has room for from the start: a commit that makes its file longer takes 1.6 times as long. A
little more than what SQLite gathers there before it begins the log anew."""
RETRY_SECONDS = 1.0
"""After a failed write, before what must not be lost is tried again."""


class SqliteAttempts:
    """`Attempts` in `data_dir`/imagegate.sqlite3, for one event loop. Opening it, which blocks, settles as `maybe`
    whatever processes that are gone were sending.

    Raises StorageFull or StateUnavailable when the file cannot be had, ConfigurationError when it is of a newer
    version of imagegate.
    """

    def __init__(self, data_dir: Path, *, linger_seconds: float = LINGER_SECONDS) -> None:
        connection = open_database(data_dir / FILE, MIGRATIONS)
        try:
            _lengthen_log(connection, data_dir / f"{FILE}-wal")
            self._life = leases.Life(data_dir, new_id())
            found = leases.interrupt(connection, self._life, time.time())
        except sqlite3.Error as error:
            connection.close()
            raise translated(error) from error
        except BaseException:
            connection.close()
            raise
        if found:
            log.warning("%d submissions were under way when their process ended; their outcome is unknown", found)
        self._writer = Writer(connection, self._life.owner, self._written, presence(data_dir / FILE))
        self._linger_seconds = linger_seconds
        self._next = Batch()
        self._writing = False
        self._flush_at: asyncio.Handle | None = None
        self._due: float | None = None
        """When what nobody waits for has waited long enough, on the loop's clock; None = there is nothing."""
        self._urgent = False
        self._closed = False
        self._fences: dict[str, int] = {}
        """Of open attempts that were taken over; 1 for all others."""

    async def begin(self, attempt: NewAttempt, generation: NewGeneration | None = None) -> None:
        self._refuse_when_closed()
        if generation is not None:
            self._next.generations[generation.id] = row_of(generation)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        begun = (attempt, done)
        self._next.begun.append(begun)
        self._flush_soon()
        try:
            await done
        except asyncio.CancelledError:
            if begun in self._next.begun:
                self._next.begun.remove(begun)
            else:
                # The record may be made already, and its caller will not send: this keeps it from ending as "maybe".
                with contextlib.suppress(StateUnavailable):  # at the end of the process it does
                    await self.settle(attempt.id, Settlement("not_sent", "cancelled", "none", 0, 0, 0.0))
            raise

    async def accepted(self, attempt_id: str, job: str, resume: str | None = None) -> None:
        self._refuse_when_closed()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next.accepted.append(((attempt_id, self._fences.get(attempt_id, 1), job, resume), done))
        self._flush_soon()
        await done

    async def settle(self, attempt_id: str, settlement: Settlement) -> None:
        row = (
            attempt_id,
            self._fences.pop(attempt_id, 1),
            settlement.state,
            settlement.outcome,
            settlement.charge,
            settlement.cost_micros,
            settlement.images,
            settlement.seconds,
        )
        self.write_later(self._next.settled, (row, None))

    @property
    def next(self) -> Batch:
        """What is written next; see `write_later`."""
        return self._next

    def write_later(self, rows: list[Row], row: Row) -> None:
        """Add a row that nobody waits for to one of the lists of `next`. Raises StateUnavailable after `close`."""
        self._refuse_when_closed()
        rows.append(row)
        self._flush_later(self._linger_seconds)

    async def unsettled(self) -> list[Attempt]:
        return await self.ask(read_unsettled)

    async def take(self, now: float) -> list[Orphan]:
        orphans, fences = await self.ask(lambda connection: leases.take(connection, self._life, now))
        self._fences |= fences
        return orphans

    async def renew(self) -> None:
        """Hold on to what this process works on; LEASE_SECONDS after the last time others may take it."""
        until = time.time() + LEASE_SECONDS
        await self.ask(lambda connection: leases.renew(connection, self._life, until))

    @property
    def owner(self) -> str:
        """This process, as the records name who works on them."""
        return self._life.owner

    def gone(self, owners: list[str]) -> list[str]:
        """Those of the owners whose process, on this machine, has ended."""
        return self._life.gone(owners)

    @property
    def unwritten(self) -> int:
        return sum(1 for _ in self._next.rows())

    async def ping(self) -> None:
        await self.ask(_take_write_lock)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OperatorError):
            await self._put(lambda _: None)
        if self._flush_at is not None:
            self._flush_at.cancel()
        if self._next:
            log.error("%d records of attempts could not be written and are lost", len(list(self._next.rows())))
        await self._writer.stop()
        self._life.end()

    async def ask(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """What `ask` finds, once all that was recorded before is written; it runs in the writer's thread. Raises
        StorageFull or StateUnavailable."""
        self._refuse_when_closed()
        return await self._put(ask)

    async def _put(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._next.questions.append(Question(ask, answer))
        self._flush_soon()
        return await answer

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StateUnavailable("the gateway is shutting down; try again in a moment")

    def _flush_soon(self) -> None:
        """Hand the batch over once the event loop has run what is ready now, which may have more to add."""
        if self._writing or self._urgent:
            return
        if self._flush_at is not None:
            self._flush_at.cancel()
        self._urgent = True
        self._flush_at = asyncio.get_running_loop().call_soon(self._flush)

    def _flush_later(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._due is None:
            self._due = loop.time() + seconds
        if not self._writing and self._flush_at is None:
            self._flush_at = loop.call_at(self._due, self._flush)

    def _flush(self) -> None:
        """Hand over what has gathered. What nobody waits for is left out until it is due, so that it costs those who
        wait nothing; but what it gives back to a budget is there for who may need it."""
        batch, self._next = self._next, Batch()
        early = self._due is not None and asyncio.get_running_loop().time() < self._due
        if self._urgent and early and not batch.questions and not batch.budgeted:
            self._next = batch.put_off()
        else:
            self._due = None
        self._flush_at, self._urgent, self._writing = None, False, True
        self._writer.write(batch)

    def _written(self, report: Report) -> None:
        """Back on the event loop: answer those who wait, and go on with what has gathered."""
        self._writing = False
        for future, result in report.told:
            if future.done():  # its waiter was cancelled
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
        kept, following = report.kept, self._next
        following.put_before(kept)
        if kept:
            self._due = asyncio.get_running_loop().time() + RETRY_SECONDS
            if lost := following.shed():
                log.error("%d requests could not be entered into the ledger and are lost", lost)
        if following.begun or following.questions or any(done for _, done in following.accepted):
            self._flush_soon()
        elif following:
            self._flush_later(self._linger_seconds)


def row_of(generation: NewGeneration) -> tuple[object, ...]:
    """A generation as its columns."""
    return (
        generation.id,
        generation.request_id,
        generation.key_name,
        generation.endpoint,
        generation.model,
        generation.created,
        generation.fingerprint,
        generation.scope,
    )


def read_unsettled(connection: sqlite3.Connection) -> list[Attempt]:
    """Attempts that are not settled, oldest first."""
    found = connection.execute(UNSETTLED).fetchall()
    return [Attempt(NewAttempt(*row[:-3]), *row[-3:]) for row in found]


def _lengthen_log(connection: sqlite3.Connection, path: Path) -> None:
    """Give SQLite's log its length before anybody waits for a commit.

    The same number is written to the same page again and again. Meanwhile nothing is synced, so the log must only grow:
    were it brought into the file now, what others have committed could be lost with the power.
    """
    size: int = connection.execute("PRAGMA page_size").fetchone()[0]
    if path.exists() and path.stat().st_size >= LOG_PAGES * size:
        return
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA synchronous = OFF")
    try:
        for _ in range(LOG_PAGES):
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    except sqlite3.OperationalError as error:  # the disk may have room for records all the same
        log.info("commits will be slower at first: %s", error)
    finally:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 1000")


def _take_write_lock(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
