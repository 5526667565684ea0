"""Whichever worker the operator meets, it tells of all of them."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.together import KEY, Busy, ask, together, until
from tests.simulators.base import running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="several processes need a socket that can be inherited")

ADMIN = "the-admin-key"


def told(client: httpx.Client, path: str) -> Any:
    response = client.get(path, headers={"authorization": f"Bearer {ADMIN}"})
    return response.raise_for_status().json()


def test_loads_calls_jobs_and_sums_are_those_of_all_workers(tmp_path: Path) -> None:
    with running(Busy()) as upstream:
        config = tmp_path / "c.yaml"
        config.write_text(f"""
auth: {{admin_key: {ADMIN}, keys: [{{name: web, key: "{KEY}"}}]}}
providers: {{up: {{type: openai, base_url: "{upstream.base_url}", api_key: sk-x}}}}
models: {{m: {{routes: [{{provider: up, model: x, price: {{usd_per_image: 0.01}}}}]}}}}
""")
        with together(config, tmp_path / "data") as gateway:
            first, second = gateway.workers
            with (
                gateway.served_by(first, 3) as [*some, one],
                gateway.served_by(second, 2) as [*others, other],
                ThreadPoolExecutor(3) as threads,
            ):
                upstream.free.clear()
                try:
                    answers = [threads.submit(ask, client) for client in (*some, *others)]
                    until("all three are asked for", lambda: upstream.inside == 3)
                    for client in (one, other):
                        assert told(client, "/admin/health")["providers"]["up"]["in_flight"] == 3
                        jobs = told(client, "/admin/jobs")["jobs"]
                        assert [(job["key"], job["state"], job["planned_cost_usd"]) for job in jobs] == [
                            ("web", "sending", 0.01)
                        ] * 3
                finally:
                    upstream.free.set()
                assert [answer.result().status_code for answer in answers] == [200] * 3
                for client in (one, other):
                    up = told(client, "/admin/health")["providers"]["up"]
                    assert (up["in_flight"], up["success_rate_5m"], up["status"]) == (0, 1.0, "ok")
                    assert told(client, "/admin/jobs")["jobs"] == []
                    assert _sums(client) == (3, 3, 3, 0.03)
                for number in range(4, 8):
                    assert ask(some[0]).status_code == 200
                    assert _sums(other) == (number, number, number, number / 100), "what has just been answered"


def _sums(client: httpx.Client) -> tuple[int, int, int, float]:
    totals = told(client, "/admin/usage")["totals"]
    return totals["requests"], totals["images"], totals["upstream_calls"], totals["cost_usd"]
