"""Pictures in a bucket: kept until their time whoever sweeps, bounded in memory, never lost to a bucket that fails."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.config.buckets import BucketUrl
from gateway.services import storage_objects
from gateway.services.bucket import Bucket, reason
from gateway.services.storage import Stored, Usage
from gateway.services.storage_objects import READ_BYTES, ObjectStorage
from gateway.services.storage_places import hour_of, key_of, place_of
from normalization.errors import ConfigurationError, StateUnavailable
from normalization.vocabulary import Format
from tests.faults.happenings import DROPPED, Fault, own
from tests.faults.proxy import Proxy, fault_proxy
from tests.gateway.buckets import BUCKET, asked, environment, objects, purpose, s3_server

pytestmark = pytest.mark.anyio

DAY = 86_400.0
HOUR = 3600.0
NOW = 1_760_000_000.0

SLOW_DOWN = own(503, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with fault_proxy(server, purpose) as proxy:
        for name, value in environment(proxy.origin).items():
            monkeypatch.setenv(name, value)
        yield proxy


@asynccontextmanager
async def opened(
    tmp_path: Path, *, clock: Callable[[], float] = lambda: NOW, start: bool = True
) -> AsyncIterator[ObjectStorage]:
    """A storage of a day under a prefix of the test's own."""
    storage = objects(tmp_path, f"of/{tmp_path.name}", clock=clock)
    try:
        if start:
            await storage.start()
        yield storage
    finally:
        await storage.close()


async def read(stored: Stored | None, start: int = 0) -> bytes:
    assert stored is not None
    return b"".join([chunk async for chunk in stored.chunks(start)])


def bucket(tmp_path: Path) -> Bucket:
    return Bucket(BucketUrl("s3", BUCKET, f"of/{tmp_path.name}"))


async def keys(tmp_path: Path) -> list[str]:
    return sorted([found.key async for page in bucket(tmp_path).objects("") for found in page])


def puts(proxy: Proxy) -> int:
    return sum(each.purpose == "submit" for each in proxy.exchanges)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


def waiting(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "waiting")) if (tmp_path / "waiting").exists() else []


# What lies where


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


# A bucket in trouble


async def test_a_bucket_that_asks_for_patience_gets_it_and_the_picture_once(tmp_path: Path, s3: Proxy) -> None:
    async with opened(tmp_path) as storage:
        s3.next(Fault(forward=False, answer=SLOW_DOWN), Fault(forward=False, answer=SLOW_DOWN), DROPPED)
        name = await storage.put(b"picture", Format.PNG)
        assert await read(await storage.open(name)) == b"picture"
        assert len(await keys(tmp_path)) == 1
        assert waiting(tmp_path) == []


async def test_an_answer_cut_in_the_middle_is_fetched_again(tmp_path: Path, s3: Proxy) -> None:
    picture = os.urandom(READ_BYTES + 5)
    async with opened(tmp_path) as storage:
        stored = await storage.open(await storage.put(picture, Format.PNG))
        s3.next(Fault(on="picture", upto=100_000, in_body=True, end="reset"))
        assert await read(stored) == picture


async def test_a_server_that_goes_in_the_middle_of_a_picture_is_an_error_not_a_short_answer(
    tmp_path: Path, s3: Proxy
) -> None:
    async with opened(tmp_path) as storage:
        stored = await storage.open(await storage.put(os.urandom(3 * READ_BYTES), Format.PNG))
        assert stored is not None
        chunks = stored.chunks()
        await anext(chunks)
        with s3.refusing(), pytest.raises(StateUnavailable):
            async for _ in chunks:
                pass


async def test_a_picture_deleted_under_its_reader_is_an_error_not_a_short_answer(tmp_path: Path, s3: Proxy) -> None:
    async with opened(tmp_path) as storage:
        name = await storage.put(os.urandom(2 * READ_BYTES), Format.PNG)
        stored = await storage.open(name)
        await storage.delete(name)
        with pytest.raises(StateUnavailable):
            await read(stored)


async def test_what_the_bucket_does_not_take_waits_here_and_moves_when_it_does_again(
    tmp_path: Path, s3: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_objects, "MOVE_FIRST_SECONDS", 0.05)
    monkeypatch.setattr(storage_objects, "FAILING_SECONDS", 0.0)
    picture = os.urandom(300_000)
    async with opened(tmp_path) as storage:
        with s3.refusing():
            name = await storage.put([picture[:7], picture[7:]], Format.PNG)
            await storage.prolong(name, 2 * DAY)
            assert await read(await storage.open(name)) == picture
            assert len(waiting(tmp_path)) == 2
            with pytest.raises(StateUnavailable):
                await storage.put(b"just in case", Format.PNG, durable=False)
            with pytest.raises(StateUnavailable):
                await storage.check()
            with pytest.raises(StateUnavailable):
                await storage.open(f"{'0' * 32}-{int(NOW):x}.png")
        await storage.check()
        await until(lambda: waiting(tmp_path) == [])
        mark = f"{name}.until-{int(NOW + 2 * DAY):x}"
        assert {key_of(name), key_of(mark)} <= set(await keys(tmp_path))
        assert await read(await storage.open(name)) == picture


