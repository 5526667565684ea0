"""GET /admin/health, /admin/config and /admin/jobs: what the operator sees, true to what happened, and for nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.admin.health import SURVEY, answer_surveys, worst
from gateway.app import ROUTES, create_app
from gateway.config.model import Settings
from gateway.container import Services
from gateway.services.attempts import NewAttempt, new_id
from gateway.services.breakers import Sign
from gateway.services.windows import CALLS_MOST, TIMES_MOST, Calls, Window, percentile, together
from gateway.workers.shared import Coordinated
from gateway.workers.shares import Part
from normalization.errors import StorageFull
from tests.gateway.workforce import house
from tests.served import settings_of
from tests.simulators import OpenAISimulator
from tests.simulators.base import running

pytestmark = pytest.mark.anyio

SECRET = "secret-provider-key"


def settings_for(folder: Path, url: str = "https://up.example/v1", **more: Any) -> Settings:
    return settings_of(
        folder,
        {
            "providers": {
                "up": {"type": "openai", "base_url": url, "api_key": SECRET, "headers": {"x-team": "secret-team"}},
                "draw": {"type": "sketch"},
                "idle": {"type": "apiframe"},
            },
            "models": {
                "fox": {"routes": [{"provider": "up", "model": "fox-1"}, {"provider": "draw", "model": "sketch"}]},
                "owl": {"routes": [{"provider": "up", "model": "owl-1"}]},
            },
            "limits": {"breaker_failures": 2, "retries": 0},
            **more,
        },
    )


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    app = create_app(settings)
    services: Services = app.state.services
    try:
        await services.start()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            yield client, services
    finally:
        await services.close()


async def health(client: httpx.AsyncClient) -> Any:
    response = await client.get("/admin/health")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    return response.json()


async def test_a_gateway_at_rest_is_told_in_the_promised_shape(tmp_path: Path) -> None:
    async with gateway(settings_for(tmp_path)) as (client, _):
        found = await health(client)
        assert list(found) == ["status", "uptime_seconds", "version", "state", "storage", "providers"]
        assert (found["status"], found["version"]) == ("ok", version("imagegate"))
        assert found["uptime_seconds"] >= 0
        assert found["state"] == {"kind": "sqlite", "ok": True, "latency_ms": found["state"]["latency_ms"]}
        assert found["state"]["latency_ms"] > 0
        assert (found["storage"]["kind"], found["storage"]["ok"]) == ("file", True)
        assert found["storage"]["free_bytes"] > 0
        quiet = {"in_flight": 0, "queued": 0, "success_rate_5m": None, "p50_seconds": None, "p95_seconds": None}
        assert found["providers"]["up"] == {
            "type": "openai",
            "status": "ok",
            "circuit": "closed",
            **quiet,
            "last_error": None,
            "models": ["fox", "owl"],
        }
        assert found["providers"]["idle"]["status"] == "unconfigured"
        assert found["providers"]["idle"]["models"] == []


@pytest.fixture
def upstream() -> Iterator[OpenAISimulator]:
    with running(OpenAISimulator(anonymous=True)) as simulator:
        yield simulator


async def test_what_calls_came_to_is_told_and_asking_calls_nobody(tmp_path: Path, upstream: OpenAISimulator) -> None:
    settings = settings_for(tmp_path, upstream.base_url, network={"allow_private": ["127.0.0.0/8"]})
    async with gateway(settings) as (client, _):
        ask = {"model": "owl", "prompt": "an owl", "size": "64x64"}
        assert (await client.post("/v1/images/generations", json=ask)).status_code == 200
        upstream.fail_next(status=500, times=1)
        assert (await client.post("/v1/images/generations", json=ask)).status_code == 502
        seen = len(upstream.requests)
        up = (await health(client))["providers"]["up"]
        assert (up["success_rate_5m"], up["status"], up["circuit"]) == (0.5, "degraded", "closed")
        assert up["last_error"]["code"] == "outcome_unknown"
        assert abs(up["last_error"]["at"] - time.time()) < 60
        assert 0 < up["p50_seconds"] == up["p95_seconds"]
        upstream.fail_next(status=500, times=1)
        await client.post("/v1/images/generations", json=ask)
        found = await health(client)
        # fox-1 is well as far as anybody knows, and fox can be drawn besides.
        assert (found["providers"]["up"]["circuit"], found["providers"]["up"]["status"]) == ("open", "degraded")
        assert found["status"] == "degraded", "owl has nobody else"
        assert len(upstream.requests) == seen + 1, "the one request of a client"


async def test_a_provider_is_open_when_all_that_leads_to_it_is(tmp_path: Path) -> None:
    async with gateway(settings_for(tmp_path)) as (client, services):
        circuits = services.backends["up"].circuits
        for model in ("fox-1", "owl-1"):
            circuits.record(model, Sign.DENIED, began=time.monotonic(), outcome="upstream_auth")
        found = await health(client)
        assert found["providers"]["up"]["status"] == "open"
        assert found["providers"]["up"]["last_error"]["code"] == "upstream_auth"
        assert found["status"] == "degraded"
        services.backends["draw"].circuits.record("sketch", Sign.DENIED, began=time.monotonic(), outcome="x")
        assert (await health(client))["status"] == "down"


async def test_a_gateway_that_cannot_keep_pictures_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(settings_for(tmp_path)) as (client, services):

        async def full() -> None:
            raise StorageFull("no room")

        monkeypatch.setattr(services.storage, "check", full)
        found = await health(client)
        assert (found["storage"]["kind"], found["storage"]["ok"]) == ("file", False)
        assert found["status"] == "down"


async def test_a_gateway_that_cannot_keep_records_is_down_and_says_so_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(settings_for(tmp_path)) as (client, services):
        monkeypatch.setattr("gateway.admin.health.PING_SECONDS", 0.01)
        monkeypatch.setattr(services.state.attempts, "ping", lambda: asyncio.Event().wait())
        found = await health(client)
        assert (found["state"]["ok"], found["status"]) == (False, "down")


async def test_who_is_inside_and_in_line_is_counted(tmp_path: Path) -> None:
    async with gateway(settings_for(tmp_path)) as (client, services):
        gate = services.backends["up"].gate
        gate.resize(1)
        async with gate.enter():
            waiting = asyncio.create_task(gate.take())
            await asyncio.sleep(0)
            up = (await health(client))["providers"]["up"]
            assert (up["in_flight"], up["queued"]) == (1, 1)
        await waiting
        gate.give_back()
        up = (await health(client))["providers"]["up"]
        assert (up["in_flight"], up["queued"]) == (0, 0)


async def test_a_worker_tells_of_all_workers(tmp_path: Path) -> None:
    async with house() as workers:
        made: list[Services] = []
        for number in range(3):
            channel = await workers.worker()
            services = Services(settings_for(tmp_path), sharing=Coordinated(channel, Part(number, 3)))
            answer_surveys(services)
            services.backends["up"].window.note(number > 0, float(number) or None)
            made.append(services)
        async with made[1].backends["up"].gate.enter():
            told = await made[0].sharing.survey(SURVEY)
        assert sorted(each["up"] for each in told) == [[0, 0, 1, 1, [2.0]], [1, 0, 1, 1, [1.0]]]
        await workers.dies(workers.channels[2])
        assert len(await made[0].sharing.survey(SURVEY)) == 1


# ---- the window


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_window_forgets_what_is_older_than_five_minutes() -> None:
    clock = Clock()
    window = Window(clock)
    window.note(False, None)
    clock.now += 200
    window.note(True, 1.5)
    assert window.calls() == Calls(2, 1, (1.5,))
    clock.now += 101
    assert window.calls() == Calls(1, 1, (1.5,))
    clock.now += 300
    assert window.calls() == Calls()


def test_a_window_is_bounded_however_many_calls_there_are() -> None:
    window = Window(Clock())
    for number in range(CALLS_MOST + 1000):
        window.note(True, float(number))
    found = window.calls()
    assert (found.count, len(found.seconds)) == (CALLS_MOST, TIMES_MOST)
    assert found.seconds[0] == CALLS_MOST + 999


def test_windows_add_up_and_percentiles_are_times_that_were_measured() -> None:
    assert together([Calls(2, 1, (3.0,)), Calls(3, 3, (1.0, 2.0)), Calls()]) == Calls(5, 4, (3.0, 1.0, 2.0))
    assert percentile((), 50) is None
    assert [percentile((4.0, 1.0, 3.0, 2.0), each) for each in (1, 50, 51, 75, 95, 100)] == [1, 2, 3, 3, 4, 4]


def test_the_worst_circuit_stands_for_all() -> None:
    assert worst([]) == "closed"
    assert worst(["closed", "half_open"]) == "half_open"
    assert worst(["half_open", "open", "closed"]) == "open"


# ---- the configuration and the jobs


async def test_the_configuration_is_told_whole_and_without_a_secret(tmp_path: Path) -> None:
    async with gateway(settings_for(tmp_path, storage={"url": "memory"})) as (client, services):
        response = await client.get("/admin/config")
        found = response.json()
        assert "secret" not in response.text
        assert found["providers"]["up"]["api_key"] == "set"
        assert found["providers"]["idle"]["api_key"] == "unset"
        assert found["providers"]["up"]["headers"] == {"x-team": "set"}
        assert set(found["limits"]) == set(type(services.settings.limits).model_fields)
        assert found["limits"]["breaker_failures"] == 2
        assert found["default_model"] == "fox"


async def test_the_configuration_tells_what_holds_for_a_provider_that_says_nothing(tmp_path: Path) -> None:
    entries = {
        "jobs": {"type": "apiframe", "api_key": "k"},
        "told": {
            "type": "apiframe",
            "api_key": "k",
            "max_concurrent": 7,
            "timeout_seconds": 9,
            "poll_seconds": {"max": 2},
        },
        "workers": {"type": "flux_worker", "base_urls": ["http://127.0.0.1:9", "http://127.0.0.2:9"]},
        "draw": {"type": "sketch"},
    }
    models = {name: {"routes": [{"provider": name, "model": "x"}]} for name in entries}
    config = {"providers": entries, "models": models, "limits": {"read_seconds": 123}}
    async with gateway(settings_of(tmp_path, config)) as (client, _):
        found = (await client.get("/admin/config")).json()["providers"]
        assert {name: entry["max_concurrent"] for name, entry in found.items()} == {
            "jobs": 500,
            "told": 7,
            "workers": 8,
            "draw": 500,
        }
        assert (found["jobs"]["timeout_seconds"], found["told"]["timeout_seconds"]) == (123, 9)
        assert found["jobs"]["poll_seconds"] == {"first": 1.0, "factor": 1.5, "max": 5.0}
        assert found["told"]["poll_seconds"] == {"first": 1.0, "factor": 1.5, "max": 2.0}
        assert "poll_seconds" not in found["workers"]


async def test_jobs_are_what_is_not_settled(tmp_path: Path) -> None:
    async with gateway(settings_for(tmp_path)) as (client, services):
        assert (await client.get("/admin/jobs")).json() == {"jobs": []}
        attempts = services.state.attempts
        ids = [new_id(), new_id()]
        for id, cost in zip(ids, (70_000, None), strict=True):
            await attempts.begin(
                NewAttempt(id, "gen_1", "req_1", "up", "fox-1", "fox", "web", None, 2, cost, time.time() - 100)
            )
        await attempts.accepted(ids[0], "their-job")
        found = (await client.get("/admin/jobs")).json()["jobs"]
        assert [job["id"] for job in found] == sorted(ids)
        (job,) = (await client.get("/admin/jobs", params={"state": "accepted"})).json()["jobs"]
        assert 100 <= job.pop("age_seconds") < 200
        assert abs(job.pop("created") + 100 - time.time()) < 60
        assert job == {
            "id": ids[0],
            "generation_id": "gen_1",
            "request_id": "req_1",
            "provider": "up",
            "model": "fox",
            "provider_model": "fox-1",
            "key": "web",
            "operation": "generate",
            "images": 2,
            "state": "accepted",
            "job": "their-job",
            "planned_cost_usd": 0.07,
        }
        (job,) = (await client.get("/admin/jobs", params={"state": "sending"})).json()["jobs"]
        assert (job["id"], job["planned_cost_usd"], job["job"]) == (ids[1], None, None)
        wrong = await client.get("/admin/jobs", params={"state": "done"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "state")
        assert "sending, accepted" in wrong.json()["error"]["message"]


# ---- the document


async def test_the_document_says_of_every_route_who_may_call_it(tmp_path: Path) -> None:
    async with gateway(settings_for(tmp_path)) as (client, _):
        document = (await client.get("/openapi.json")).json()
    said = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            said[path, method.upper()] = {name for each in operation["security"] for name in each}
    wanted: dict[str, set[str]] = {"key": {"bearer", "apiKey"}, "admin": {"adminBearer", "adminKey"}}
    declared = {
        (route.template, method): wanted.get(route.authority, set())
        for route in ROUTES
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert said == declared
    assert wanted["key"] | wanted["admin"] == set(document["components"]["securitySchemes"])


@pytest.mark.parametrize("path", ["/admin/health", "/admin/usage", "/admin/jobs"])
async def test_what_the_document_says_of_an_answer_is_so(tmp_path: Path, path: str) -> None:
    from jsonschema import Draft202012Validator

    async with gateway(settings_for(tmp_path)) as (client, services):
        await client.post("/v1/images/generations", json={"model": "draw/sketch", "prompt": "a fox", "size": "64x64"})
        await services.state.attempts.begin(NewAttempt(new_id(), "g", "r", "up", "o", "owl", None, None, 1, None, 1e9))
        document = (await client.get("/openapi.json")).json()
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator(schema).validate((await client.get(path)).json())


async def test_a_provider_that_a_reload_brings_meanwhile_is_told_as_one_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(settings_for(tmp_path)) as (client, services):
        more = {"more": {"type": "sketch"}, "draw": {"type": "sketch"}}
        models = {"owl": {"routes": [{"provider": "more", "model": "sketch"}]}}

        async def reloaded(event: str) -> list[Any]:
            services.reload(settings_for(tmp_path, providers=more, models=models))
            return []

        monkeypatch.setattr(services.sharing, "survey", reloaded)
        found = await health(client)
        assert set(found["providers"]) == {"more", "draw"}
        assert found["providers"]["more"]["in_flight"] == 0
