"""What the Ray Serve application is told, and what a replica says of itself; Ray itself is tested by make test-ray."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from providers.flux_worker.worker import ray_app
from providers.flux_worker.worker.options import OptionError, Options
from providers.flux_worker.worker.ray_app import Arguments, Replica, UnhealthyReplica, build
from providers.flux_worker.worker.work import Handle, Listener, Work
from tests.providers.fake_engine import FakeEngine

OPEN = {"model": "m", "open": True}


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ({}, "model"),
        ({"model": "m"}, "api_key_env"),
        ({**OPEN, "gpu": 1}, "gpu"),
        ({**OPEN, "gpus": 2}, "gpus"),
        ({**OPEN, "sizes": "1000x1000"}, "1000x1000"),
        ({**OPEN, "sizes": "wide"}, "wide"),
        ({**OPEN, "offload": "true", "compile": "true"}, "offload"),
        ({**OPEN, "min_replicas": 3, "max_replicas": 2}, "min_replicas"),
    ],
)
def test_arguments_that_cannot_be_are_refused_by_name(args: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        build(args)


def test_arguments_may_be_the_texts_of_a_command_line() -> None:
    arguments = Arguments.model_validate(
        {"model": "m", "open": "true", "gpus": "0", "sizes": "256x256,512x256", "batch": "2", "max_replicas": "3"}
    )
    assert arguments.options() == Options(model="m", device="cpu", sizes=((256, 256), (512, 256)), batch_most=2)
    deployment = arguments.deployment()
    assert deployment["ray_actor_options"]["num_gpus"] == 0
    assert deployment["autoscaling_config"] == {"min_replicas": 1, "max_replicas": 3, "target_ongoing_requests": 2}


def test_a_key_comes_from_the_replica_s_environment() -> None:
    arguments = Arguments(model="m", name="klein", api_key_env="KEY", steps=9)
    serving = arguments.serving({"KEY": " k-1 "})
    assert (serving.key, serving.name, serving.bounds.steps) == ("k-1", "klein", 9)
    with pytest.raises(OptionError, match="KEY"):
        arguments.serving({"KEY": " "})


@pytest.mark.anyio
async def test_a_replica_is_healthy_for_as_long_as_its_engine_takes_work(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(ray_app, "load", lambda options: engine)
    replica = Replica.__new__(Replica)
    await Replica.__init__(replica, Arguments.model_validate(OPEN))
    await replica.check_health()
    engine.ready = False  # as after an error of the device
    with pytest.raises(UnhealthyReplica):
        await replica.check_health()


@pytest.mark.anyio
async def test_what_ray_cancels_since_its_client_left_is_no_error_of_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, begun = FakeEngine(), asyncio.Event()
    engine.going.clear()
    submit = engine.submit

    def submitted(works: Sequence[tuple[Work, Listener]]) -> Sequence[Handle]:
        begun.set()
        return submit(works)

    monkeypatch.setattr(engine, "submit", submitted)
    monkeypatch.setattr(ray_app, "load", lambda options: engine)
    replica = Replica.__new__(Replica)
    await Replica.__init__(replica, Arguments(model="m", name="klein", open=True))
    transport = httpx.ASGITransport(replica.__serve_build_asgi_app__())
    async with httpx.AsyncClient(transport=transport, base_url="http://w") as client:
        asked = asyncio.create_task(client.post("/v1/responses", json={"model": "klein", "input": "a fox"}))
        await begun.wait()
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        told = (await client.get("/metrics")).text
    assert 'imagegate_worker_requests_total{status="499"} 1.0' in told
    assert 'status="500"' not in told


@pytest.mark.anyio
async def test_a_replica_whose_weights_cannot_be_loaded_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(options: Options) -> FakeEngine:
        raise OptionError("no weights in m")

    monkeypatch.setattr(ray_app, "load", broken)
    with pytest.raises(OptionError, match="no weights"):
        await Replica.__init__(Replica.__new__(Replica), Arguments.model_validate(OPEN))
