"""Clients' pictures through the codec pool: in and out by files, in slices, and nothing hostile hurts the gateway."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from PIL import Image

from gateway.services.codec_frames import SLICE_BYTES
from gateway.services.codec_turns import Turns
from gateway.services.codecs import CodecBroken, CodecPool, CodecsClosed, Taken
from gateway.services.spool import Spool, Spooled
from normalization.errors import StateUnavailable, StorageFull
from normalization.pictures import INPUT, BadPicture, FinishOptions, Limits
from normalization.pictures.finish import finish
from normalization.pictures.intake import intake
from normalization.plan import Composite, Finish
from normalization.vocabulary import Content, Format, Held, Picture, Size
from tests import loops
from tests.gateway import codec_pools
from tests.gateway.codec_pools import OPTIONS, SETTINGS, alive, arrived, at_gate, on_linux, pool_of, run, until
from tests.normalization.pictures import hostile
from tests.normalization.pictures.making import exif, holed, noise, opened, written

pytestmark = pytest.mark.anyio
anyio_backend = loops.anyio_backend
gates = codec_pools.gates

MEGABYTE = 1 << 20


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


@pytest.fixture(scope="module")
def large() -> bytes:
    """A picture of ten megabytes, from which something is taken away."""
    return written(noise(1900, 1900), "PNG", compress_level=1, exif=exif(1))


@pytest.fixture(scope="module")
def large_kept(large: bytes) -> bytes:
    """The same, from which nothing is."""
    return intake(Held(large)).data


def spooled(spool: Spool, data: bytes) -> Spooled:
    file = spool.new()
    file.write(data)
    return file


async def take(pool: CodecPool, content: Content, *, mask: bool = False, limits: Limits = INPUT) -> tuple[Taken, bytes]:
    """What is said of the picture, and the picture."""
    out: list[bytes] = []
    taken = await pool.intake(content, mask=mask, limits=limits, sink=out.append)
    assert taken.kept is not bool(out)
    return taken, content.read() if taken.kept else b"".join(out)


async def test_a_picture_is_taken_in_as_the_function_has_it(spool: Spool) -> None:
    async with pool_of() as pool:
        for kind in Format:
            data = written(noise(), kind.name, exif=exif(6))
            done = intake(Held(data))
            assert await take(pool, spooled(spool, data)) == (Taken(done.format, done.size, kept=False), done.data)
            assert await take(pool, Held(data)) == (Taken(done.format, done.size, kept=False), done.data)


async def test_what_is_taken_in_can_go_straight_to_a_file(spool: Spool, large: bytes, large_kept: bytes) -> None:
    source, sink = spooled(spool, large), spool.new()
    async with pool_of() as pool:
        taken = await pool.intake(source, mask=False, limits=INPUT, sink=sink.write)
    assert taken == Taken(Format.PNG, Size(1900, 1900), kept=False)
    assert sink.read() == large_kept


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_that_stays_as_it_is_does_not_come_back(spool: Spool, kind: str) -> None:
    data = intake(Held(written(noise(), kind))).data
    async with pool_of() as pool:
        taken, given = await take(pool, spooled(spool, data))
    assert taken == Taken(Format[kind], Size(60, 40), kept=True)
    assert given == data


async def test_a_mask_that_stays_as_it_is_does_not_come_back(spool: Spool) -> None:
    data = intake(Held(written(holed(), "PNG")), mask=True).data
    async with pool_of() as pool:
        assert await take(pool, spooled(spool, data), mask=True) == (Taken(Format.PNG, Size(60, 40), kept=True), data)


async def test_a_mask_is_taken_in_as_one(spool: Spool) -> None:
    async with pool_of() as pool:
        taken, data = await take(pool, spooled(spool, written(holed(), "WEBP")), mask=True)
        assert taken == Taken(Format.PNG, Size(60, 40), kept=False)
        assert opened(data).mode == "RGBA"
        with pytest.raises(BadPicture, match="no fully transparent pixel"):
            await take(pool, spooled(spool, written(noise(), "PNG")), mask=True)


HOSTILE = {
    **{name: (data, "not_a_picture") for name, data in hostile.NO_PICTURES.items()},
    **{name: (data, "too_large") for name, data in hostile.TOO_LARGE.items()},
    **{name: (data, "unreadable") for name, data in hostile.UNREADABLE.items()},
}


def resident() -> int:
    """Bytes of memory that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@on_linux
