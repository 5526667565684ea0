"""What a process does beside its requests goes on whatever fails, and its end leaves nothing unwritten."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import chores, container
from gateway.container import Services
from gateway.services.attempts_sqlite import FILE
from gateway.services.sharing import Alone
from tests.gateway.test_admin_health import settings_for
from tests.gateway.test_attempts import DONE, an_attempt

pytestmark = pytest.mark.anyio
PATIENCE = 15.0


class Swept:
    """Something to sweep, which fails unexpectedly at first."""

    def __init__(self) -> None:
        self.again = asyncio.Event()
        self.times = 0

    async def sweep(self, now: float) -> None:
        self.times += 1
        if self.times == 1:
            raise KeyError("a row that makes no sense")
        self.again.set()


async def test_a_chore_that_fails_unexpectedly_is_done_again_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    renewed = asyncio.Event()
    tried: list[None] = []

    async def renew() -> None:
        tried.append(None)
        if len(tried) == 1:
            raise ValueError("a row that makes no sense")
        renewed.set()

    for name in ("SWEEP_SECONDS", "RENEW_SECONDS"):
        monkeypatch.setattr(chores, name, 0.0)
    storage, responses, journal = swept = Swept(), Swept(), Swept()
    state = SimpleNamespace(responses=responses, attempts=SimpleNamespace(renew=renew))
    services: Any = SimpleNamespace(
        storage=storage, state=state, journal=journal, jobs=["one"], sharing=Alone(), transport=None, backends={}
    )
    work = chores.Chores(services)
    work.begin(None)
    async with asyncio.timeout(PATIENCE):
        for event in (*(each.again for each in swept), renewed):
            await event.wait()
    await work.close()
    assert "could not be swept" in caplog.text
    assert "could not be held" in caplog.text


async def test_a_sweep_under_way_has_ended_when_the_chores_have(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = asyncio.Event(), False

    class Slow(Swept):
        async def sweep(self, now: float) -> None:
            nonlocal ended
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)  # as a transaction that is yet to be rolled back
                ended = True

    state = SimpleNamespace(responses=Slow())
    services: Any = SimpleNamespace(
        storage=Slow(), state=state, journal=Slow(), jobs=[], sharing=Alone(), transport=None, backends={}
    )
    work = chores.Chores(services)
    work.begin(None)
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
        await work.close()
    assert ended


async def test_what_is_yet_to_be_written_is_written_whatever_will_not_close(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    services = Services(settings_for(tmp_path))
    await services.start()
    attempt = an_attempt()
    await services.state.attempts.begin(attempt)
    await services.state.attempts.settle(attempt.id, DONE)

    async def refuses() -> None:
        raise RuntimeError("a thread that is gone")

    closes = services.pool.close
    services.pool.close = refuses  # type: ignore[method-assign]
    await services.close()
    await closes()
    assert "a thread that is gone" in caplog.text
    with closing(sqlite3.connect(services.settings.server.data_dir / FILE)) as connection:
        assert connection.execute("SELECT state FROM attempts").fetchall() == [("done",)]


async def test_whoever_comes_after_a_start_that_failed_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = Services(settings_for(tmp_path))

    async def fails(settings: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(services, "_open_state", fails)
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is gone"):
            await services.start()


async def test_what_never_closes_keeps_the_process_for_a_while_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "CLOSE_SECONDS", 1.0)
    services = Services(settings_for(tmp_path))
    await services.start()
    attempt = an_attempt()
    await services.state.attempts.begin(attempt)
    await services.state.attempts.settle(attempt.id, DONE)

    async def never() -> None:
        await asyncio.Event().wait()

    closes = services.pool.close
    services.pool.close = never  # type: ignore[method-assign]
    async with asyncio.timeout(PATIENCE):
        await services.close()
    await closes()
    with closing(sqlite3.connect(services.settings.server.data_dir / FILE)) as connection:
        assert connection.execute("SELECT state FROM attempts").fetchall() == [("done",)]
