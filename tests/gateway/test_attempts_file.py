"""The file that attempts are recorded in: full, read-only, away, locked, of another version, or no database."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from gateway.services import attempts_writer
from gateway.services.attempts import Attempt
from gateway.services.attempts_schema import MIGRATIONS
from gateway.services.attempts_sqlite import FILE, SqliteAttempts
from gateway.services.ledger_sqlite import SqliteLedger
from gateway.services.sqlite import open_database
from normalization.errors import ConfigurationError, OperatorError, StateUnavailable, StorageFull
from tests.gateway.test_attempts import DONE, an_attempt, opened, pragma, rows
from tests.gateway.test_notebook import an_entry

pytestmark = pytest.mark.anyio


async def test_a_full_disk_refuses_before_anything_is_sent(tmp_path: Path) -> None:
    async with opened(tmp_path) as attempts:
        (pages,) = await pragma(attempts, "page_count")
        await pragma(attempts, f"max_page_count = {pages}")
        with pytest.raises(StorageFull) as full:
            await asyncio.gather(*(attempts.begin(an_attempt(user="u" * 40_000)) for _ in range(200)))
        assert full.value.status == 503
        assert full.value.should_retry is True
        await pragma(attempts, "max_page_count = 1000000")
        await attempts.begin(an_attempt())


async def test_a_disk_that_turns_read_only_refuses_new_work_and_loses_no_old(tmp_path: Path) -> None:
    attempt, job = an_attempt(), an_attempt()
    async with opened(tmp_path) as attempts:
        await attempts.begin(attempt)
        await attempts.begin(job)
        await pragma(attempts, "query_only = ON")
        with pytest.raises(StateUnavailable):
            await attempts.accepted(job.id, "job-3")
        await attempts.settle(attempt.id, DONE)
        with pytest.raises(StateUnavailable):
            await attempts.begin(an_attempt())
        with pytest.raises(StateUnavailable):
            await attempts.ping()
        await pragma(attempts, "query_only = OFF")
        await attempts.ping()
        assert await attempts.unsettled() == [Attempt(job, "accepted", "job-3")]
        assert rows(tmp_path)[attempt.id]["state"] == "done"


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_is_not_where_it_was_refuses_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    monkeypatch.setattr("gateway.services.sqlite.PRESENCE_SECONDS", 0.0)
    data_dir = tmp_path / "data"
    async with opened(data_dir) as attempts:
        first = an_attempt()
        await attempts.begin(first)
        data_dir.rename(tmp_path / "elsewhere")
        if replaced:
            async with opened(data_dir):
                pass
        for refused in (attempts.begin(an_attempt()), attempts.ping(), attempts.unsettled()):
            with pytest.raises(StateUnavailable):
                await refused
        if replaced:
            data_dir.rename(tmp_path / "another")
        (tmp_path / "elsewhere").rename(data_dir)
        assert [attempt.submission.id for attempt in await attempts.unsettled()] == [first.id], "it is back"


async def test_a_file_that_another_process_has_locked_refuses_rather_than_hangs(tmp_path: Path) -> None:
    async with opened(tmp_path) as attempts:
        await pragma(attempts, "busy_timeout = 0")
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateUnavailable):
            await attempts.begin(an_attempt())
        other.close()
        await attempts.begin(an_attempt())


async def test_one_record_that_cannot_be_written_does_not_take_its_neighbours_with_it(tmp_path: Path) -> None:
    good, double, broken = an_attempt(), an_attempt(), an_attempt(user="\ud800")
    async with opened(tmp_path) as attempts:
        await attempts.begin(double)
        ended = await asyncio.gather(*(attempts.begin(each) for each in (double, broken, good)), return_exceptions=True)
        assert [type(each) for each in ended] == [StateUnavailable, StateUnavailable, type(None)]
    assert set(rows(tmp_path)) == {good.id, double.id}


async def test_nothing_is_recorded_after_close_and_closing_twice_is_fine(tmp_path: Path) -> None:
    attempts = SqliteAttempts(tmp_path)
    await attempts.close()
    await attempts.close()
    with pytest.raises(StateUnavailable):
        await attempts.begin(an_attempt())
    with pytest.raises(StateUnavailable):
        await attempts.settle("x", DONE)


async def test_what_is_lost_at_close_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    attempt = an_attempt()
    attempts = SqliteAttempts(tmp_path, linger_seconds=3600)
    await attempts.begin(attempt)
    await pragma(attempts, "query_only = ON")
    await attempts.settle(attempt.id, DONE)
    await attempts.close()
    assert "1 records of attempts could not be written and are lost" in caplog.text


async def test_the_file_is_private(tmp_path: Path) -> None:
    data_dir = tmp_path / "new" / "data"
    async with opened(data_dir) as attempts:
        await attempts.begin(an_attempt())
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data_dir.iterdir() if path.is_file()}
        assert stat.S_IMODE((data_dir / "owners").stat().st_mode) == 0o700
        assert modes == {FILE: 0o600, f"{FILE}-wal": 0o600, f"{FILE}-shm": 0o600}


def test_a_file_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    open_database(tmp_path / FILE, [*MIGRATIONS, lambda _: None]).close()
    with pytest.raises(ConfigurationError, match="newer imagegate"):
        SqliteAttempts(tmp_path)


def test_a_migration_that_fails_leaves_the_schema_as_it_was(tmp_path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE half (x)")
        raise sqlite3.OperationalError("no more")

    open_database(tmp_path / FILE, MIGRATIONS).close()
    with pytest.raises(OperatorError):
        open_database(tmp_path / FILE, [*MIGRATIONS, half])
    connection = open_database(tmp_path / FILE, MIGRATIONS)
    assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchall() == []
    connection.close()


def test_a_link_in_place_of_the_state_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateUnavailable):
        SqliteAttempts(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_place_where_no_file_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnavailable, match=os.fspath(tmp_path / "file" / FILE)):
        SqliteAttempts(tmp_path / "file")


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(StateUnavailable) as found:
        SqliteAttempts(tmp_path)
    assert "NOTADB" in found.value.detail


async def test_a_begin_that_is_cancelled_while_the_process_ends_is_cancelled(tmp_path: Path) -> None:
    attempts = SqliteAttempts(tmp_path, linger_seconds=0)
    another = sqlite3.connect(tmp_path / FILE)
    another.execute("BEGIN IMMEDIATE")  # what is being written waits for it
    begins = asyncio.create_task(attempts.begin(an_attempt()))
    await asyncio.sleep(0)
    while attempts.next.begun:  # noqa: ASYNC110  (nothing tells that the writer has it)
        await asyncio.sleep(0)
    closes = asyncio.create_task(attempts.close())
    await asyncio.sleep(0)
    begins.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begins
    another.close()
    await closes


async def test_while_nothing_can_be_written_what_was_bought_is_kept_and_who_asked_is_not_kept_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(attempts_writer, "REQUESTS_MOST", 3)
    attempt = an_attempt()
    async with opened(tmp_path) as attempts:
        await attempts.begin(attempt)
        await pragma(attempts, "query_only = ON")
        await attempts.settle(attempt.id, DONE)
        ledger = SqliteLedger(attempts, tmp_path)
        entries = [an_entry(images) for images in range(5)]
        for entry in entries:
            await ledger.enter(entry)
            with pytest.raises(StateUnavailable):
                await attempts.ping()
        assert attempts.unwritten == 1 + 3
        assert caplog.text.count("1 requests could not be entered into the ledger and are lost") == 2
        await pragma(attempts, "query_only = OFF")
        await attempts.ping()
        assert rows(tmp_path)[attempt.id]["state"] == "done"
        sums = await ledger.sums(0.0, time.time() + 10.0, "day")
        assert sums.totals.images == 2 + 3 + 4
