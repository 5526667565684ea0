"""The thread that writes attempts: takes batches, makes each one transaction, and reports back to the event loop.

A batch is a few statements however many rows it has, because every step of SQLite gives up Python's lock, and taking
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

from gateway.services import budgets_sqlite
from gateway.services.attempts import NewAttempt
from gateway.services.attempts_schema import ACCEPT, BEGIN, BEGIN_ONE, SETTLE
from gateway.services.generations_schema import BEGIN_GENERATION, BEGIN_ONE_GENERATION, CLEAR, DELIVERED, END
from gateway.services.ledger_schema import ENTER
from gateway.services.sqlite import transaction, translated
from normalization.errors import BudgetExceeded, ImagegateError, StateUnavailable

log = logging.getLogger("imagegate.attempts")

LEASE_SECONDS = 30.0
"""How long a process holds what it works on without renewing that."""
REQUESTS_MOST = 100_000
"""Requests that wait to be entered into the ledger while nothing can be written: some 50 MB."""

Row = tuple[tuple[Any, ...], "asyncio.Future[None] | None"]
"""What to write, and who waits for it."""

Begun = tuple[NewAttempt, "asyncio.Future[None]"]


@dataclass(slots=True)
class Batch:
    """What one transaction writes. Nothing in it is of an attempt that begins in it: who begins one waits until it is
    on record. So what was settled comes first, and what it gives back to a budget can be spent."""

    generations: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """By id; each is written once, with the first of its attempts."""
    begun: list[Begun] = field(default_factory=list)
    accepted: list[Row] = field(default_factory=list)
    settled: list[Row] = field(default_factory=list)
    ended: list[Row] = field(default_factory=list)
    cleared: list[Row] = field(default_factory=list)
    delivered: list[Row] = field(default_factory=list)
    requests: list[Row] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.questions) or any(True for _ in self.rows())

    def rows(self) -> Iterator[tuple[Any, asyncio.Future[None] | None]]:
        yield from self.begun
        for _, rows in self.steps():
            yield from rows

    def steps(self) -> tuple[tuple[str, list[Row]], ...]:
        """The statements, but for those of beginnings, and what each writes, in order."""
        return (
            (ACCEPT, self.accepted),
            (SETTLE, self.settled),
            (END, self.ended),
            (CLEAR, self.cleared),
            (DELIVERED, self.delivered),
            (ENTER, self.requests),
        )

    @property
    def budgeted(self) -> bool:
        """Whether something that begins must fit into a budget."""
        return any(attempt.allotment is not None for attempt, _ in self.begun)

    def singles(self) -> Iterator[Batch]:
        yield from (Batch(accepted=[row]) for row in self.accepted)
        yield from (Batch(settled=[row]) for row in self.settled)
        yield from (Batch(ended=[row]) for row in self.ended)
        yield from (Batch(cleared=[row]) for row in self.cleared)
        yield from (Batch(delivered=[row]) for row in self.delivered)
        yield from (Batch(requests=[row]) for row in self.requests)
        for begun in self.begun:
            generation = begun[0].generation_id
            own = {generation: self.generations[generation]} if generation in self.generations else {}
            yield Batch(generations=own, begun=[begun])

    def put_off(self) -> Batch:
        """Take out what nobody waits for, and return that."""
        later = Batch(settled=self.settled, ended=self.ended, cleared=self.cleared, delivered=self.delivered)
        later.requests = self.requests
        self.settled, self.ended, self.cleared, self.delivered, self.requests = [], [], [], [], []
        return later

    def keep(self, failed: Batch) -> None:
        """Take over what must not be lost of a batch that could not be written. Nobody waits for it any more."""
        self.accepted += [(row, None) for row, _ in failed.accepted]
        self.settled += failed.settled
        self.ended += failed.ended
        self.cleared += failed.cleared
        self.delivered += failed.delivered
        self.requests += failed.requests

    def shed(self) -> int:
        """Forget the oldest requests beyond REQUESTS_MOST, and return how many those were. Who is refused while nothing
        can be written is entered all the same, as often as they ask; what was bought is never let go of."""
        excess = max(0, len(self.requests) - REQUESTS_MOST)
        del self.requests[:excess]
        return excess

    def put_before(self, kept: Batch) -> None:
        """Write what was kept first."""
        self.accepted[:0], self.settled[:0] = kept.accepted, kept.settled
        self.ended[:0], self.cleared[:0], self.delivered[:0] = kept.ended, kept.cleared, kept.delivered
        self.requests[:0] = kept.requests


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
    """The thread that owns the connection. `presence` raises sqlite3.OperationalError where its file is gone."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        owner: str,
        written: Callable[[Report], None],
        presence: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._presence = presence
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
        refused: dict[str, BudgetExceeded] = {}
        try:
            refused = self._commit(batch)
        except sqlite3.OperationalError as failure:  # the disk's or another process's doing, which may pass
            error = translated(failure)
            report.kept.keep(batch)
            log.error("attempts could not be recorded: %s", failure)
        except Exception as failure:
            if len(rows) > 1:
                return self._write_apart(batch, report)
            error = StateUnavailable("this request cannot be recorded", detail=repr(failure))
            log.exception("an attempt could not be recorded")
        report.told.extend((done, error or refused.get(attempt.id)) for attempt, done in batch.begun)
        report.told.extend((done, error) for _, listed in batch.steps() for _, done in listed if done is not None)
        return None

    def _write_apart(self, batch: Batch, report: Report) -> None:
        """Row by row, so that one that cannot be written does not take the others with it."""
        for single in batch.singles():
            self._write_rows(single, report)

    def _commit(self, batch: Batch) -> dict[str, BudgetExceeded]:
        """Write the batch, but for attempts that their budget has no room for: why not, by their id."""
        self._presence()
        with transaction(self._connection):
            for statement, rows in batch.steps():
                if rows:
                    self._connection.execute(statement, {"rows": _told(statement, rows)})
            return self._begin(batch) if batch.begun else {}

    def _begin(self, batch: Batch) -> dict[str, BudgetExceeded]:
        attempts = [attempt for attempt, _ in batch.begun]
        budgets_sqlite.make_ready(self._connection, attempts)
        written = self._insert(BEGIN_ONE, BEGIN, [_columns(each) for each in attempts])
        refused = {}
        if written < len(attempts):
            refused = budgets_sqlite.refusals(self._connection, attempts)
        begun = dict.fromkeys(attempt.generation_id for attempt in attempts if attempt.id not in refused)
        generations = [batch.generations[id] for id in begun if id in batch.generations]
        if generations:
            self._insert(BEGIN_ONE_GENERATION, BEGIN_GENERATION, generations)
        return refused

    def _insert(self, one: str, many: str, rows: list[tuple[Any, ...]]) -> int:
        """Insert rows as this process's, and return how many were. A single one needs no JSON."""
        until = time.time() + LEASE_SECONDS
        if len(rows) == 1:
            return self._connection.execute(one, (*rows[0], self._owner, until)).rowcount
        given = {"rows": orjson.dumps(rows).decode(), "owner": self._owner, "lease_until": until}
        return self._connection.execute(many, given).rowcount

    def _answer(self, question: Question) -> Any:
        try:
            self._presence()
            return question.ask(self._connection)
        except sqlite3.Error as error:
            return translated(error)
        except Exception as error:  # its asker's alone: without this thread nothing is ever on record again
            return error


def _told(statement: str, rows: list[Row]) -> str:
    """Rows as JSON. Of several about one thing one counts: how an attempt was first settled or accepted, under one
    fence, and whether an answer has reached its client in the end."""
    told: Iterable[tuple[Any, ...]] = (row for row, _ in rows)
    if statement in (ACCEPT, SETTLE):
        told = {row[:2]: row for row, _ in reversed(rows)}.values()
    elif statement == DELIVERED:
        told = {row[0]: row for row, _ in rows}.values()
    return orjson.dumps(list(told)).decode()


def _columns(attempt: NewAttempt) -> tuple[Any, ...]:
    return (
        attempt.id,
        attempt.generation_id,
        attempt.request_id,
        attempt.provider,
        attempt.model,
        attempt.requested_model,
        attempt.key_name,
        attempt.user,
        attempt.images,
        attempt.planned_cost_micros,
        attempt.created,
        attempt.operation,
        *budgets_sqlite.fitted(attempt),
    )
