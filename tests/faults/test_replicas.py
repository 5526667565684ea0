"""Two real gateways on one Redis: one is killed and the other goes on, and the sums are what the providers charged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.bench import new_mark, until
from tests.faults.billing import MICROS
from tests.faults.happenings import Fault
from tests.faults.replicas import ADMIN, Serving, replicas
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.needs("redis-server")

PATIENCE = 60.0
"""Seconds: a replica's work is taken over once its lease of 30 is over."""


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """One that these tests may stop and empty."""
    with redis_server() as server:
        yield server


def insistently(replica: Serving, mark: str) -> httpx.Response:
    """The answer that a client gets which comes again where it is told to, as the official ones do: a machine with no
    processor left for Redis looks like one that has lost it."""
    for pause in (0.5, 1.0, 2.0, 4.0):
        answer = replica.ask("openai", mark, **{"idempotency-key": "one"})
        if answer.headers.get("x-should-retry") != "true":
            break
        time.sleep(pause)
    return answer


def test_one_idempotency_key_buys_one_picture_at_two_replicas(tmp_path: Path, redis: RedisServer) -> None:
    with replicas(tmp_path, redis) as house, house.serving("a") as a, house.serving("b") as b:
        mark = new_mark()
        with ThreadPoolExecutor(100) as pool:
            asks = [pool.submit(insistently, (a, b)[index % 2], mark) for index in range(200)]
            answers = [each.result() for each in asks]
        assert Counter(answer.status_code for answer in answers) == {200: 200}
        assert len({answer.headers["x-generation-id"] for answer in answers}) == 1
        assert house.charged() == MICROS
        assert until(lambda: house.known("a") == house.known("b") == MICROS)


def test_an_answer_is_found_at_the_other_replica_and_only_by_its_own_key(tmp_path: Path, redis: RedisServer) -> None:
    with replicas(tmp_path, redis) as house, house.serving("a") as a, house.serving("b") as b:
        answer = a.ask("openai", new_mark())
        id = answer.headers["x-generation-id"]
        assert until(lambda: b.get(f"/v1/generations/{id}").json().get("status") == "succeeded")
        found = b.get(f"/v1/generations/{id}").json()
        assert [each["outcome"] for each in found["attempts"]] == ["ok"]
        picture = httpx.get(found["answer"]["data"][0]["url"])
        assert picture.status_code == 200
        assert picture.content == httpx.get(answer.json()["data"][0]["url"]).content


@pytest.mark.parametrize("place", ["after_accepted", "polling", "after_result", "before_settle"])
def test_what_a_killed_replica_had_accepted_is_gone_on_with_by_the_other(
    tmp_path: Path, redis: RedisServer, place: str
) -> None:
    with replicas(tmp_path, redis) as house, house.serving("b") as b:
        with house.serving("a", failpoint=place) as a:
            with pytest.raises(httpx.HTTPError):
                a.ask("apiframe", new_mark())
            a.process.wait(20)
        assert until(lambda: house.rows("b") != [] and house.settled("b"), PATIENCE), house.log("b")
        assert [(row["state"], row["charge"]) for row in house.rows("b")] == [("done", "charged")]
        assert house.charged() == house.known("b") == MICROS
        # It comes back with its own records, and does not count twice.
        with house.serving("a"):
            assert until(lambda: house.settled("a"))
            assert until(lambda: house.known("a") == MICROS), house.log("a")
        assert house.charged() == house.known("b") == MICROS
        [row] = house.rows("b")
        assert b.get(f"/v1/generations/{row['generation_id']}").json()["status"] == "succeeded"


def test_what_a_killed_replica_was_sending_is_unknown_at_the_other(tmp_path: Path, redis: RedisServer) -> None:
    with replicas(tmp_path, redis) as house, house.serving("b") as b:
        with house.serving("a", failpoint="after_send") as a:
            with pytest.raises(httpx.HTTPError):
                a.ask("openai", new_mark())
            a.process.wait(20)
        assert until(lambda: house.rows("b") != [] and house.settled("b"), PATIENCE), house.log("b")
        [row] = house.rows("b")
        assert (row["state"], row["charge"]) == ("maybe", "unknown")
        assert until(lambda: b.get(f"/v1/generations/{row['generation_id']}").json()["status"] == "unknown")


def test_a_replica_that_is_started_again_goes_on_itself(tmp_path: Path, redis: RedisServer) -> None:
    with replicas(tmp_path, redis) as house, house.serving("b"):
        with house.serving("a", failpoint="after_accepted") as a:
            with pytest.raises(httpx.HTTPError):
                a.ask("apiframe", new_mark())
            a.process.wait(20)
        with house.serving("a"):
            assert until(lambda: house.settled("a") and house.known("a") == MICROS), house.log("a")
            assert until(lambda: house.known("b") == MICROS)
        assert house.charged() == MICROS
        assert [row["fence"] for row in house.rows("a")] == [2]


