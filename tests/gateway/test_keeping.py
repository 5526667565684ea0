"""Pictures that are paid for and given to nobody."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

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
