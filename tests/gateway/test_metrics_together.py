"""Several workers tell one sum, which does not fall when one of them dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from gateway.services.sharing import TALLY
from gateway.workers import coordinator
from gateway.workers.shared import Coordinated
from gateway.workers.shares import Part
from tests.gateway.test_metrics import Samples, of, samples
from tests.gateway.together import Busy, Together, ask, together, until
from tests.gateway.workforce import house
from tests.simulators.base import running

CONFIG = """
auth: {{mode: none}}
providers:
  up: {{type: openai, base_url: "{url}"}}
models:
  m: {{routes: [{{provider: up, model: x, price: {{usd_per_image: 0.5}}}}]}}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="several processes need a socket that can be inherited")
def test_one_scrape_tells_the_sum_over_all_workers_and_keeps_what_the_dead_had_counted(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    with running(Busy()) as upstream:
        config.write_text(CONFIG.format(url=upstream.base_url))
        with together(config, tmp_path / "data") as gateway:
            first, second = gateway.workers
            for worker, requests in ((first, 2), (second, 3)):
                with gateway.served_by(worker) as [client]:
                    assert [ask(client).status_code for _ in range(requests)] == [200] * requests
            for worker in (first, second):
                found = scraped(gateway, worker)
                assert counted(found) == (5.0, 2.5)
                assert of(found, "imagegate_workers") == 2
                assert of(found, "imagegate_in_flight", provider="up") == 0
                assert of(found, "imagegate_circuit_state", provider="up", model="m") == 0
            os.kill(first, signal.SIGKILL)
            until("another one took its place", lambda: len(set(gateway.workers) - {first}) == 2)
            assert counted(scraped(gateway, second)) == (5.0, 2.5)
            (new,) = set(gateway.workers) - {second}
            with gateway.served_by(new) as [client]:
                assert ask(client).status_code == 200
            assert counted(scraped(gateway, second)) == (6.0, 3.0)


def scraped(gateway: Together, worker: int) -> Samples:
    with gateway.served_by(worker) as [client]:
        return samples(client.get("/metrics").text)


def counted(found: Samples) -> tuple[float | None, float | None]:
    return (
        of(found, "imagegate_images_total", provider="up", model="m", format="png"),
        of(found, "imagegate_cost_usd_total", provider="up", model="m", key="none"),
    )


def sums(told: list[dict[str, dict[str, float]]], part: str) -> float:
    return sum(each.get(part, {}).get("x", 0.0) for each in told)


@pytest.mark.anyio
async def test_what_a_worker_measures_goes_with_it_and_what_it_counted_stays() -> None:
    async with house() as home:
        channels = [await home.worker() for _ in range(2)]
        one, other = (Coordinated(channel, Part(number, 2)) for number, channel in enumerate(channels))

        async def answer(_: object) -> dict[str, dict[str, float]]:
            return {"lasting": {"x": 3.0}, "now": {"x": 7.0}}

        other.answer(TALLY, answer)
        await home.settled()
        own = {"lasting": {"x": 1.0}, "now": {"x": 1.0}}
        told = await one.told(own)
        assert (sums(told, "lasting"), sums(told, "now")) == (4.0, 8.0)
        await home.dies(channels[1])
        told = await one.told(own)
        assert (sums(told, "lasting"), sums(told, "now")) == (4.0, 1.0)


@pytest.mark.anyio
async def test_a_worker_that_does_not_answer_holds_nobody_up_and_has_counted_what_it_told_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coordinator, "TALLY_SECONDS", 0.05)
    async with house() as home:
        channels = [await home.worker() for _ in range(2)]
        one, other = (Coordinated(channel, Part(number, 2)) for number, channel in enumerate(channels))
        await other.told({"lasting": {"x": 3.0}, "now": {}})

        async def never(_: object) -> None:
            await asyncio.Event().wait()

        other.answer(TALLY, never)
        assert sums(await one.told({"lasting": {"x": 1.0}, "now": {}}), "lasting") == 4.0
        for task in tuple(channels[1]._answering):
            task.cancel()
