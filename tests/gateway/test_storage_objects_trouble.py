"""A bucket in trouble: busy, cut off, gone, refusing; and a start that says so before anything is paid."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.services import storage_objects
from gateway.services.bucket import reason
from gateway.services.storage_objects import READ_BYTES
from gateway.services.storage_places import key_of
from normalization.errors import ConfigurationError, StateUnavailable
from normalization.vocabulary import Format
from tests.faults.happenings import DROPPED, Fault, own
from tests.faults.proxy import Proxy
from tests.gateway.buckets import (
    BUCKET,
    DAY,
    NOW,
    asked,
    keys,
    objects,
    opened,
    puts,
    read,
)

pytestmark = pytest.mark.anyio

SLOW_DOWN = own(503, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


def waiting(tmp_path: Path) -> list[str]:
    return sorted(os.listdir(tmp_path / "waiting")) if (tmp_path / "waiting").exists() else []


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


async def test_credentials_that_the_server_does_not_know_stop_the_start(
    tmp_path: Path, s3: Proxy, bucket_server: str
) -> None:
    asked(bucket_server, "POST", "/moto-api/reset-auth", b"0")
    try:
        async with opened(tmp_path, start=False) as storage:
            with pytest.raises(ConfigurationError, match="InvalidAccessKeyId"):
                await storage.start()
    finally:
        asked(bucket_server, "POST", "/moto-api/reset-auth", b"inf")


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
