"""Two gateways that share nothing but a Redis server keep to one limit, and go on by themselves while it is away."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.load import load
from tests.gateway.test_workers import refused
from tests.gateway.together import KEY, Busy, ask, together, until
from tests.redis_server import RedisServer, redis_server
from tests.served import served

pytestmark = [
    pytest.mark.needs("redis-server"),
    pytest.mark.skipif(sys.platform == "win32", reason="the server is none of Windows"),
]

ADMIN = "the-admin-key"
CONFIG = """
state: {{url: "{redis}"}}
storage: {{signing_key: the-same-for-all}}
auth:
  admin_key: {admin}
  keys:
    - {{name: free, key: "{key}"}}
    - {{name: slow, key: "slow-key", requests_per_minute: 5}}
limits: {{drain_unready_seconds: 0.2}}
providers:
  up: {{type: openai, base_url: "{url}", max_concurrent: {places}}}
models:
  m: {{routes: [{{provider: up, model: x}}]}}
"""


def configured(folder: Path, upstream: Busy, redis: str, places: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    config = folder / "c.yaml"
    config.write_text(CONFIG.format(url=upstream.base_url, redis=redis, key=KEY, places=places, admin=ADMIN))
    return config


@contextmanager
def two(folder: Path, upstream: Busy, redis: str) -> Iterator[list[str]]:
    """The addresses of two gateways, each with a data directory of its own."""
    with ExitStack() as stack:
        addresses = []
        for name in ("one", "two"):
            settings = load(configured(folder / name, upstream, redis), {})
            server = settings.server.model_copy(update={"data_dir": folder / name / "data"})
            url = stack.enter_context(served(settings.model_copy(update={"server": server})))
            addresses.append(url.removesuffix("/v1"))
        yield addresses


def clients(stack: ExitStack, address: str, count: int = 1, key: str = KEY) -> list[httpx.Client]:
    headers = {"authorization": f"Bearer {key}"}
    return [stack.enter_context(httpx.Client(base_url=address, timeout=60, headers=headers)) for _ in range(count)]


def test_a_providers_places_and_a_keys_minute_are_counted_once_for_all_replicas(
    tmp_path: Path, upstream: Busy, redis: RedisServer
) -> None:
    upstream.seconds = 0.05
    with two(tmp_path, upstream, redis.url()) as (first, second), ExitStack() as stack:
        crowd = [*clients(stack, first, 10), *clients(stack, second, 10)]
        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(ask, crowd))
        assert Counter(answer.status_code for answer in answers) == {200: 20}
        assert upstream.peak == 3
        [one], [other] = clients(stack, first, key="slow-key"), clients(stack, second, key="slow-key")
        answers = [ask(client) for client in (one, other, one, one, other, other, one)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
        assert left == ["4", "3", "2", "1", "0", "0", "0"]


def test_each_replica_shows_the_operator_what_all_have_under_way(
    tmp_path: Path, upstream: Busy, redis: RedisServer
) -> None:
    upstream.free.clear()
    with (
        two(tmp_path, upstream, redis.url()) as (first, second),
        ExitStack() as stack,
        ThreadPoolExecutor(3) as threads,
    ):
        [*some, operator], [other, second_operator] = clients(stack, first, 3), clients(stack, second, 2)
        answers = [threads.submit(ask, client) for client in (*some, other)]
        try:
            until("all three are asked for", lambda: upstream.inside == 3)
            told = [jobs(client) for client in (operator, second_operator)]
            assert [[job["state"] for job in each] for each in told] == [["sending"] * 3] * 2
            assert [job["id"] for job in told[0]] == [job["id"] for job in told[1]]
            assert jobs(operator, "accepted") == []
        finally:
            upstream.free.set()
        assert [answer.result().status_code for answer in answers] == [200] * 3
        assert [jobs(client) for client in (operator, second_operator)] == [[], []]


def jobs(client: httpx.Client, state: str = "") -> list[dict[str, Any]]:
    answer = client.get("/admin/jobs", params={"state": state}, headers={"authorization": f"Bearer {ADMIN}"})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["jobs"]
    return found


def test_without_redis_pictures_are_made_but_no_key_of_a_client_is_claimed(tmp_path: Path, upstream: Busy) -> None:
    with redis_server() as own, two(tmp_path, upstream, own.url()) as (first, _), ExitStack() as stack:
        [client] = clients(stack, first)
        assert ask(client).status_code == 200
        own.stop()
        bought = len(upstream.submissions)
        refused = ask(client, headers={"idempotency-key": "order 1"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "state_unavailable")
        assert refused.headers["x-should-retry"] == "true"
        assert len(upstream.submissions) == bought
        assert "127.0.0.1" not in refused.text
        assert ask(client).status_code == 200
        own.start()
        keyed = {"idempotency-key": "order 1"}
        until("it is there again", lambda: ask(client, headers=keyed).status_code == 200)
        assert "idempotent-replayed" in ask(client, headers=keyed).headers


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_database_that_redis_does_not_have_stops_the_start(
    tmp_path: Path, upstream: Busy, redis: RedisServer, workers: str
) -> None:
    config = configured(tmp_path, upstream, redis.url().replace("/0?", "/99?"))
    data = ("--data-dir", str(tmp_path / "data"))
    code, said = refused("--config", str(config), "--workers", workers, *data)
    assert code == 2
    last = said.splitlines()[-1]
    assert last.startswith("state.url: Redis cannot be used: ERR: it has no database of this number;"), said


def test_workers_of_one_replica_count_with_those_of_another(tmp_path: Path, upstream: Busy, redis: RedisServer) -> None:
    upstream.seconds = 0.05
    url = redis.url()
    config = configured(tmp_path / "one", upstream, url)
    with two(tmp_path, upstream, url) as (other, _), ExitStack() as stack:
        with together(config, tmp_path / "three", workers=2) as gateway, ThreadPoolExecutor(24) as threads:
            first, second = gateway.workers
            with gateway.served_by(first, 8) as some, gateway.served_by(second, 8) as others:
                answers = list(threads.map(ask, [*some, *others, *clients(stack, other, 8)]))
        assert Counter(answer.status_code for answer in answers) == {200: 24}
        assert upstream.peak == 3
