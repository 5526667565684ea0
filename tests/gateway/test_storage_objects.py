"""Pictures in a bucket: each where its name says, kept until its time whoever sweeps, read a block at a time."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from gateway.services import storage_objects
from gateway.services.storage import Usage
from gateway.services.storage_objects import READ_BYTES
from gateway.services.storage_places import hour_of, key_of, place_of
from normalization.vocabulary import Format
from tests.faults.proxy import Proxy
from tests.gateway.buckets import DAY, HOUR, NOW, bucket, keys, opened, puts, read

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "text", ["", "../x", "/", f"{'0' * 32}.png", f"{'0' * 32}-{'f' * 10}.png", f"{'0' * 32}-1.png"]
)
def test_a_text_that_is_no_name_has_no_place(text: str) -> None:
    assert place_of(text) is None
    assert key_of(text) is None


def test_any_name_has_an_hour_whatever_time_it_claims() -> None:
    place = place_of(f"{'a' * 32}-fffffffff.webp")
    assert place is not None
    assert place.key == f"pictures/4147-08-20T07/{place.name}"
    assert hour_of(NOW) < hour_of(NOW + HOUR) < hour_of(NOW + 400 * DAY)


async def test_a_picture_lies_in_the_hour_in_which_it_goes_with_its_media_type(tmp_path: Path, s3: Proxy) -> None:
    async with opened(tmp_path) as storage:
        s3.reset()
        name = await storage.put(b"picture", Format.WEBP, seconds=HOUR)
        assert await keys(tmp_path) == [f"pictures/{hour_of(NOW + HOUR)}/{name}"]
        [put] = [each.request.lower() for each in s3.exchanges if each.purpose == "submit"]
        assert b"\r\ncontent-type: image/webp\r\n" in put


# Time


async def test_a_prolonged_picture_outlives_its_first_time_and_then_goes_with_its_marks(
    tmp_path: Path, s3: Proxy
) -> None:
    async with opened(tmp_path) as storage:
        kept, left = [await storage.put(each, Format.PNG) for each in (b"kept", b"left")]
        s3.reset()
        await storage.prolong(kept, HOUR)  # sooner than it would go anyway
        assert s3.exchanges == []
        await storage.prolong(kept, 3 * DAY)
        await storage.prolong(kept, 2 * DAY)
        assert puts(s3) == 2
        assert all(b"\r\ncontent-length: 0\r\n" in each.request for each in s3.exchanges)  # never the picture again
        assert await storage.sweep(NOW + DAY + 1) == 1
        assert await storage.open(left) is None
        assert await storage.sweep(NOW + 3 * DAY) == 0
        assert await read(await storage.open(kept)) == b"kept"
        assert await storage.sweep(NOW + 3 * DAY + 1) == 1
        assert await storage.open(kept) is None
        assert await keys(tmp_path) == []


async def test_a_mark_of_a_picture_that_is_gone_goes_with_its_time(tmp_path: Path, s3: Proxy) -> None:
    async with opened(tmp_path) as storage:
        name = await storage.put(b"picture", Format.PNG)
        await storage.delete(name)
        await storage.prolong(name, 2 * DAY)
        await storage.sweep(NOW + DAY + HOUR)
        assert len(await keys(tmp_path)) == 1
        await storage.sweep(NOW + 2 * DAY + 1)
        assert await keys(tmp_path) == []


async def test_two_that_sweep_at_once_delete_what_is_due_and_nothing_else(tmp_path: Path, s3: Proxy) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        due = [await one.put(b"due", Format.PNG, seconds=60.0 * each) for each in range(1, 20)]
        kept = [await other.put(b"kept", Format.PNG, seconds=60.0 * each) for each in range(1, 20)]
        for name in kept:
            await other.prolong(name, DAY)
        await asyncio.gather(*(each.sweep(NOW + HOUR) for each in (one, other, one)))
        assert [await one.open(name) for name in due] == [None] * 19
        assert [await read(await one.open(name)) for name in kept] == [b"kept"] * 19
        assert await one.usage() == Usage(19, 4 * 19)


async def test_what_is_not_ours_is_never_touched(tmp_path: Path, s3: Proxy) -> None:
    async with opened(tmp_path) as storage:
        name = await storage.put(b"ours", Format.PNG, seconds=60)
        hour = hour_of(NOW + 60)
        foreign = [
            f"pictures/{hour}/holiday.png",
            f"pictures/{hour}/{name}.bak",
            f"pictures/{hour}/deeper/{name}",
            f"pictures/2020-01-01T00/{name}",  # not where it would lie
            "pictures/2020-01-01T00/x.png",
            "pictures/readme.txt",
            f"kept/{hour}/notes",
            "unrelated.png",
        ]
        for key in foreign:
            await bucket(tmp_path).put(key, [memoryview(b"theirs")], "text/plain")
        assert await storage.sweep(NOW + DAY) == 1
        assert await keys(tmp_path) == sorted(foreign)


async def test_a_sweep_goes_on_where_the_last_one_stopped(
    tmp_path: Path, s3: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_objects, "SWEEP_MOST", 3)
    monkeypatch.setattr("gateway.services.bucket.PAGE", 2)
    async with opened(tmp_path) as storage:
        for _ in range(10):
            await storage.put(b"due", Format.PNG, seconds=60)
        swept = [await storage.sweep(NOW + DAY) for _ in range(4)]
        assert sum(swept) == 10
        assert max(swept) == 4  # the page in which the third was
        assert await keys(tmp_path) == []


# Memory


async def test_readers_hold_a_block_each_however_large_the_picture_is(tmp_path: Path, s3: Proxy) -> None:
    async with opened(tmp_path) as storage:
        name = await storage.put(os.urandom(40 * READ_BYTES), Format.PNG)
        s3.reset()
        readers = [stored.chunks() for stored in [await storage.open(name) for _ in range(8)] if stored is not None]
        for reader in readers:
            await anext(reader)
        asked_for = [
            re.search(rb"\r\nrange: bytes=(\d+)-(\d+)\r\n", each.request, re.IGNORECASE)
            for each in s3.exchanges
            if each.purpose == "picture"
        ]
        assert [(int(each[1]), int(each[2])) for each in asked_for if each is not None] == [(0, READ_BYTES - 1)] * 8
        for reader in readers:
            await reader.aclose()
