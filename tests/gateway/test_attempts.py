"""Attempts on record: durable before they are sent, settled once, honest after a crash."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.services.attempts import Attempt, NewAttempt, Settlement, new_id
from gateway.services.attempts_sqlite import FILE, SqliteAttempts
from gateway.services.attempts_writer import LEASE_SECONDS

pytestmark = pytest.mark.anyio

DONE = Settlement("done", "ok", "charged", 70_000, 1, 1.5)


def an_attempt(**changes: Any) -> NewAttempt:
    usual = NewAttempt(
        id=new_id(),
        generation_id="gen_1",
        request_id="req_1",
        provider="apiframe",
        model="flux-2-max",
        requested_model="flux-2-max",
        key_name="web-team",
        user=None,
        images=1,
        planned_cost_micros=70_000,
        created=1_760_000_000.25,
    )
    return replace(usual, **changes)


@asynccontextmanager
async def opened(data_dir: Path) -> AsyncIterator[SqliteAttempts]:
    attempts = SqliteAttempts(data_dir, linger_seconds=0)
    try:
        yield attempts
    finally:
        await attempts.close()


def rows(data_dir: Path) -> dict[str, dict[str, Any]]:
    """What another process finds in the file."""
    connection = sqlite3.connect(data_dir / FILE)
    connection.row_factory = sqlite3.Row
    found = {row["id"]: dict(row) for row in connection.execute("SELECT * FROM attempts")}
    connection.close()
    return found


async def pragma(attempts: SqliteAttempts, statement: str) -> Any:
    """Run a PRAGMA on the connection that writes."""
    return await attempts.ask(lambda connection: connection.execute(f"PRAGMA {statement}").fetchone())


def test_new_ids_are_ulids_that_sort_by_time() -> None:
    earlier, later = new_id(1_469_918_176.385), new_id(1_469_918_176.386)
    assert earlier < later
    assert len(earlier) == 26
    assert set(earlier) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert earlier[:10] == "01ARYZ6S41"  # the example of the ULID specification
    assert len({new_id(0.0) for _ in range(1000)}) == 1000


async def test_what_began_is_on_record_before_begin_returns(tmp_path: Path) -> None:
    attempt = an_attempt(user="u-1", key_name=None, planned_cost_micros=None)
    async with opened(tmp_path) as attempts:
        await attempts.begin(attempt)
        [row] = rows(tmp_path).values()
        assert row["state"] == "sending"
        assert {name: row[name] for name in ("id", "user", "key_name", "planned_cost_micros", "created")} == {
            "id": attempt.id,
            "user": "u-1",
            "key_name": None,
            "planned_cost_micros": None,
            "created": 1_760_000_000.25,
        }


async def test_a_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    async with opened(tmp_path) as attempts:
        assert await pragma(attempts, "synchronous") == (2,)
        assert await pragma(attempts, "journal_mode") == ("wal",)
        assert await pragma(attempts, "busy_timeout") == (5000,)
        assert await pragma(attempts, "wal_autocheckpoint") == (1000,)


async def test_the_log_has_its_length_before_anybody_waits_and_takes_no_room_in_the_file(tmp_path: Path) -> None:
    async with opened(tmp_path):
        assert (tmp_path / f"{FILE}-wal").stat().st_size > 4_000_000
        assert (tmp_path / FILE).stat().st_size < 300_000


async def test_a_job_is_on_record_before_accepted_returns(tmp_path: Path) -> None:
    attempt = an_attempt()
    async with opened(tmp_path) as attempts:
        await attempts.begin(attempt)
        await attempts.accepted(attempt.id, "job-7")
        row = rows(tmp_path)[attempt.id]
        assert (row["state"], row["job"]) == ("accepted", "job-7")
        assert await attempts.unsettled() == [Attempt(attempt, "accepted", "job-7")]


async def test_a_settlement_is_written_by_the_time_of_close(tmp_path: Path) -> None:
    attempt = an_attempt()
    attempts = SqliteAttempts(tmp_path, linger_seconds=3600)
    await attempts.begin(attempt)
    await attempts.settle(attempt.id, DONE)
    assert rows(tmp_path)[attempt.id]["state"] == "sending"
    await attempts.close()
    row = rows(tmp_path)[attempt.id]
    assert [row[name] for name in ("state", "outcome", "charge", "cost_micros", "delivered", "seconds")] == [
        "done",
        "ok",
        "charged",
        70_000,
        1,
        1.5,
    ]


async def test_a_settlement_needs_neither_company_nor_close_to_be_written(tmp_path: Path) -> None:
    attempt = an_attempt()
    async with opened(tmp_path) as attempts:
        await attempts.begin(attempt)
        await attempts.settle(attempt.id, DONE)
        while rows(tmp_path)[attempt.id]["state"] == "sending":  # noqa: ASYNC110  (nothing tells: that is the point)
            await asyncio.sleep(0)


async def test_the_first_settlement_stands(tmp_path: Path) -> None:
    attempt = an_attempt()
    async with opened(tmp_path) as attempts:
        await attempts.begin(attempt)
        await attempts.settle(attempt.id, DONE)
        assert await attempts.unsettled() == []
        await attempts.settle(attempt.id, replace(DONE, state="failed", charge="none"))
        await attempts.accepted(attempt.id, "job-late")
        row = rows(tmp_path)[attempt.id]
        assert (row["state"], row["charge"], row["job"]) == ("done", "charged", None)


async def test_many_at_once_share_a_few_commits_and_none_is_lost(tmp_path: Path) -> None:
    many = [an_attempt() for _ in range(200)]
    async with opened(tmp_path) as attempts:
        commits = 0

        def count(statement: str) -> None:
            nonlocal commits
            commits += statement == "COMMIT"

        await attempts.ask(lambda connection: connection.set_trace_callback(count))

        async def whole(attempt: NewAttempt) -> None:
            await attempts.begin(attempt)
            await attempts.accepted(attempt.id, f"job-{attempt.id}")
            await attempts.settle(attempt.id, DONE)

        await asyncio.gather(*map(whole, many))
        assert await attempts.unsettled() == []
        assert commits <= 6
    found = rows(tmp_path)
    assert {attempt.id for attempt in many} == set(found)
    assert all(row["state"] == "done" and row["job"] == f"job-{row['id']}" for row in found.values())


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.services.attempts import NewAttempt
from gateway.services.attempts_sqlite import SqliteAttempts

async def main():
    attempts = SqliteAttempts(Path(sys.argv[1]))
    for word in sys.argv[2:]:
        id, _, cost = word.partition(":")
        await attempts.begin(
            NewAttempt(id, "gen", "req", "p", "m", "m", None, None, 1, int(cost) if cost else None, 0.0)
        )
    await attempts.accepted(id, "job-1")
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_after_a_kill_the_half_sent_may_have_cost_and_the_accepted_is_still_open(tmp_path: Path) -> None:
    sent, taken = new_id(1.0), new_id(2.0)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, tmp_path, sent, taken)
    assert await process.wait() == -signal.SIGKILL
    async with opened(tmp_path) as attempts:
        assert [(each.submission.id, each.state, each.job) for each in await attempts.unsettled()] == [
            (taken, "accepted", "job-1")
        ]
        row = rows(tmp_path)[sent]
        assert (row["state"], row["outcome"], row["charge"]) == ("maybe", "interrupted", "unknown")


async def test_what_is_free_may_not_have_cost_anything_after_a_kill_and_what_nobody_knows_the_price_of_may(
    tmp_path: Path,
) -> None:
    free, priced, unpriced, taken = (new_id(at) for at in (1.0, 2.0, 3.0, 4.0))
    words = (f"{free}:0", f"{priced}:5", unpriced, taken)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, tmp_path, *words)
    assert await process.wait() == -signal.SIGKILL
    async with opened(tmp_path):
        found = rows(tmp_path)
    assert [found[id]["state"] for id in (free, priced, unpriced)] == ["maybe"] * 3
    assert [found[id]["charge"] for id in (free, priced, unpriced)] == ["none", "unknown", "unknown"]


async def test_a_start_beside_a_living_process_does_not_take_its_attempts_away(tmp_path: Path) -> None:
    attempt, job = an_attempt(), an_attempt()
    async with opened(tmp_path) as living:
        await living.begin(attempt)
        await living.begin(job)
        await living.accepted(job.id, "job-9")
        async with opened(tmp_path) as other:
            assert await other.take(time.time()) == []
            assert rows(tmp_path)[attempt.id]["state"] == "sending"
        await living.settle(attempt.id, DONE)
        assert [each.submission.id for each in await living.unsettled()] == [job.id]
        assert rows(tmp_path)[attempt.id]["charge"] == "charged"


async def test_who_lets_the_lease_run_out_is_not_heard_any_more(tmp_path: Path) -> None:
    sent, job = an_attempt(), an_attempt()
    async with opened(tmp_path) as frozen, opened(tmp_path) as other:
        await frozen.begin(sent)
        await frozen.begin(job)
        await frozen.accepted(job.id, "job-9", '{"v":1}')
        await frozen.renew()
        assert await other.take(time.time() + LEASE_SECONDS - 1) == []
        [orphan] = await other.take(time.time() + LEASE_SECONDS + 1)
        # Made in the same millisecond, their order is chance.
        assert {(each.id, each.state, each.resume) for each in orphan.submissions} == {
            (sent.id, "maybe", None),
            (job.id, "accepted", '{"v":1}'),
        }
        await frozen.settle(sent.id, DONE)
        await frozen.settle(job.id, replace(DONE, state="failed", charge="none"))
        await frozen.unsettled()  # written by now
        assert {row["state"] for row in rows(tmp_path).values()} == {"maybe", "accepted"}
        await other.settle(job.id, DONE)
        await other.unsettled()
        assert rows(tmp_path)[job.id]["state"] == "done"
        assert rows(tmp_path)[job.id]["fence"] == 2


async def test_a_begin_that_is_cancelled_while_it_is_written_is_settled_as_not_sent(tmp_path: Path) -> None:
    attempt = an_attempt()
    async with opened(tmp_path) as attempts:
        task = asyncio.create_task(attempts.begin(attempt))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await attempts.unsettled() == []
        row = rows(tmp_path)[attempt.id]
        assert (row["state"], row["outcome"], row["charge"]) == ("not_sent", "cancelled", "none")


async def test_a_begin_that_is_cancelled_before_it_is_written_leaves_nothing(tmp_path: Path) -> None:
    first, cancelled = an_attempt(), an_attempt()
    async with opened(tmp_path) as attempts:
        written = asyncio.create_task(attempts.begin(first))
        while not attempts.next.begun:  # noqa: ASYNC110  (nothing tells)
            await asyncio.sleep(0)
        while attempts.next.begun:  # noqa: ASYNC110  (nothing tells that the writer has it)
            await asyncio.sleep(0)
        task = asyncio.create_task(attempts.begin(cancelled))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await written
        await attempts.ping()
        assert set(rows(tmp_path)) == {first.id}
