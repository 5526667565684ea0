"""A key with a budget, and submissions that must fit in it, for tests of the journal."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.services.attempts import NewAttempt, Settlement, new_id
from gateway.services.attempts_sqlite import FILE, SqliteAttempts
from gateway.services.budgets import Allotment
from gateway.services.budgets_sqlite import spent
from normalization.errors import BudgetExceeded

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
MONTHLY = Allotment(100_000, "month")


def an_attempt(cost: int | None = 10_000, allotment: Allotment | None = MONTHLY, **changes: Any) -> NewAttempt:
    created = changes.pop("created", NOW)
    usual = NewAttempt(
        id=new_id(created - 1),
        generation_id="gen_1",
        request_id="req_1",
        provider="p",
        model="m",
        requested_model="m",
        key_name="team",
        user=None,
        images=1,
        planned_cost_micros=cost,
        created=created,
        allotment=allotment,
    )
    return replace(usual, **changes)


def ended(charge: Any, cost: int | None = None, state: Any = "done") -> Settlement:
    return Settlement(state, "x", charge, cost, 1, 1.0)


CHARGED = ended("charged", 10_000)
UNKNOWN = ended("unknown", state="maybe")
NOTHING = ended("none", state="refused")


@asynccontextmanager
async def opened(data_dir: Path, *, linger_seconds: float = 0) -> AsyncIterator[SqliteAttempts]:
    attempts = SqliteAttempts(data_dir, linger_seconds=linger_seconds)
    try:
        yield attempts
    finally:
        await attempts.close()


async def begun(attempts: SqliteAttempts, *many: NewAttempt) -> list[bool]:
    """Which of the attempts could begin, all at once."""
    found = await asyncio.gather(*map(attempts.begin, many), return_exceptions=True)
    assert all(each is None or isinstance(each, BudgetExceeded) for each in found), found
    return [each is None for each in found]


async def taken(attempts: SqliteAttempts, allotment: Allotment = MONTHLY, now: float = NOW) -> int:
    return await attempts.ask(lambda connection: spent(connection, "team", allotment.span(now)))


def ids(data_dir: Path) -> list[str]:
    with closing(sqlite3.connect(data_dir / FILE)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM attempts ORDER BY id")]