def test_an_outage_of_redis_stops_no_ordinary_request_and_loses_no_charge(tmp_path: Path, redis: RedisServer) -> None:
    with replicas(tmp_path, redis) as house, house.serving("a") as a, house.serving("b") as b:
        assert a.ask("openai", new_mark()).status_code == 200
        redis.stop()
        try:
            assert until(lambda: a.ask("openai", new_mark(), **{"idempotency-key": "two"}).status_code == 503)
            refused = a.ask("openai", new_mark(), **{"idempotency-key": "three"})
            assert refused.json()["error"]["code"] == "state_unavailable"
            assert refused.headers["x-should-retry"] == "true"
            before = house.charged()
            assert [each.ask("openai", new_mark()).status_code for each in (a, b, a)] == [200, 200, 200]
            assert house.charged() == before + 3 * MICROS
        finally:
            redis.start()
        assert until(lambda: house.known("a") == house.known("b") == house.charged(), PATIENCE), house.log("a")


def test_a_redis_that_lost_everything_is_told_again(tmp_path: Path, redis: RedisServer) -> None:
    with replicas(tmp_path, redis) as house, house.serving("a") as a, house.serving("b") as b:
        ids = [each.ask("openai", new_mark()).headers["x-generation-id"] for each in (a, b)]
        assert until(lambda: house.known("a") == house.known("b") == 2 * MICROS)
        redis.say("FLUSHALL")
        assert until(lambda: b.get(f"/v1/generations/{ids[0]}").status_code == 200)
        assert until(lambda: a.get(f"/v1/generations/{ids[1]}").status_code == 200)
        with house.serving("c"):
            assert until(lambda: house.known("c") == 2 * MICROS), house.log("c")
        assert house.known("a") == house.known("b") == house.charged()


def test_usage_is_the_same_at_every_replica_and_what_the_providers_charged(tmp_path: Path, redis: RedisServer) -> None:
    with replicas(tmp_path, redis) as house, house.serving("a") as a, house.serving("b") as b:
        for each, model in ((a, "openai"), (b, "openai"), (b, "apiframe"), (a, "onemin")):
            assert each.ask(model, new_mark()).status_code == 200

        def totals(replica: Serving) -> dict[str, Any]:
            found: dict[str, Any] = replica.get("/admin/usage?group_by=model", ADMIN).json()["totals"]
            return found

        assert until(lambda: totals(a)["requests"] == totals(b)["requests"] == 4), (totals(a), totals(b))
        assert until(lambda: totals(a) == totals(b)), (totals(a), totals(b))
        assert round(totals(a)["cost_usd"] * 1e6) == house.charged() == 4 * MICROS
        assert totals(a)["upstream_calls"] == 4


def test_a_replica_that_is_stopped_in_order_leaves_its_job_to_the_other_at_once(
    tmp_path: Path, redis: RedisServer
) -> None:
    limits = {"drain_seconds": 0.2, "drain_unready_seconds": 0.1}
    with replicas(tmp_path, redis) as house:
        house.limits.update(limits)
        with house.serving("b"), house.serving("a") as a, ThreadPoolExecutor(1) as pool:
            proxy = house.proxies["apiframe"]
            proxy.next(Fault(on="poll", hold=True))
            asked = pool.submit(a.ask, "apiframe", new_mark())
            assert proxy.held.wait(PATIENCE)
            a.process.terminate()
            answer = asked.result()
            assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
            a.process.wait(20)
            proxy.release()
            assert until(lambda: house.rows("b") != [] and house.settled("b"), PATIENCE), house.log("b")
            assert house.known("b") == house.charged() == MICROS


def test_a_clients_own_retry_at_the_other_replica_is_given_what_the_killed_one_had_bought(
    tmp_path: Path, redis: RedisServer
) -> None:
    retry = "x-stainless-retry-count"
    with replicas(tmp_path, redis) as house, house.serving("b") as b:
        mark = new_mark()
        with house.serving("a", failpoint="after_accepted") as a:
            with pytest.raises(httpx.HTTPError):
                a.ask("apiframe", mark, **{retry: "0"})
            a.process.wait(20)
        again = b.ask("apiframe", mark, **{retry: "1"})
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true"), house.log("b")
        assert httpx.get(again.json()["data"][0]["url"]).status_code == 200
        assert house.charged() == MICROS
