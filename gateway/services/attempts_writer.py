"""The thread that writes attempts: takes batches, makes each one transaction, and reports back to the event loop.

A batch is three statements however many rows it has, because every step of SQLite gives up Python's lock, and taking
it back from a busy event loop can take 5 ms each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.services.attempts_schema import ACCEPT, BEGIN, SETTLE
from gateway.services.generations_schema import BEGIN_GENERATION, CLEAR, DELIVERED, END
from gateway.services.sqlite import translated
from normalization.errors import ImagegateError, StateUnavailable

log = logging.getLogger("imagegate.attempts")

LEASE_SECONDS = 30.0
"""How long a process holds what it works on without renewing that."""

Row = tuple[tuple[Any, ...], "asyncio.Future[None] | None"]
"""What to write, and who waits for it."""


@dataclass(slots=True)
class Batch:
    """What one transaction writes, in this order: an attempt is begun before it is accepted before it is settled."""

    generations: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """By id; each is written once, with the first of its attempts."""
    begun: list[Row] = field(default_factory=list)
    accepted: list[Row] = field(default_factory=list)
    settled: list[Row] = field(default_factory=list)
    ended: list[Row] = field(default_factory=list)
    cleared: list[Row] = field(default_factory=list)
    delivered: list[Row] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.questions) or any(True for _ in self.rows())

    def rows(self) -> Iterator[Row]:
        for _, rows in self.steps():
            yield from rows

    def steps(self) -> tuple[tuple[str, list[Row]], ...]:
        """The statements and what each writes."""
        return (
            (BEGIN, self.begun),
            (ACCEPT, self.accepted),
            (SETTLE, self.settled),
            (END, self.ended),
            (CLEAR, self.cleared),
            (DELIVERED, self.delivered),
        )

    def singles(self) -> Iterator[Batch]:
        for row in self.begun:
            generation: str = row[0][1]
            own = {generation: self.generations[generation]} if generation in self.generations else {}
            yield Batch(generations=own, begun=[row])
        yield from (Batch(accepted=[row]) for row in self.accepted)
        yield from (Batch(settled=[row]) for row in self.settled)
        yield from (Batch(ended=[row]) for row in self.ended)
        yield from (Batch(cleared=[row]) for row in self.cleared)
        yield from (Batch(delivered=[row]) for row in self.delivered)

    def keep(self, failed: Batch) -> None:
        """Take over what must not be lost of a batch that could not be written. Nobody waits for it any more."""
        self.accepted += [(row, None) for row, _ in failed.accepted]
        self.settled += failed.settled
        self.ended += failed.ended
        self.cleared += failed.cleared
        self.delivered += failed.delivered

    def put_before(self, kept: Batch) -> None:
        """Write what was kept first."""
        self.accepted[:0], self.settled[:0] = kept.accepted, kept.settled
        self.ended[:0], self.cleared[:0], self.delivered[:0] = kept.ended, kept.cleared, kept.delivered


@dataclass(slots=True)
class Question:
    """Something to read after the batch is written."""

    ask: Callable[[sqlite3.Connection], Any]
    answer: asyncio.Future[Any]


@dataclass(slots=True)
class Report:
    """What became of a batch: answers for those who wait, and what has to be written again."""

    told: list[tuple[asyncio.Future[Any], Any]] = field(default_factory=list)
    kept: Batch = field(default_factory=Batch)


class Writer:
    """The thread that owns the connection."""

    def __init__(self, connection: sqlite3.Connection, owner: str, written: Callable[[Report], None]) -> None:
        self._connection = connection
        self._owner = owner
        self._written = written
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        # A daemon: a process that ends without closing loses the last settlements, and does not hang.
        self._thread = threading.Thread(target=self._run, name="attempts", daemon=True)
        self._thread.start()

    def write(self, batch: Batch) -> None:
        """Hand over a batch; `written` is called with its report on the event loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._batches.put(batch)

    async def stop(self) -> None:
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        with contextlib.closing(self._connection):
            while (batch := self._batches.get()) is not None:
                report = self._write(batch)
                assert self._loop is not None  # noqa: S101  (set with the first batch)
                try:
                    self._loop.call_soon_threadsafe(self._written, report)
                except RuntimeError:  # the loop is closed: nobody waits, and nothing more will come
                    return

    def _write(self, batch: Batch) -> Report:
        report = Report()
        self._write_rows(batch, report)
        for question in batch.questions:
            report.told.append((question.answer, self._answer(question)))
        return report

    def _write_rows(self, batch: Batch, report: Report) -> None:
        rows = list(batch.rows())
        if not rows:
            return
        error: ImagegateError | None = None
        try:
            self._commit(batch)
        except sqlite3.OperationalError as failure:  # the disk's or another process's doing, which may pass
            error = translated(failure)
            report.kept.keep(batch)
            log.error("attempts could not be recorded: %s", failure)
        except Exception as failure:
            if len(rows) > 1:
                return self._write_apart(batch, report)
            error = StateUnavailable("this request cannot be recorded", detail=repr(failure))
            log.exception("an attempt could not be recorded")
        report.told.extend((done, error) for _, done in rows if done is not None)
        return None

    def _write_apart(self, batch: Batch, report: Report) -> None:
        """Row by row, so that one that cannot be written does not take the others with it."""
        for single in batch.singles():
            self._write_rows(single, report)

    def _commit(self, batch: Batch) -> None:
        execute = self._connection.execute
        held = {"owner": self._owner, "lease_until": time.time() + LEASE_SECONDS}
        execute("BEGIN IMMEDIATE")
        try:
            if batch.begun and batch.generations:
                execute(BEGIN_GENERATION, {"rows": _listed(batch.generations.values()), **held})
            for statement, rows in batch.steps():
                if rows:
                    execute(statement, {"rows": _listed(row for row, _ in rows), **held})
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def _answer(self, question: Question) -> Any:
        try:
            return question.ask(self._connection)
        except sqlite3.Error as error:
            return translated(error)


def _listed(rows: Iterable[tuple[Any, ...]]) -> str:
    return orjson.dumps(list(rows)).decode()
