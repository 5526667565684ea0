"""The codec pool: whatever a job does to its process, it does to itself alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from gateway.services import codecs
from gateway.services.codec_child import Child
from gateway.services.codec_settings import MODULES
from gateway.services.codecs import (
    CodecBroken,
    CodecCrashed,
    CodecError,
    CodecPool,
    CodecsBusy,
    CodecsClosed,
    CodecTimeout,
    PoolSettings,
)
from normalization.pictures import INPUT, BadPicture, CannotEncode, FinishOptions
from normalization.pictures.inspect import inspect
from normalization.plan import Finish
from normalization.vocabulary import Format, Size
from tests.normalization.pictures.making import exif, noise, png_bomb, smooth, written

pytestmark = pytest.mark.anyio

JOBS = "tests.gateway.codec_jobs"
SETTINGS = PoolSettings(workers=2, modules=(*MODULES, JOBS))
OPTIONS = FinishOptions()
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the child's walls are Linux's")


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@asynccontextmanager
async def pool_of(**changes: Any) -> AsyncIterator[CodecPool]:
    pool = CodecPool(replace(SETTINGS, **changes))
    try:
        with anyio.fail_after(60):
            yield pool
    finally:
        await pool.close()


@pytest.fixture
def gates(tmp_path: Path) -> Callable[[], str]:
    """Makes named pipes at which jobs wait."""

    def gate() -> str:
        path = tmp_path / f"gate{len(list(tmp_path.iterdir()))}"
        os.mkfifo(path)
        return str(path)

    return gate


async def run(pool: CodecPool, name: str, pixels: int = 1, deadline: float | None = None, **arguments: Any) -> Any:
    return await pool.run(f"{JOBS}:{name}", arguments, pixels=pixels, deadline=deadline)


async def at_gate(pool: CodecPool, path: str, pixels: int = 1) -> int:
    """A job that waits at a gate."""
    return int(await run(pool, "gate", pixels, path=path))


async def arrived(path: str) -> int:
    """Waits until a job stands at the gate; closing what is returned lets it through."""
    return await asyncio.to_thread(os.open, path, os.O_WRONLY)


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  # a process that ends sets no event
        await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether there is such a process, dead and unburied ones included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_picture_is_converted_in_a_child() -> None:
    async with pool_of() as pool:
        for kind in Format:
            done = await pool.finish(written(smooth(), "PNG"), Finish(kind, fit=Size(33, 22)), OPTIONS)
            assert inspect(done.data).format is done.format is kind
            assert inspect(done.data).size == done.size == Size(33, 22)
            assert done.resized
        assert os.getpid() not in pool.pids
        assert len(pool.pids) == 1


async def test_a_picture_that_passes_through_needs_no_child() -> None:
    async with pool_of() as pool:
        data = written(noise(), "PNG")
        assert (await pool.finish(data, Finish(Format.PNG, fit=Size(60, 40)), OPTIONS)).data is data
        assert pool.pids == frozenset()


async def test_a_thumbnail_takes_a_child_even_where_the_picture_passes() -> None:
    async with pool_of() as pool:
        data = written(noise(), "PNG")
        done = await pool.finish(data, Finish(Format.PNG), replace(OPTIONS, thumbnail=16))
        assert done.data == data
        assert inspect(done.thumbnail or b"").size == Size(16, 10)


async def test_a_bomb_never_reaches_a_child() -> None:
    async with pool_of() as pool:
        with pytest.raises(BadPicture) as caught:
            await pool.finish(png_bomb(9400, 9400), Finish(Format.JPEG), OPTIONS)
        assert caught.value.code == "too_large"
        assert pool.pids == frozenset()


async def test_damage_found_in_a_child_is_the_callers_refusal() -> None:
    async with pool_of() as pool:
        whole = written(noise(600, 400), "JPEG")
        with pytest.raises(BadPicture) as caught:
            await pool.finish(whole[: len(whole) // 2], Finish(Format.PNG), OPTIONS)
        assert caught.value.code == "unreadable"
        assert not isinstance(caught.value, CodecError)


@pytest.mark.parametrize(
    "function",
    ["os:getpid", "gateway.services.codecs:FINISH", "normalization.plan:Finish", f"{JOBS}:_hidden", JOBS, "", ":",
     "normalization.picturesque:x", f"{JOBS}:os.getpid"],
)  # fmt: skip
async def test_only_codec_functions_run(function: str) -> None:
    async with pool_of() as pool:
        with pytest.raises(ValueError, match="is not a codec function"):
            await pool.run(function, {}, pixels=1)
        assert pool.pids == frozenset()


async def test_megabytes_go_there_and_back_unchanged() -> None:
    data = os.urandom(5_000_000)
    async with pool_of() as pool:
        assert await run(pool, "echo", data=data) == data
        assert await run(pool, "echo", data=b"") == b""


async def test_children_start_when_needed_and_no_more_than_allowed(gates: Callable[[], str]) -> None:
    async with pool_of() as pool, anyio.create_task_group() as group:
        assert pool.pids == frozenset()
        paths = [gates() for _ in range(3)]
        for path in paths:
            group.start_soon(at_gate, pool, path)
        first, second = await arrived(paths[0]), await arrived(paths[1])
        assert len(pool.pids) == 2
        assert pool.queued == 1
        os.close(first)
        os.close(second)
        os.close(await arrived(paths[2]))
    assert pool.pids == frozenset()


async def test_the_same_child_is_used_again() -> None:
    async with pool_of() as pool:
        assert await run(pool, "pid") == await run(pool, "pid")


async def test_a_child_is_replaced_after_its_share_of_jobs() -> None:
    async with pool_of(jobs_most=2) as pool:
        pids = [await run(pool, "pid") for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


async def test_an_idle_child_ends_and_leaves_nothing() -> None:
    async with pool_of(idle_seconds=0.01) as pool:
        pid = await run(pool, "pid")
        await until(lambda: not alive(pid))
        assert pool.pids == frozenset()
        assert await run(pool, "pid") != pid


async def test_an_idle_child_that_was_killed_is_replaced() -> None:
    async with pool_of() as pool:
        pid = await run(pool, "pid")
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert await run(pool, "pid") != pid
        await until(lambda: not alive(pid))


async def test_a_job_that_works_too_long_is_killed_and_the_next_runs() -> None:
    async with pool_of(seconds_most=0.2) as pool:
        pid = await run(pool, "pid")
        with pytest.raises(CodecTimeout, match=r"more than 0\.2 seconds of work"):
            await run(pool, "spin")
        await until(lambda: not alive(pid))
        assert await run(pool, "pid") != pid


async def test_a_job_that_hangs_is_killed(gates: Callable[[], str]) -> None:
    async with pool_of(wall_seconds_most=1.0) as pool:
        pid = await run(pool, "pid")
        with pytest.raises(CodecTimeout):
            await run(pool, "gate", path=gates())
        assert not alive(pid)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
async def test_a_crash_fails_its_own_job_alone(number: int, gates: Callable[[], str]) -> None:
    async with pool_of() as pool, anyio.create_task_group() as group:
        path = gates()
        group.start_soon(at_gate, pool, path)
        other = await arrived(path)
        with pytest.raises(CodecCrashed) as caught:
            await run(pool, "die", number=number)
        assert isinstance(caught.value, BadPicture)
        assert await run(pool, "echo", data=b"still here") == b"still here"
        os.close(other)


async def test_a_child_that_leaves_by_itself_is_our_mistake() -> None:
    async with pool_of() as pool:
        with pytest.raises(CodecBroken, match="status 3"):
            await run(pool, "leave", status=3)


@on_linux
async def test_a_job_gets_only_so_much_memory_and_the_child_lives_on() -> None:
    async with pool_of() as pool:
        pid = await run(pool, "pid")
        with pytest.raises(BadPicture) as caught:
            await run(pool, "swell", size=SETTINGS.memory_most)
        assert caught.value.code == "too_large"
        assert await run(pool, "swell", size=SETTINGS.memory_most // 2) == SETTINGS.memory_most // 2
        assert await run(pool, "pid") == pid


def test_large_pictures_get_memory_in_proportion() -> None:
    ordinary = 16 * 1024 * 1024
    assert SETTINGS.memory(1) == SETTINGS.memory(ordinary) == SETTINGS.memory_most
    assert SETTINGS.memory(ordinary + 1000) == SETTINGS.memory_most + 64_000


async def test_refusals_keep_their_kind_and_mistakes_their_traceback() -> None:
    async with pool_of() as pool:
        with pytest.raises(BadPicture, match="of no use") as refused:
            await run(pool, "refuse")
        assert refused.value.code == "unreadable"
        with pytest.raises(CannotEncode, match="does not fit"):
            await run(pool, "cannot")
        with pytest.raises(CodecBroken, match="our own mistake"):
            await run(pool, "fail")
        with pytest.raises(CodecBroken, match="may not answer with object"):
            await run(pool, "odd")
        assert len(pool.pids) == 1


async def test_arguments_that_cannot_be_sent_do_the_child_no_harm() -> None:
    async with pool_of() as pool:
        pid = await run(pool, "pid")
        with pytest.raises((TypeError, AttributeError)):
            await run(pool, "echo", data=lambda: None)
        assert await run(pool, "pid") == pid


async def test_what_a_codec_prints_does_not_garble_its_answer() -> None:
    async with pool_of() as pool:
        assert await run(pool, "chatter") == "said"


@pytest.mark.parametrize(
    "junk", [b"\xff" * 8, b"\x04" + bytes(7) + b"oops", (9).to_bytes(8, "little") + b"\5\0\0\0{}..."]
)
async def test_an_answer_that_makes_no_sense_costs_the_child_its_life(junk: bytes) -> None:
    async with pool_of() as pool:
        pid = await run(pool, "pid")
        with pytest.raises(CodecCrashed):
            await run(pool, "garble", data=junk)
        assert not alive(pid)


async def test_pixels_in_work_are_bounded(gates: Callable[[], str]) -> None:
    async with pool_of(pixels_most=100) as pool, anyio.create_task_group() as group:
        first, second = gates(), gates()
        group.start_soon(at_gate, pool, first, 60)
        group.start_soon(at_gate, pool, second, 60)
        held = await arrived(first)
        assert pool.queued == 1
        os.close(held)
        os.close(await arrived(second))
    assert pool.queued == 0


async def test_a_job_larger_than_the_bound_runs_alone_and_is_not_overtaken(gates: Callable[[], str]) -> None:
    async with pool_of(pixels_most=100) as pool, anyio.create_task_group() as group:
        small, large, late = gates(), gates(), gates()
        group.start_soon(at_gate, pool, small, 10)
        held = await arrived(small)
        group.start_soon(at_gate, pool, large, 500)
        await until(lambda: pool.queued == 1)
        group.start_soon(at_gate, pool, late, 10)
        await until(lambda: pool.queued == 2)
        os.close(held)
        held = await arrived(large)
        assert pool.queued == 1
        os.close(held)
        os.close(await arrived(late))


async def test_more_than_may_wait_are_refused_at_once(gates: Callable[[], str]) -> None:
    async with pool_of(workers=1, queue_most=1) as pool, anyio.create_task_group() as group:
        first, second = gates(), gates()
        group.start_soon(at_gate, pool, first)
        held = await arrived(first)
        group.start_soon(at_gate, pool, second)
        await until(lambda: pool.queued == 1)
        with pytest.raises(CodecsBusy):
            await run(pool, "pid")
        assert pool.queued == 1
        os.close(held)
        os.close(await arrived(second))


async def test_who_stops_waiting_in_the_queue_leaves_it(gates: Callable[[], str]) -> None:
    async with pool_of(workers=1) as pool, anyio.create_task_group() as group:
        path = gates()
        group.start_soon(at_gate, pool, path)
        held = await arrived(path)
        waiting = asyncio.ensure_future(run(pool, "pid"))
        await until(lambda: pool.queued == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pool.queued == 0
        os.close(held)
        assert await run(pool, "echo", data=b"next") == b"next"


async def test_who_is_cancelled_in_the_moment_of_being_let_in_takes_no_room(gates: Callable[[], str]) -> None:
    async with pool_of(workers=1) as pool:
        held = asyncio.ensure_future(run(pool, "gate", path=(path := gates())))
        opened = await arrived(path)
        waiting = asyncio.ensure_future(run(pool, "pid"))
        await until(lambda: pool.queued == 1)
        held.add_done_callback(lambda _: waiting.cancel())
        os.close(opened)
        await held
        await asyncio.wait({waiting})
        assert await run(pool, "echo", data=b"room") == b"room"


async def test_a_cancelled_caller_corrupts_nothing(gates: Callable[[], str]) -> None:
    async with pool_of(workers=1) as pool:
        path = gates()
        running = asyncio.ensure_future(run(pool, "gate", path=path))
        held = await arrived(path)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        follower = asyncio.ensure_future(run(pool, "echo", data=b"mine"))
        await until(lambda: pool.queued == 1)
        os.close(held)
        assert await follower == b"mine"
        assert len(pool.pids) == 1


async def test_a_deadline_ends_the_wait_in_the_queue(gates: Callable[[], str]) -> None:
    async with pool_of(workers=1) as pool, anyio.create_task_group() as group:
        path = gates()
        group.start_soon(at_gate, pool, path)
        held = await arrived(path)
        with pytest.raises(TimeoutError):
            await run(pool, "pid", deadline=asyncio.get_running_loop().time() + 0.01)
        assert pool.queued == 0
        os.close(held)


async def test_a_deadline_that_has_passed_starts_nothing() -> None:
    async with pool_of() as pool:
        with pytest.raises(TimeoutError):
            await run(pool, "pid", deadline=asyncio.get_running_loop().time())
        assert pool.pids == frozenset()


async def test_a_deadline_ends_the_work(gates: Callable[[], str]) -> None:
    async with pool_of() as pool:
        pid = await run(pool, "pid")
        with pytest.raises(TimeoutError):
            await run(pool, "gate", path=gates(), deadline=asyncio.get_running_loop().time() + 0.3)
        assert not alive(pid)
        assert await run(pool, "echo", data=b"next") == b"next"


async def test_closing_leaves_no_process_and_no_waiter(gates: Callable[[], str]) -> None:
    async with pool_of() as pool:
        paths = [gates(), gates()]
        idle = await run(pool, "pid")
        running = [asyncio.ensure_future(run(pool, "gate", path=path)) for path in paths]
        for path in paths:
            await arrived(path)
        waiting = asyncio.ensure_future(run(pool, "pid"))
        await until(lambda: pool.queued == 1)
        pids = {idle, *pool.pids}
        await pool.close()
        for job in (*running, waiting):
            with pytest.raises(CodecsClosed):
                await job
        assert not [pid for pid in pids if alive(pid)]
        assert pool.pids == frozenset()
        with pytest.raises(CodecsClosed):
            await run(pool, "pid")
        await pool.close()


async def test_a_pool_that_was_never_used_closes() -> None:
    await CodecPool().close()


async def test_a_child_that_starts_while_the_pool_closes_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    class Told(Child):
        def __init__(self, modules: tuple[str, ...]) -> None:
            super().__init__(modules)
            started.append(self.pid)

    monkeypatch.setattr(codecs, "Child", Told)
    async with pool_of() as pool:
        job = asyncio.ensure_future(run(pool, "pid"))
        await asyncio.sleep(0)
        await pool.close()
        with pytest.raises(CodecsClosed):
            await job
    assert not [pid for pid in started if alive(pid)]


async def test_a_machine_that_starts_no_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(modules: tuple[str, ...]) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(codecs, "Child", none)
    async with pool_of() as pool:
        with pytest.raises(CodecBroken, match="no more processes"):
            await run(pool, "pid")
        monkeypatch.undo()
        assert await run(pool, "echo", data=b"again") == b"again"


async def test_a_loop_that_ends_takes_the_work_with_it(gates: Callable[[], str]) -> None:
    pool = CodecPool(SETTINGS)
    path = gates()
    job = asyncio.ensure_future(run(pool, "gate", path=path))
    await arrived(path)
    pids = pool.pids
    for work in list(pool._work):
        work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await until(lambda: not [pid for pid in pids if alive(pid)])
    await pool.close()


@on_linux
async def test_a_child_has_nothing_to_give_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIFRAME_API_KEY", "a planted secret")
    async with pool_of() as pool:
        names, capabilities, niceness, memory, strangers = await run(pool, "surroundings")
    assert names == ["MALLOC_ARENA_MAX", "SVT_LOG"]
    assert {int(value, 16) for value in capabilities} == {0}
    assert niceness >= 5
    assert memory == SETTINGS.memory_most
    assert strangers == []


@on_linux
async def test_a_child_reaches_no_network_and_starts_no_program() -> None:
    async with pool_of() as pool:
        assert await run(pool, "reach_out") == ["EPERM", "EPERM"]


@on_linux
async def test_writing_avif_makes_no_thread_a_real_time_one() -> None:
    async with pool_of() as pool:
        await pool.finish(written(smooth(600, 400), "PNG"), Finish(Format.AVIF), OPTIONS)
        (pid,) = pool.pids
        threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


async def test_an_input_picture_can_be_turned_upright_in_a_child() -> None:
    options = FinishOptions(limits=INPUT, digital_source=None, keep_manifest=False)
    async with pool_of() as pool:
        done = await pool.finish(written(noise(), "JPEG", exif=exif(6)), Finish(Format.JPEG, quality=95), options)
    assert inspect(done.data).size == Size(40, 60)
    assert b"secret" not in done.data
