"""A client that leaves stops no provider: its picture is kept, and its place there is taken until it is made."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from pathlib import Path

import httpx
import pytest

from gateway.jobs import Job
from gateway.outcome import Order, Outcome
from tests.served import served, settings_of
from tests.simulators import max_simulator

WORK_SECONDS = 1.5


def test_who_leaves_gives_no_place_at_the_provider_away_and_loses_no_picture(tmp_path: Path) -> None:
    with max_simulator() as simulator:
        config = {
            "auth": {"mode": "none"},
            "providers": {"p": {"type": "flux_worker", "base_url": simulator.base_url, "max_concurrent": 1}},
            "models": {"m": {"routes": [{"provider": "p", "model": "black-forest-labs/FLUX.2-dev"}]}},
            "limits": {"queue_wait_seconds": 0.05},
        }
        simulator.fail_next(delay=WORK_SECONDS)
        body = {"model": "m", "prompt": "a fox", "size": "128x128"}
        with served(settings_of(tmp_path, config)) as base_url:
            address = f"{base_url}/images/generations"
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(address, json=body, timeout=0.3)
            busy = httpx.post(address, json=body, timeout=30)
            assert (busy.status_code, busy.headers["x-should-retry"]) == (503, "true")
            assert len(simulator.submissions) == 1
            deadline = time.monotonic() + 20
            while not (kept := list((tmp_path / "data/pictures").rglob("*.png"))) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert len(kept) == 1
            assert httpx.post(address, json=body, timeout=30).status_code == 200


@pytest.mark.anyio
async def test_who_stops_waiting_leaves_no_picture_in_memory() -> None:
    async def never() -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    job = Job(Order("gen_1", "req_1", "m", "m", ()))
    job.task = asyncio.create_task(never())
    waiting, work, kept = asyncio.create_task(job.wait(60)), job.task, weakref.ref(job)
    await asyncio.sleep(0)
    gc.disable()  # whoever is left to the collector counts as memory for as long as it takes
    try:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        work.cancel()
        del job, waiting
        await asyncio.gather(work, return_exceptions=True)
        assert kept() is None
    finally:
        gc.enable()
