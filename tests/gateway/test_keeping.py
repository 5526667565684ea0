"""Pictures that are paid for and given to nobody."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.container import Services
from gateway.outcome import Delivered, Order, Outcome, Timing
from normalization.errors import StorageFull
from normalization.vocabulary import Format, Size

PICTURES = tuple(Delivered(name, Format.PNG, Size(1, 1)) for name in (b"one", b"two"))


class FullForOne:
    """A disk with room for the second picture only."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    async def put(self, data: bytes, form: Format) -> str:
        if data == b"one":
            raise StorageFull("no room left")
        self.kept.append(data)
        return "name.png"


@pytest.mark.anyio
async def test_a_full_disk_neither_raises_nor_keeps_the_other_pictures_out(caplog: pytest.LogCaptureFixture) -> None:
    storage = FullForOne()
    order, outcome = Order("gen_1", "req_1", "m", "m", ()), Outcome(tuple(enumerate(PICTURES)), 0, (), (), Timing())
    with caplog.at_level(logging.WARNING, "imagegate"):
        await Services.keep(cast("Any", SimpleNamespace(storage=storage)), order, outcome)
    assert storage.kept == [b"two"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