async def test_hostile_pictures_are_refused_and_the_gateway_neither_swells_nor_stops(spool: Spool) -> None:
    files = {name: (spooled(spool, data), code) for name, (data, code) in HOSTILE.items()}
    async with pool_of() as pool:
        await take(pool, Held(written(noise(), "PNG")))
        before = resident()
        for name, (file, code) in files.items():
            for mask in (False, True):
                with pytest.raises(BadPicture) as caught:
                    await take(pool, file, mask=mask)
                assert caught.value.code == code, name
                assert caught.value.message
        for data in hostile.SURVIVED.values():
            _, kept = await take(pool, spooled(spool, data))
            assert b"script" not in kept
        assert resident() - before < 50 * MEGABYTE
        assert (await take(pool, Held(written(noise(), "PNG"))))[0].size == Size(60, 40)


@pytest.mark.parametrize("name", [*hostile.NO_PICTURES, *hostile.TOO_LARGE])
async def test_what_its_header_betrays_never_comes_to_a_child(name: str) -> None:
    async with pool_of() as pool:
        with pytest.raises(BadPicture):
            await take(pool, Held(HOSTILE[name][0]))
        assert pool.pids == frozenset()


async def test_a_file_of_too_many_bytes_is_not_even_read() -> None:
    async with pool_of() as pool:
        with pytest.raises(BadPicture) as caught:
            await take(pool, Failing(99), limits=Limits(bytes_most=98))
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("held", [False, True])
async def test_an_upload_is_held_at_most_once(spool: Spool, large: bytes, held: bool) -> None:
    source: Content = Held(large) if held else spooled(spool, large)
    sink = spool.new()
    async with pool_of() as pool:
        await take(pool, Held(written(noise(), "PNG")))
        tracemalloc.start()
        try:
            await pool.intake(source, mask=False, limits=INPUT, sink=sink.write)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < (0 if held else len(large)) + 2 * MEGABYTE
    assert sink.length > 10 * MEGABYTE


async def test_a_finished_picture_is_held_once(large: bytes) -> None:
    wanted = Finish(Format.PNG, fit=Size(1899, 1900), slack=16)
    async with pool_of() as pool:
        await run(pool, "pid")
        tracemalloc.start()
        try:
            done = await pool.finish(large, wanted, OPTIONS)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(done.data) > 9 * MEGABYTE
    assert peak < len(done.data) + 2 * MEGABYTE


async def test_content_that_waits_for_its_turn_is_not_held(
    spool: Spool, large: bytes, gates: Callable[[], str]
) -> None:
    async with pool_of(workers=1) as pool, anyio.create_task_group() as group:
        path = gates()
        group.start_soon(at_gate, pool, path)
        through = await arrived(path)
        files = [spooled(spool, large) for _ in range(4)]
        tracemalloc.start()
        try:
            for file in files:
                group.start_soon(take, pool, file)
            await until(lambda: pool.queued == 4)
            now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        os.close(through)
    assert now < 2 * MEGABYTE
    assert peak < len(large) + 2 * MEGABYTE


