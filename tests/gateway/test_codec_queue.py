"""The codec pool's queue: who is let in, who gives up waiting, and that closing leaves nobody behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import anyio
import pytest

from gateway.services import codecs
from gateway.services.codec_child import Child
from gateway.services.codecs import CodecPool, CodecsBusy, CodecsClosed
from tests import loops
from tests.gateway import codec_pools
from tests.gateway.codec_pools import SETTINGS, alive, arrived, at_gate, pool_of, run, until

pytestmark = pytest.mark.anyio
anyio_backend = loops.anyio_backend
gates = codec_pools.gates


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
