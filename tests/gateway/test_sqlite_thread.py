"""A file that a thread of its own works on: whoever reads waits for no writer, and nothing asked for is lost."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.services.responses import KeptResponse
from gateway.services.responses_sqlite import FILE, SqliteResponses
from gateway.services.sqlite import open_database
from gateway.services.sqlite_thread import SqliteThread
from normalization.errors import StateUnavailable

pytestmark = pytest.mark.anyio
PATIENCE = 15.0


async def test_a_stored_response_is_read_while_another_process_writes(tmp_path: Path) -> None:
    responses = SqliteResponses(tmp_path)
    kept = KeptResponse("resp_1", "web", time.time() + 60, (b"{}",))
    await responses.keep(kept)
    another = sqlite3.connect(tmp_path / FILE)
    another.execute("BEGIN IMMEDIATE")
    assert await responses.find("resp_1", "web", time.time()) == kept
    assert await responses.pictures("resp_1", "web", time.time()) == ()
    another.close()
    await responses.close()


async def test_what_was_asked_for_is_done_before_the_file_is_let_go_of_and_nothing_after_it(tmp_path: Path) -> None:
    go_on = threading.Event()
    file = SqliteThread(open_database(tmp_path / "f.sqlite3", ()), "test")

    def slow(connection: sqlite3.Connection) -> str:
        assert go_on.wait(PATIENCE)
        connection.execute("CREATE TABLE t (a)")
        return "done"

    asked = asyncio.create_task(file.run(slow))
    await asyncio.sleep(0)
    closes = asyncio.create_task(file.close())
    await asyncio.sleep(0)
    with pytest.raises(StateUnavailable):
        await file.run(lambda connection: None)
    go_on.set()
    assert await asked == "done"
    await closes
    with closing(sqlite3.connect(tmp_path / "f.sqlite3")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("t",)]


async def test_work_that_fails_changes_nothing_and_the_next_is_done(tmp_path: Path) -> None:
    file = SqliteThread(open_database(tmp_path / "f.sqlite3", ()), "test")

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE t (a)")
        raise KeyError("a row that makes no sense")

    with pytest.raises(KeyError):
        await file.run(half)
    found = await file.run(lambda connection: connection.execute("SELECT name FROM sqlite_master").fetchall())
    assert found == []
    await file.close()
