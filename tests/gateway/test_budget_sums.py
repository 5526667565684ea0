"""What is spent is the sum over the attempts on record, whatever becomes of them."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.services.attempts_sqlite import SqliteAttempts
from gateway.services.budgets import Allotment
from gateway.services.budgets_sqlite import let_go, spent
from tests.gateway.budgeting import DAY, NOTHING, NOW, UNKNOWN, an_attempt, begun, ended

KEYS = st.sampled_from(["a", "b", None])
PERS = st.sampled_from(["day", "month", "total"])
STEPS = st.one_of(
    st.tuples(
        st.just("begin"),
        KEYS,
        st.sampled_from([None, 0, 1, 7, 30]),
        st.one_of(st.none(), st.builds(Allotment, st.integers(0, 60), PERS)),
        st.sampled_from([0.0, 0.5, 1.0, 31.0]),
    ),
    st.tuples(
        st.just("settle"),
        st.integers(0, 30),
        st.sampled_from([NOTHING, UNKNOWN, ended("charged", 3), ended("charged", 90), ended("charged")]),
    ),
    st.tuples(st.just("crash")),
    st.tuples(st.just("sweep"), st.sampled_from([0.0, 8.0, 40.0])),
    st.tuples(st.just("ask"), st.sampled_from(["a", "b"]), PERS),
)


async def _played(data_dir: Path, steps: list[tuple[Any, ...]]) -> None:
    attempts = SqliteAttempts(data_dir, linger_seconds=3600)
    made: list[str] = []
    for step in steps:
        match step:
            case ("begin", key_name, cost, allotment, days):
                attempt = an_attempt(cost, allotment if key_name else None, key_name=key_name, created=NOW - days * DAY)
                made.append(attempt.id)
                await begun(attempts, attempt)
            case ("settle", which, settlement) if made:
                await attempts.settle(made[which % len(made)], settlement)
            case ("crash",):
                await attempts.ping()  # what was settled is on record; the rest dies with the process
                heir = SqliteAttempts(data_dir, linger_seconds=3600)
                await attempts.close()
                attempts = heir
                await attempts.take(NOW)
            case ("sweep", days):
                await attempts.ask(partial(let_go, now=NOW + days * DAY))
            case ("ask", key_name, per):
                await attempts.ask(partial(spent, key_name=key_name, span=Allotment(0, per).span(NOW)))
            case _:
                assert not made  # nothing to settle
        await attempts.ask(_agrees)
    await attempts.close()


def _agrees(connection: sqlite3.Connection) -> None:
    """The sums are those over the attempts, worked out anew."""
    found: Counter[tuple[str, str]] = Counter()
    for key_name, created, held in connection.execute("SELECT key_name, created, held_micros FROM attempts"):
        for per in ("day", "month", "total"):
            found[key_name, Allotment(0, per).span(created).name] += held
    for key_name, span, micros in connection.execute("SELECT key_name, span, micros FROM spending"):
        assert micros == found[key_name, span], (key_name, span)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_what_is_spent_is_the_sum_over_the_attempts_whatever_happens(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(_played(Path(name), steps))
