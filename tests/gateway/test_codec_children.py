"""The codec pool's children: whatever a job does to its process, it does to itself alone."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Callable

import anyio
import pytest

from gateway.services import codecs
from gateway.services.codec_child import Child
from gateway.services.codec_settings import MODULES
from gateway.services.codecs import CodecBroken, CodecCrashed, CodecTimeout
from normalization.pictures import BadPicture
from normalization.plan import Finish
from normalization.vocabulary import Format
from tests import loops
from tests.gateway import codec_pools
from tests.gateway.codec_pools import OPTIONS, SETTINGS, alive, arrived, at_gate, on_linux, pool_of, run, until
from tests.normalization.pictures.making import smooth, written

pytestmark = pytest.mark.anyio
anyio_backend = loops.anyio_backend
gates = codec_pools.gates


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


@pytest.mark.parametrize(
    "junk", [b"\xff" * 8, b"\x04" + bytes(7) + b"oops", (9).to_bytes(8, "little") + b"\5\0\0\0{}..."]
)
async def test_an_answer_that_makes_no_sense_costs_the_child_its_life(junk: bytes) -> None:
    async with pool_of() as pool:
        pid = await run(pool, "pid")
        with pytest.raises(CodecCrashed):
            await run(pool, "garble", data=junk)
        assert not alive(pid)


async def test_a_machine_that_starts_no_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(modules: tuple[str, ...]) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(codecs, "Child", none)
    async with pool_of() as pool:
        with pytest.raises(CodecBroken, match="no more processes"):
            await run(pool, "pid")
        monkeypatch.undo()
        assert await run(pool, "echo", data=b"again") == b"again"


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


async def test_a_start_for_which_too_few_files_can_be_opened_leaves_none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    pipe = os.pipe

    def only_one() -> tuple[int, int]:
        if made:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        made.extend(pipe())
        return made[0], made[1]

    monkeypatch.setattr(os, "pipe", only_one)
    with pytest.raises(OSError, match="Too many open files"):
        Child(MODULES)
    for file in made:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)
