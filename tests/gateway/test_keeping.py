"""Pictures that are paid for and given to nobody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, cast

import pytest

from gateway import jobs
from gateway.config.limits import Limits
from gateway.jobs import Job
from gateway.journal import Journal
from gateway.outcome import Answer, Delivered, Order
from gateway.services.generations import Ended, NewGeneration
from normalization.errors import StorageFull
from normalization.vocabulary import Format, Size

PICTURES = tuple(Delivered(name, Format.PNG, Size(1, 1)) for name in (b"one", b"two"))


class FullForOne:
    """A disk with room for the second picture only."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    async def put(self, data: bytes, form: Format, **_: Any) -> str:
        if data == b"one":
            raise StorageFull("no room left")
        self.kept.append(data)
        return "name.png"


class Ends:
    def __init__(self) -> None:
        self.ended: list[Ended] = []

    async def end(self, new: NewGeneration, ended: Ended) -> None:
        self.ended.append(ended)


@pytest.mark.anyio
async def test_a_full_disk_neither_raises_nor_keeps_the_other_pictures_out(caplog: pytest.LogCaptureFixture) -> None:
    storage, ends = FullForOne(), Ends()
    journal = Journal(cast("Any", ends), cast("Any", storage), Limits(), storage_seconds=1, lasting=True)
    order = Order("gen_1", "req_1", "m", "m", (), generation=NewGeneration("gen_1", "req_1", None, "/", "m", 0.0))
    order.progress.made.update(enumerate(PICTURES))
    job = Job(order)
    job.task = asyncio.create_task(cast("Any", asyncio.sleep(0)))
    job.answer = Answer(PICTURES, {})
    with caplog.at_level(logging.WARNING, "imagegate"):
        await journal.put_away(job)
    assert storage.kept == [b"two"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "ERROR"]
    assert [(each.status, each.delivered, each.answer) for each in ends.ended] == [("succeeded", False, None)]
    await job.task


class Gone:
    """A storage whose threads are gone."""

    async def put(self, data: bytes, form: Format, **_: Any) -> str:
        raise RuntimeError("cannot schedule new futures after shutdown")


@pytest.mark.anyio
async def test_a_failure_that_nobody_foresaw_takes_no_answer_away_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(cast("Any", Ends()), cast("Any", Gone()), Limits(), storage_seconds=1, lasting=True)
    order = Order("gen_1", "req_1", "m", "m", (), generation=NewGeneration("gen_1", "req_1", None, "/", "m", 0.0))
    order.progress.made.update(enumerate(PICTURES))
    job = Job(order)
    job.task = asyncio.create_task(cast("Any", asyncio.sleep(0)))
    job.answer = Answer(PICTURES, {})
    journal.begun(job)
    await journal.put_away(job)
    assert "the end of generation gen_1 is not on record" in caplog.text
    assert await cast("Any", journal)._left_here(None, None) is None  # nobody finds it here any more
    await job.task


@pytest.mark.anyio
async def test_work_that_fails_by_a_time_out_of_its_own_is_not_said_to_go_on() -> None:
    async def work() -> Any:
        raise TimeoutError("a look-up took too long")

    job = Job(Order("gen_1", "req_1", "m", "m", ()))
    job.task = asyncio.create_task(work())
    with pytest.raises(TimeoutError, match="a look-up took too long"):
        await job.wait(60.0)


@pytest.mark.anyio
async def test_work_that_does_not_hear_that_it_is_stopped_does_not_keep_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jobs, "STOP_SECONDS", 0.0)
    goes_on, begun = asyncio.Event(), asyncio.Event()

    async def deaf(job: Job) -> Any:
        begun.set()
        while not goes_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await goes_on.wait()

    running = jobs.Jobs()
    job = running.start(Order("gen_1", "req_1", "m", "m", ()), deaf)
    await begun.wait()
    async with asyncio.timeout(15):
        await running.drain(0.0)
    assert "1 generations do not end" in caplog.text
    goes_on.set()
    await job.task
