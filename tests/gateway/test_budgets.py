"""Budgets in the journal: decided in the commit that records an attempt, exact after any end of it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.services.attempts import NewAttempt, Settlement, new_id
from gateway.services.attempts_schema import MIGRATIONS
from gateway.services.attempts_sqlite import FILE
from gateway.services.budgets import UNKNOWN_SECONDS, Allotment, Per, dollars
from gateway.services.generations import Ages, NewGeneration
from gateway.services.generations_sqlite import SqliteGenerations
from gateway.services.sqlite import open_database
from normalization.errors import BudgetExceeded
from tests.gateway.budgeting import DAY, MONTHLY, NOTHING, NOW, UNKNOWN, an_attempt, begun, ended, ids, opened, taken


@pytest.mark.parametrize(
    ("per", "name", "begins", "ends"),
    [
        ("day", "2026-12-31", datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("month", "2026-12", datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("total", "total", datetime(1970, 1, 1, tzinfo=UTC), None),
    ],
)
def test_a_span_is_the_day_or_month_of_utc(per: Per, name: str, begins: datetime, ends: datetime | None) -> None:
    span = Allotment(1, per).span(datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC).timestamp())
    assert (span.name, span.begins) == (name, begins.timestamp())
    assert span.ends == (float("inf") if ends is None else ends.timestamp())


def test_money_is_written_to_the_cent_or_as_precisely_as_it_is() -> None:
    assert [dollars(micros) for micros in (0, 70_000, 20_000_000, 1_234_560_000, 1_234, 70_500)] == [
        "$0.00",
        "$0.07",
        "$20.00",
        "$1,234.56",
        "$0.001234",
        "$0.0705",
    ]


@pytest.mark.anyio
async def test_of_many_at_once_as_many_begin_as_the_budget_has_room_for_in_their_order(tmp_path: Path) -> None:
    many = [an_attempt(cost) for cost in (60_000, 50_000, 30_000, 20_000, 10_000, 1)]
    async with opened(tmp_path) as attempts:
        assert await begun(attempts, *many) == [True, False, True, False, True, False]
        assert await taken(attempts) == 100_000
    assert sorted(ids(tmp_path)) == sorted(many[index].id for index in (0, 2, 4))


@pytest.mark.anyio
async def test_what_is_refused_takes_neither_neighbours_nor_a_generation_with_it(tmp_path: Path) -> None:
    refused, free = an_attempt(100_001), an_attempt(0, generation_id="gen_2")
    other = an_attempt(100_001, None, key_name="other", generation_id="gen_3")
    unpriced = an_attempt(None, generation_id="gen_4")
    async with opened(tmp_path) as attempts:

        def begin(attempt: NewAttempt) -> Any:
            new = NewGeneration(attempt.generation_id, "req", attempt.key_name, "/", "m", NOW)
            return attempts.begin(attempt, new)

        found = await asyncio.gather(*map(begin, (refused, free, other, unpriced)), return_exceptions=True)
        assert [type(each) for each in found] == [BudgetExceeded, type(None), type(None), type(None)]
        kept = await attempts.ask(lambda connection: connection.execute("SELECT id FROM generations").fetchall())
        assert sorted(kept) == [("gen_2",), ("gen_3",), ("gen_4",)]
        assert await taken(attempts) == 0


@pytest.mark.anyio
async def test_the_refusal_names_the_budget_what_is_left_and_when_it_begins_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as attempts:
        await attempts.begin(an_attempt(70_000))
        with pytest.raises(BudgetExceeded) as refused:
            await attempts.begin(an_attempt(40_000))
        assert refused.value.message == (
            "$0.03 of $0.10 a month is left in this key's budget, and this would cost $0.04; it begins anew at "
            "2026-12-01T00:00:00Z"
        )
        assert (refused.value.status, refused.value.type, refused.value.should_retry) == (
            429,
            "insufficient_quota",
            False,
        )
        with pytest.raises(BudgetExceeded, match=r"^\$0\.00 of \$0\.05 in all is left .*; it does not begin anew$"):
            await attempts.begin(an_attempt(10_000, Allotment(50_000, "total")))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("settlement", "left"),
    [
        (NOTHING, 0),
        (ended("none", state="not_sent"), 0),
        (ended("charged", 45_000), 45_000),
        (ended("charged", 7), 7),
        (ended("charged", None), 10_000),
        (UNKNOWN, 10_000),
    ],
)
async def test_a_settlement_puts_what_was_charged_in_the_place_of_what_was_planned(
    settlement: Settlement, left: int, tmp_path: Path
) -> None:
    attempt = an_attempt(10_000)
    async with opened(tmp_path) as attempts:
        await attempts.begin(attempt)
        assert await taken(attempts) == 10_000
        await attempts.settle(attempt.id, settlement)
        assert await taken(attempts) == left
        await attempts.settle(attempt.id, ended("charged", 99_999))
        assert await taken(attempts) == left


@pytest.mark.anyio
async def test_of_two_settlements_in_one_commit_the_first_counts(tmp_path: Path) -> None:
    attempt = an_attempt(10_000)
    async with opened(tmp_path, linger_seconds=3600) as attempts:
        await attempts.begin(attempt)
        for charge in (33_000, 44_000, 55_000):
            await attempts.settle(attempt.id, ended("charged", charge))
        assert await taken(attempts) == 33_000


@pytest.mark.anyio
async def test_what_a_refused_submission_gives_back_can_be_spent_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, linger_seconds=3600) as attempts:
        for _ in range(3):
            attempt = an_attempt(100_000)
            await attempts.begin(attempt)
            await attempts.settle(attempt.id, NOTHING)


@pytest.mark.anyio
async def test_each_span_has_a_sum_of_its_own_by_when_the_submission_was_made(tmp_path: Path) -> None:
    daily, total = Allotment(10**9, "day"), Allotment(10**9, "total")
    yesterday, last_month = NOW - DAY, NOW - 30 * DAY
    async with opened(tmp_path) as attempts:
        open_one = an_attempt(5_000, daily)
        await begun(
            attempts,
            open_one,
            an_attempt(10_000, None),
            an_attempt(200, daily, created=yesterday),
            an_attempt(30, total, created=last_month),
            an_attempt(1_000_000, total, key_name="another"),
        )
        assert [await taken(attempts, each) for each in (daily, MONTHLY, total)] == [15_000, 15_200, 15_230]
        assert await taken(attempts, daily, yesterday) == 200
        await attempts.settle(open_one.id, ended("charged", 6_000))
        await begun(attempts, an_attempt(4, None), an_attempt(7, total))
        assert [await taken(attempts, each) for each in (daily, MONTHLY, total)] == [16_011, 16_211, 16_241]


@pytest.mark.anyio
async def test_a_budget_given_later_counts_what_was_spent_before_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as attempts:
        charged, unknown, refused = (an_attempt(30_000, None) for _ in range(3))
        await begun(attempts, charged, unknown, refused)
        for attempt, settlement in ((charged, ended("charged", 20_000)), (unknown, UNKNOWN), (refused, NOTHING)):
            await attempts.settle(attempt.id, settlement)
        assert await begun(attempts, an_attempt(50_001)) == [False]
        assert await begun(attempts, an_attempt(50_000)) == [True]


@pytest.mark.anyio
async def test_a_budget_made_smaller_refuses_from_then_on_and_made_larger_grants(tmp_path: Path) -> None:
    async with opened(tmp_path) as attempts:
        assert await begun(attempts, an_attempt(60_000)) == [True]
        assert await begun(attempts, an_attempt(1, Allotment(50_000, "month"))) == [False]
        assert await begun(attempts, an_attempt(100_000, Allotment(160_000, "month"))) == [True]


@pytest.mark.anyio
async def test_records_of_before_there_were_budgets_count(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / FILE, MIGRATIONS[:2])) as connection:
        for charge, planned, cost in (("charged", 1, 20_000), ("unknown", 7_000, None), ("none", 500, 0)):
            connection.execute(
                "INSERT INTO attempts (id, generation_id, request_id, provider, model, requested_model, key_name, "
                "images, planned_cost_micros, created, state, charge, cost_micros) "
                "VALUES (?, 'g', 'r', 'p', 'm', 'm', 'team', 1, ?, ?, 'done', ?, ?)",
                (new_id(NOW), planned, NOW, charge, cost),
            )
    async with opened(tmp_path) as attempts:
        assert await taken(attempts) == 27_000


@pytest.mark.anyio
async def test_what_nobody_finds_out_holds_for_a_week_and_is_then_let_go_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    total, now = Allotment(10**9, "total"), time.time()
    old, young, charged = (
        an_attempt(cost, total, created=created)
        for cost, created in (
            (30_000, now - UNKNOWN_SECONDS - 60),
            (2_000, now - UNKNOWN_SECONDS + 600),
            (100, now - 9 * DAY),
        )
    )
    async with opened(tmp_path) as attempts:
        assert all(await begun(attempts, old, young, charged))
        for attempt, settlement in ((old, UNKNOWN), (young, UNKNOWN), (charged, ended("charged", 100))):
            await attempts.settle(attempt.id, settlement)
        generations = SqliteGenerations(attempts)
        with caplog.at_level(logging.WARNING, "imagegate.attempts"):
            swept = await generations.sweep(Ages(rows=now - 60, answers=0.0, keys=0.0))
        assert swept == 2  # the old and the charged one: what still holds a part of a budget stays on record
        assert await taken(attempts, total) == 2_100
        assert ids(tmp_path) == [young.id]
        [record] = caplog.records
        assert f"submission {old.id} has held $0.03 of the budget of 'team' for 7 days" in record.getMessage()
        with caplog.at_level(logging.WARNING, "imagegate.attempts"):
            await generations.sweep(Ages(rows=0.0, answers=0.0, keys=0.0))
        assert len(caplog.records) == 1


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.services.attempts import NewAttempt, Settlement
from gateway.services.attempts_sqlite import SqliteAttempts
from gateway.services.budgets import Allotment

async def main():
    attempts = SqliteAttempts(Path(sys.argv[1]))
    for id in sys.argv[2:]:
        allotment = Allotment(100_000, "total")
        await attempts.begin(
            NewAttempt(id, "gen", "req", "p", "m", "m", "team", None, 1, 40_000, 1e9, allotment=allotment)
        )
    await attempts.settle(sys.argv[2], Settlement("refused", "x", "none", 0, 0, 0.0))
    await attempts.ping()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.anyio
async def test_a_process_that_is_killed_leaves_what_its_submissions_hold(tmp_path: Path) -> None:
    total = Allotment(100_000, "total")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, tmp_path, new_id(1e9), new_id(1e9))
    assert await process.wait() == -signal.SIGKILL
    async with opened(tmp_path) as attempts:
        assert await taken(attempts, total) == 40_000
        assert await begun(attempts, an_attempt(60_001, total), an_attempt(60_000, total)) == [False, True]


RIVAL = """
import asyncio, sys
from pathlib import Path
from gateway.services.attempts import NewAttempt, new_id
from gateway.services.attempts_sqlite import SqliteAttempts
from gateway.services.budgets import Allotment

async def main():
    attempts = SqliteAttempts(Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    begun = await asyncio.gather(*(
        attempts.begin(NewAttempt(new_id(), "gen", "req", "p", "m", "m", "team", None, 1, 1_000, 1e9,
                                  allotment=Allotment(101_000, "total")))
        for _ in range(100)), return_exceptions=True)
    print(sum(each is None for each in begun), flush=True)
    sys.stdin.readline()
    await attempts.close()

asyncio.run(main())
"""


@pytest.mark.anyio
async def test_processes_on_one_file_spend_one_budget(tmp_path: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    rivals = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", RIVAL, tmp_path, stdin=pipe, stdout=pipe)
        for _ in range(2)
    ]

    async def line(rival: asyncio.subprocess.Process) -> bytes:
        assert rival.stdout is not None
        return await rival.stdout.readline()

    for rival in rivals:
        assert await line(rival) == b"ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write(b"go\n")
    assert sum([int(await line(rival)) for rival in rivals]) == 101
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.close()
        assert await rival.wait() == 0
    assert len(ids(tmp_path)) == 101