class Failing:
    """Content that is a picture when read whole, and whose disk fails when it is read in slices."""

    def __init__(self, length: int, data: bytes = b"") -> None:
        self.length = length
        self.data = data

    def close(self) -> None:
        pass

    def read(self) -> bytes:
        if not self.data:
            raise AssertionError("read")
        return self.data

    def slices(self, most: int) -> Iterator[bytes]:
        yield self.data[: self.length // 2]
        raise StateUnavailable("the disk has gone")


async def test_content_that_fails_half_way_is_the_callers_error_and_the_next_job_runs() -> None:
    data = written(noise(), "PNG")
    async with pool_of() as pool:
        pid = await run(pool, "pid")
        with pytest.raises(StateUnavailable, match="the disk has gone"):
            await take(pool, Failing(len(data), data))
        await until(lambda: not alive(pid))
        assert await run(pool, "pid") != pid


async def test_a_sink_that_fails_is_the_callers_error_and_spared_the_rest(large: bytes) -> None:
    calls = []

    def full(data: bytes) -> None:
        calls.append(len(data))
        if len(calls) == 2:
            raise StorageFull("the disk has no room")

    async with pool_of() as pool:
        pid = await run(pool, "pid")
        with pytest.raises(StorageFull):
            await pool.intake(Held(large), mask=False, limits=INPUT, sink=full)
        assert calls == [SLICE_BYTES, SLICE_BYTES]
        assert await run(pool, "pid") == pid


async def test_a_child_that_dies_while_it_answers_is_named(spool: Spool) -> None:
    head = b'{"kind": "done", "value": {"bytes": 900000}}'
    reply = (4 + len(head) + 900_000).to_bytes(8, "little") + len(head).to_bytes(4, "little") + head + bytes(300_000)
    sink = spool.new()
    async with pool_of() as pool:
        with pytest.raises(CodecBroken, match="status 3"):
            await pool.run(f"{codec_pools.JOBS}:half", {"data": reply, "status": 3}, pixels=1, sink=sink.write)
    assert sink.length <= 300_000


async def test_an_answer_of_another_kind_is_our_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.services.codecs.INTAKE", f"{codec_pools.JOBS}:taken")
    async with pool_of() as pool:
        with pytest.raises(CodecBroken, match="gave int"):
            await take(pool, Held(written(noise(), "PNG")))


async def test_a_deadline_holds_while_pictures_wait_to_be_looked_at(gates: Callable[[], str]) -> None:
    class Slow(Failing):
        def read(self) -> bytes:
            with open(path, "rb") as pipe:
                pipe.read()
            return self.data

    path, data = gates(), written(noise(), "PNG")
    async with pool_of() as pool, anyio.create_task_group() as group:

        async def wait() -> None:
            with pytest.raises(StateUnavailable):
                await take(pool, Slow(len(data), data))

        group.start_soon(wait)
        through = await arrived(path)
        deadline = asyncio.get_running_loop().time() + 0.01
        with pytest.raises(TimeoutError):
            await pool.intake(Held(data), mask=False, limits=INPUT, sink=bytes, deadline=deadline)
        os.close(through)


async def test_a_closed_pool_takes_nothing_in() -> None:
    pool = CodecPool(SETTINGS)
    await pool.close()
    with pytest.raises(CodecsClosed):
        await take(pool, Held(written(noise(), "PNG")))


def composite_of(spool: Spool) -> tuple[Finish, Finish]:
    """A composite whose pictures lie in files, and the same in memory."""
    original, mask = written(noise(), "PNG"), written(holed(), "PNG")
    size = Size(60, 40)

    def wanted(keep: Callable[[bytes], Content]) -> Finish:
        pair = [Picture(keep(data), Format.PNG, size, "") for data in (original, mask)]
        return Finish(Format.PNG, composite=Composite(*pair))

    return wanted(lambda data: spooled(spool, data)), wanted(Held)


async def test_an_edit_is_laid_into_a_spooled_original(spool: Spool) -> None:
    edit = written(noise(90, 60, seed=2), "PNG")
    in_files, in_memory = composite_of(spool)
    async with pool_of() as pool:
        done = await pool.finish(edit, in_files, OPTIONS)
    assert done == finish(edit, in_memory, FinishOptions())
    assert opened(done.data).crop((32, 0, 60, 40)).tobytes() == noise().crop((32, 0, 60, 40)).tobytes()


@pytest.mark.parametrize("fit", [None, Size(300, 200)])
async def test_the_original_counts_for_the_pixels_in_work(
    spool: Spool, fit: Size | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    wait = Turns.wait

    async def counting(turns: Turns, pixels: int, deadline: float | None) -> None:
        counted.append(pixels)
        await wait(turns, pixels, deadline)

    monkeypatch.setattr(Turns, "wait", counting)
    wanted, _ = composite_of(spool)
    async with pool_of() as pool:
        await pool.finish(written(Image.new("RGB", (90, 60)), "PNG"), replace(wanted, fit=fit), OPTIONS)
    assert counted == [(90 * 60 if fit is None else 300 * 200) + 60 * 40]
