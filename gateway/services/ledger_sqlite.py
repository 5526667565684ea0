"""The ledger in the file of the attempts: written in their commits, summed up beside them.

Sums have a connection of their own that can only read, in a thread of their own: SQLite's readers and its writer do not
wait for each other (https://www.sqlite.org/wal.html), so a submission is on record as soon as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import orjson

from gateway.services.attempts import Attempt
from gateway.services.attempts_sqlite import FILE, SqliteAttempts, read_unsettled
from gateway.services.budgets import Allotment
from gateway.services.budgets_sqlite import spent
from gateway.services.ledger import Entry, Group, Row, Sums
from gateway.services.ledger_schema import call_sums, placed, request_sums, row_of, span_of
from gateway.services.sqlite import BUSY_SECONDS, translated
from gateway.services.windows import rank

T = TypeVar("T")
Part = str | int
"""A group as the statements tell it."""

CACHE_KIB = 65_536
"""For sorting: what does not fit goes to a temporary file."""


class SqliteLedger:
    """`Ledger` beside `attempts`, whose file lies under `data_dir`."""

    def __init__(self, attempts: SqliteAttempts, data_dir: Path) -> None:
        self._attempts = attempts
        self._file = data_dir.resolve() / FILE
        self._one = asyncio.Lock()

    async def enter(self, entry: Entry) -> None:
        self._attempts.write_later(self._attempts.next.requests, (row_of(entry), None))

    async def sums(self, begin: float, end: float, group: Group) -> Sums:
        return await self._read(lambda connection: _sums(connection, begin, end, group))

    async def unsettled(self, state: str | None = None) -> Sequence[Attempt]:
        found = await self._read(read_unsettled)
        return [attempt for attempt in found if state in (None, attempt.state)]

    async def spent(self, key_name: str, allotment: Allotment, now: float) -> int:
        return await self._attempts.ask(lambda connection: spent(connection, key_name, allotment.span(now)))

    async def _read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """What `ask` finds, all that was entered here before included. One at a time: two would only be slower."""
        await self._attempts.ask(_nothing)
        async with self._one:
            return await asyncio.to_thread(self._asked, ask)

    def _asked(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        try:
            opened = sqlite3.connect(
                f"{self._file.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
            )
            with contextlib.closing(opened) as connection:
                connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
                connection.execute("BEGIN")  # all that is read is of one moment
                return ask(connection)
        except sqlite3.Error as error:
            raise translated(error) from error


def _nothing(_: sqlite3.Connection) -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Asked:
    requests: int = 0
    images: int = 0
    errors: int = 0
    megapixels: float = 0.0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True)
class _Called:
    calls: int = 0
    cost_micros: int = 0
    unknown: int = 0
    timed: int = 0


def _sums(connection: sqlite3.Connection, begin: float, end: float, group: Group) -> Sums:
    span = span_of(begin, end)
    asked = {part: _Asked(*sums) for part, *sums in connection.execute(request_sums(group), span)}
    called = {part: _Called(*sums) for part, *sums in connection.execute(call_sums(group), span)}
    counts = (
        {part: each.timed for part, each in called.items()}
        if group == "provider"
        else {part: each.requests for part, each in asked.items()}
    )
    quantiles = _quantiles(connection, group, span, counts)
    whole = sum(each.requests for each in asked.values())
    overall = _quantiles(connection, None, span, {"": whole})
    parts = sorted({*asked, *called})
    rows = tuple(
        _row(label(group, part), [asked.get(part, _Asked())], [called.get(part, _Called())], quantiles.get(part))
        for part in parts
    )
    return Sums(rows, _row("", asked.values(), called.values(), overall.get("")))


def _row(group: str, asked: Iterable[_Asked], called: Iterable[_Called], quantiles: tuple[float, float] | None) -> Row:
    asked, called = tuple(asked), tuple(called)
    p50, p95 = quantiles or (None, None)
    return Row(
        group=group,
        requests=sum(each.requests for each in asked),
        images=sum(each.images for each in asked),
        errors=sum(each.errors for each in asked),
        upstream_calls=sum(each.calls for each in called),
        cost_micros=sum(each.cost_micros for each in called),
        unknown_cost_calls=sum(each.unknown for each in called),
        megapixels=math.fsum(each.megapixels for each in asked),
        bytes_out=sum(each.bytes_out for each in asked),
        p50_seconds=p50,
        p95_seconds=p95,
    )


def _quantiles(
    connection: sqlite3.Connection, group: Group | None, span: Mapping[str, object], counts: Mapping[Any, int]
) -> dict[Part, tuple[float, float]]:
    """The median and the 95th percentile of each group, by nearest rank: a time that was measured, not one between two.
    `counts` are in the order in which the groups are sorted."""
    wanted: dict[Part, tuple[int, int]] = {}
    before = 0
    for part, count in counts.items():
        if count:
            wanted[part] = before + rank(count, 50), before + rank(count, 95)
        before += count
    places = orjson.dumps(sorted({place for pair in wanted.values() for place in pair})).decode()
    if not wanted:
        return {}
    found: dict[int, float] = dict(connection.execute(placed(group), {**span, "places": places}))
    return {part: (found[p50], found[p95]) for part, (p50, p95) in wanted.items()}


def label(group: Group, part: Part) -> str:
    """A group's name: a day, an hour in UTC, a name or a status. Empty where there is none to name."""
    if group == "day":
        return (date(1970, 1, 1) + timedelta(days=int(part))).isoformat()
    if group == "hour":
        return datetime.fromtimestamp(int(part) * 3600, UTC).strftime("%Y-%m-%dT%H:00:00Z")
    return "" if part == 0 else str(part)
