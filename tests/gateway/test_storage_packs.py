"""Pictures that are kept just in case: together in few files, found by their names, gone with their time."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.services.allowance import Allowance
from gateway.services.storage_file import FileStorage
from normalization.errors import StateUnavailable, StorageFull
from normalization.vocabulary import Format

pytestmark = pytest.mark.anyio
PATIENCE = 15.0


async def read(storage: FileStorage, name: str) -> bytes | None:
    stored = await storage.open(name)
    return None if stored is None else b"".join([chunk async for chunk in stored.chunks()])


async def test_many_at_once_lie_in_one_file_and_each_is_found_whole(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path, retention_seconds=3600)
    contents = [os.urandom(size) for size in (1, 100, 700_000, 3, 2_000_000, 0)] * 3
    names = await asyncio.gather(*(storage.put([each[:2], each[2:]], Format.WEBP, durable=False) for each in contents))
    assert len(set(names)) == len(names)
    assert len(list((tmp_path / "pictures/packs").iterdir())) == 1
    for name, content in zip(names, contents, strict=True):
        assert await read(storage, name) == content
        assert name.endswith(".webp")
    await storage.close()
    later = FileStorage(tmp_path, retention_seconds=3600)
    assert await read(later, names[2]) == contents[2]
    await later.close()


async def test_a_pack_goes_with_its_time_and_what_comes_then_is_kept(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path, retention_seconds=3600)
    name = await storage.put(b"one", Format.PNG, durable=False)
    assert await storage.sweep(time.time() + 3500) == 0
    assert await storage.sweep(time.time() + 3700) == 1
    assert await read(storage, name) is None
    for content in (b"two", b"three"):
        again = await storage.put(content, Format.PNG, durable=False)
        assert await read(storage, again) == content
    await storage.close()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../x",
        f"{'0' * 32}-0-3.png",
        f"{'0' * 32}-0-3.exe",
        f"{'0' * 31}/-0-3.png",
        f"{'0' * 32}--1-3.png",
    ],
)
async def test_a_name_that_is_none_finds_nothing(name: str, tmp_path: Path) -> None:
    storage = FileStorage(tmp_path, retention_seconds=3600)
    await storage.put(b"one", Format.PNG, durable=False)
    assert await storage.open(name) is None
    await storage.close()


async def test_more_than_was_written_cannot_be_read(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path, retention_seconds=3600)
    name = await storage.put(b"three", Format.PNG, durable=False)
    assert name.endswith("-0-5.png")
    assert await storage.open(name.replace("-0-5.png", "-0-6.png")) is None
    assert await storage.open(name.replace("-0-5.png", "-1-5.png")) is None
    await storage.close()


async def test_a_full_disk_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path, retention_seconds=3600, floor_bytes=1 << 60)
    with pytest.raises(StorageFull):
        await storage.put(b"one", Format.PNG, durable=False)
    await storage.close()


async def test_a_picture_can_be_kept_longer_than_the_others(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path, retention_seconds=100)
    usual = await storage.put(b"usual", Format.PNG)
    longer = await storage.put(b"longer", Format.PNG, seconds=1000)
    prolonged = await storage.put(b"prolonged", Format.PNG)
    await storage.prolong(prolonged, 1000)
    await storage.prolong(longer, 10)
    await storage.sweep(time.time() + 500)
    assert [await read(storage, name) for name in (usual, longer, prolonged)] == [None, b"longer", b"prolonged"]
    await storage.close()


async def test_an_allowance_is_used_up_and_comes_back() -> None:
    now = 0.0
    allowance = Allowance(100, 10, clock=lambda: now)
    assert [allowance.take(60), allowance.take(60), allowance.take(40)] == [True, False, True]
    now = 6.0
    assert [allowance.take(60), allowance.take(1)] == [True, False]
    now = 1000.0
    assert [allowance.take(500), allowance.take(1)] == [True, False]


async def test_a_deleted_picture_leaves_zeros_and_its_neighbours_whole(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path, retention_seconds=3600)
    contents = [b"left", b"\0\0\0\x1cftyp" + os.urandom(3_000_000), b"right", b""]
    names = [await storage.put(each, Format.AVIF, durable=False) for each in contents]
    [pack] = (tmp_path / "pictures/packs").iterdir()
    os.utime(pack, (1_000_000_000, 1_000_000_000))
    await storage.delete(names[1])
    assert pack.stat().st_mtime == 1_000_000_000  # or it would be kept for longer
    assert pack.read_bytes() == b"left" + bytes(len(contents[1])) + b"right"
    assert [await read(storage, name) for name in names] == [b"left", None, b"right", b""]
    beyond = names[1].replace(f"-{len(contents[1]):x}.", f"-{len(contents[1]) + 6:x}.")
    await storage.delete(beyond)
    assert await read(storage, names[2]) == b"right"
    await storage.close()


async def test_closing_lets_what_is_being_written_be_written_and_refuses_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    write = os.pwritev

    def slow(file: int, pieces: Sequence[memoryview], at: int) -> int:
        begun.set()
        assert go_on.wait(PATIENCE)
        return write(file, pieces, at)

    storage = FileStorage(tmp_path, retention_seconds=3600)
    monkeypatch.setattr(os, "pwritev", slow)
    async with asyncio.timeout(PATIENCE):
        first = asyncio.create_task(storage.put(b"first", Format.PNG, durable=False))
        await asyncio.to_thread(begun.wait, PATIENCE)
        second = asyncio.create_task(storage.put(b"second", Format.PNG, durable=False))
        await asyncio.sleep(0)
        closing = asyncio.create_task(storage.close())
        await asyncio.sleep(0)
        go_on.set()
        name = await first
        with pytest.raises(StateUnavailable):
            await second
        await closing
        with pytest.raises(StateUnavailable):
            await storage.put(b"third", Format.PNG, durable=False)
    monkeypatch.undo()
    later = FileStorage(tmp_path, retention_seconds=3600)
    assert await read(later, name) == b"first"
    await later.close()


async def test_a_failure_that_nobody_foresaw_is_told_to_all_who_wait_and_to_nobody_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(file: int, pieces: Sequence[memoryview], at: int) -> int:
        raise MemoryError

    storage = FileStorage(tmp_path, retention_seconds=3600)
    monkeypatch.setattr(os, "pwritev", fails)
    async with asyncio.timeout(PATIENCE):
        puts = (storage.put(content, Format.PNG, durable=False) for content in (b"one", b"two"))
        ends = await asyncio.gather(*puts, return_exceptions=True)
        assert [type(end) for end in ends] == [MemoryError, MemoryError]
        monkeypatch.undo()
        assert await read(storage, await storage.put(b"three", Format.PNG, durable=False)) == b"three"
    await storage.close()