async def test_what_waits_when_the_process_ends_is_moved_by_the_next(tmp_path: Path, s3: Proxy) -> None:
    async with opened(tmp_path) as storage:
        with s3.refusing():
            name = await storage.put(b"picture", Format.PNG)
    assert waiting(tmp_path) == [name]
    (tmp_path / "waiting" / "notes.txt").write_text("not ours")
    async with opened(tmp_path) as storage:
        await until(lambda: waiting(tmp_path) == ["notes.txt"])
        assert await read(await storage.open(name)) == b"picture"


async def test_what_is_deleted_while_it_waits_is_gone(tmp_path: Path, s3: Proxy) -> None:
    async with opened(tmp_path) as storage:
        with s3.refusing():
            name = await storage.put(b"picture", Format.PNG)
            with pytest.raises(StateUnavailable):
                await storage.delete(name)
            assert waiting(tmp_path) == []


async def test_after_a_failure_nobody_waits_for_the_bucket_to_fail_again(tmp_path: Path, s3: Proxy) -> None:
    async with opened(tmp_path) as storage:
        s3.always(Fault(on=None, forward=False, answer=own(403, b"<Error><Code>AccessDenied</Code></Error>")))
        await storage.put(b"one", Format.PNG)
        seen = puts(s3)
        names = [await storage.put(b"more", Format.PNG) for _ in range(5)]
        for _ in range(20):
            with pytest.raises(StateUnavailable):
                await storage.check()
        # The one that moves what waits may ask in the meantime; the others do not.
        assert puts(s3) <= seen + 1
        assert set(names) <= set(waiting(tmp_path))


async def test_whether_a_picture_could_be_kept_is_asked_seldom_and_by_one(
    tmp_path: Path, s3: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as storage:
        s3.reset()
        for _ in range(20):
            await storage.check()
        assert s3.exchanges == []
        monkeypatch.setattr(storage_objects, "FRESH_SECONDS", 0.0)
        await asyncio.gather(*(storage.check() for _ in range(20)))
        assert puts(s3) == 1


async def test_a_bucket_that_does_not_answer_is_given_up_in_time(
    tmp_path: Path, s3: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_objects, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(storage_objects, "PROBE_SECONDS", 0.05)
    async with opened(tmp_path) as storage:
        s3.always(Fault(on=None, hold=True))
        with pytest.raises(StateUnavailable, match="does not answer"):
            await storage.check()
        s3.release()


# A start that fails


@pytest.mark.parametrize(
    ("variables", "answer", "why"),
    [
        ({}, own(403, b"<Error><Code>InvalidAccessKeyId</Code></Error>"), "403 Forbidden \\(InvalidAccessKeyId\\)"),
        ({}, own(404, b"<Error><Code>NoSuchBucket</Code></Error>"), "404 Not Found \\(NoSuchBucket\\)"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, None, "error sending request"),
    ],
)
async def test_a_bucket_that_cannot_be_used_stops_the_start_and_says_why(
    tmp_path: Path,
    s3: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    answer: bytes | None,
    why: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    s3.always(Fault(on=None, forward=False, answer=answer))
    async with opened(tmp_path, start=False) as storage:
        with pytest.raises(
            ConfigurationError, match=f"storage.url: s3://{BUCKET}/of/.*: writing failed: .*{why}"
        ) as told:
            await storage.start()
    assert "secret-of-tests" not in str(told.value)


async def test_credentials_that_the_server_does_not_know_stop_the_start(tmp_path: Path, s3: Proxy, server: str) -> None:
    asked(server, "POST", "/moto-api/reset-auth", b"0")
    try:
        async with opened(tmp_path, start=False) as storage:
            with pytest.raises(ConfigurationError, match="InvalidAccessKeyId"):
                await storage.start()
    finally:
        asked(server, "POST", "/moto-api/reset-auth", b"inf")


async def test_a_right_that_is_missing_is_named_at_the_start(tmp_path: Path, s3: Proxy) -> None:
    s3.next(Fault(on="other", forward=False, answer=own(403, b"<Error><Code>AccessDenied</Code></Error>")))
    async with opened(tmp_path, start=False) as storage:
        with pytest.raises(ConfigurationError, match=r"reading failed.*AccessDenied"):
            await storage.start()


def test_without_the_library_the_start_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "gateway.services.bucket")
    with pytest.raises(ConfigurationError, match="make setup EXTRAS=s3"):
        objects(tmp_path, "x")


def test_an_azure_account_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ConfigurationError, match=r"storage\.url: az://picturesofours/x: .*Account must be specified"):
        objects(tmp_path, "x", cloud="az")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "ours")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    objects(tmp_path, "x", cloud="az")


def test_what_the_operator_is_told_holds_no_signature() -> None:
    error = OSError(
        "Error performing PUT https://h/c/x?sv=1&sig=SECRET in 1ms - 403: <?xml?><Error><Code>No</Code>\nmore"
    )
    assert reason(error) == "Error performing PUT https://h/c/x in 1ms - 403 (No)"


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
