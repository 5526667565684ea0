"""Who works on what: what cannot be told is no proof of a death, and no failure outlives its cause."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.services import leases
from gateway.services.attempts import new_id
from gateway.services.attempts_schema import RENEW
from gateway.services.attempts_sqlite import SqliteAttempts
from gateway.services.leases import Life
from normalization.errors import StateUnavailable
from tests.gateway.test_attempts import an_attempt, opened, rows

pytestmark = pytest.mark.anyio
PATIENCE = 15.0


async def test_too_many_open_files_are_no_death_of_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = an_attempt()
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        await one.begin(attempt)

        def none_left(path: Any, *others: Any, **named: Any) -> int:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

        with monkeypatch.context() as patched:
            patched.setattr("os.open", none_left)
            await other.take(time.time())
        assert rows(tmp_path)[attempt.id]["state"] == "sending"


def test_who_was_killed_with_nothing_under_way_leaves_nothing_for_ever(tmp_path: Path) -> None:
    lives = Life(tmp_path, new_id())
    folder = tmp_path / leases.FOLDER
    (folder / new_id()).touch(mode=0o600)  # its process was killed
    (folder / "not-ours").touch()
    one = Life(tmp_path, new_id())
    assert {each.name for each in folder.iterdir()} == {lives.owner, one.owner, "not-ours"}
    lives.end()
    one.end()


async def test_a_renewal_that_fails_refuses_nothing_that_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as attempts:
        with monkeypatch.context() as patched:
            # As where the disk is full in the middle of it: SQLite takes back the statement, and not the transaction.
            patched.setattr(leases, "RENEW", (RENEW[0], "UPDATE attempts SET nothing = 1"))
            with pytest.raises(StateUnavailable):
                await attempts.renew()
        await attempts.begin(an_attempt())
        await attempts.renew()


async def test_a_question_that_fails_in_any_way_ends_its_asker_s_wait_and_nobody_else_s_work(tmp_path: Path) -> None:
    def poisoned(connection: sqlite3.Connection) -> None:
        raise KeyError("a row that makes no sense")

    attempt = an_attempt()
    async with asyncio.timeout(PATIENCE):
        attempts = SqliteAttempts(tmp_path, linger_seconds=0)
        with pytest.raises(KeyError):
            await attempts.ask(poisoned)
        await attempts.begin(attempt)
        await attempts.close()
    assert attempt.id in rows(tmp_path)
