"""Pools whose children do the jobs of codec_jobs, and ways to know where a job stands.

A file takes the fixture over with `gates = codec_pools.gates`; imported by its own name, every test's parameter would
shadow it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from gateway.services.codec_settings import MODULES
from gateway.services.codecs import CodecPool, PoolSettings
from normalization.pictures import FinishOptions

JOBS = "tests.gateway.codec_jobs"
SETTINGS = PoolSettings(workers=2, modules=(*MODULES, JOBS))
OPTIONS = FinishOptions()
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the child's walls are Linux's")


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
