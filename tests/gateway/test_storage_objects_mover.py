"""What waits for a bucket is moved, whatever lies beside it and whatever goes wrong once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.services import storage_objects
from gateway.services.storage_objects import ObjectStorage
from gateway.services.storage_places import new_place
from gateway.services.storage_waiting import FOLDER
from normalization.vocabulary import Format

pytestmark = pytest.mark.anyio
PATIENCE = 15.0


class Shelf:
    """A bucket that takes everything, after so many failures that nobody foresaw."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.kept: list[bytes] = []
        self.took = asyncio.Event()

    async def put(self, key: str, pieces: Sequence[memoryview], media_type: str) -> None:
        if self.failures:
            self.failures -= 1
            raise KeyError("a reply that makes no sense")
        self.kept.append(b"".join(pieces))
        self.took.set()


def waiting(folder: Path, content: bytes | None, age: float) -> Path:
    """A picture that waits, or, without content, what cannot be read in the place of one."""
    path = folder / FOLDER / new_place(Format.PNG, int(time.time() + 3600)).name
    path.parent.mkdir(exist_ok=True)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


async def moved(folder: Path, shelf: Shelf) -> None:
    storage = ObjectStorage(cast("Any", shelf), folder, retention_seconds=3600, floor_bytes=0)
    storage._move_soon()
    async with asyncio.timeout(PATIENCE):
        await shelf.took.wait()
    await storage.close()


async def test_what_cannot_be_read_keeps_back_nothing_that_waits_behind_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    waiting(tmp_path, None, age=60)
    waiting(tmp_path, b"picture", age=30)
    shelf = Shelf()
    await moved(tmp_path, shelf)
    assert shelf.kept == [b"picture"]


async def test_a_failure_that_nobody_foresaw_ends_no_moving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage_objects, "MOVE_FIRST_SECONDS", 0.0)
    waiting(tmp_path, b"picture", age=30)
    shelf = Shelf(failures=1)
    await moved(tmp_path, shelf)
    assert shelf.kept == [b"picture"]
    assert "a reply that makes no sense" in caplog.text
