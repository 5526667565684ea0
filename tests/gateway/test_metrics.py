"""/metrics: everything that the gateway promises to count, counted once, under names that no client can make."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as of_openmetrics
from prometheus_client.parser import text_string_to_metric_families as of_prometheus
from starlette.applications import Starlette

from gateway.api.account import Account
from gateway.app import create_app
from gateway.services.breakers import Sign
from gateway.serving.server import config_for
from gateway.telemetry.families import DECLARED, Family
from gateway.telemetry.metrics import FAMILIES, Metrics, Words
from tests.gateway.together import Busy, until
from tests.served import running, settings_of
from tests.simulators.base import running as simulated

BODY = {"model": "m", "prompt": "a fox", "size": "64x64", "response_format": "b64_json"}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(body: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in of_prometheus(body)
        for sample in family.samples
    }


def of(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


class Gateway:
    def __init__(self, client: httpx.Client, upstream: Busy, app: Starlette) -> None:
        self.client, self.upstream, self.app = client, upstream, app

    def post(self, **more: Any) -> httpx.Response:
        return self.client.post("/v1/images/generations", json={**BODY, **more})

    def scrape(self) -> Samples:
        answer = self.client.get("/metrics")
        assert answer.status_code == 200, answer.text
        return samples(answer.text)


@contextmanager
def gateway(folder: Path, config: Mapping[str, Any] | None = None) -> Iterator[Gateway]:
    with simulated(Busy()) as upstream:
        whole: dict[str, Any] = {
            "providers": {
                "up": {"type": "openai", "base_url": upstream.base_url, "max_concurrent": 1},
                "drawn": {"type": "sketch"},
            },
            "models": {
                "m": {
                    "aliases": ["also-m"],
                    "routes": [{"provider": "up", "model": "their-m", "price": {"usd_per_image": 0.25}}],
                },
                "strict": {"routes": [{"provider": "drawn", "model": "sketch"}]},
                "free": {"routes": [{"provider": "up", "model": "their-free"}]},
            },
            **(config or {}),
        }
        settings = settings_of(folder, whole)
        app = create_app(settings)
        listener = socket.create_server(("127.0.0.1", 0))
        with running(config_for(app, settings), listener):
            base = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=base, timeout=30) as client:
                try:
                    yield Gateway(client, upstream, app)
                finally:
                    upstream.free.set()


def test_a_request_is_counted_with_all_that_it_came_to(tmp_path: Path) -> None:
    with gateway(tmp_path) as here:
        assert here.post(n=2, output_format="webp", aspect_ratio="3:2").status_code == 200
        found = here.scrape()
        endpoint = "/v1/images/generations"
        assert of(found, "imagegate_requests_total", endpoint=endpoint, model="m", status="200") == 1
        assert of(found, "imagegate_request_seconds_count", endpoint=endpoint, model="m") == 1
        assert of(found, "imagegate_upstream_calls_total", provider="up", model="m", outcome="ok") == 1
        assert of(found, "imagegate_upstream_seconds_count", provider="up", model="m") == 1
        assert of(found, "imagegate_images_total", provider="up", model="m", format="webp") == 2
        assert of(found, "imagegate_cost_usd_total", provider="up", model="m", key="none") == 0.5
        assert of(found, "imagegate_degraded_total", parameter="aspect_ratio", behavior="dropped") == 1
        conversions = [value for (name, _), value in found.items() if name == "imagegate_convert_seconds_count"]
        assert sum(conversions) == 2


def test_a_failed_request_is_counted_as_what_it_was(tmp_path: Path) -> None:
    with gateway(tmp_path) as here:
        assert here.post(n=99).status_code == 400
        assert here.post(model="nothing-like-it").status_code == 404
        assert here.client.get("/v1/nowhere/secret-path").status_code == 404
        found = here.scrape()
        endpoint = "/v1/images/generations"
        assert of(found, "imagegate_requests_total", endpoint="unknown", model="unknown", status="404") == 1
        assert of(found, "imagegate_requests_total", endpoint=endpoint, model="unknown", status="404") == 1
        assert not any("secret-path" in str(key) or "nothing-like-it" in str(key) for key in found)


def test_no_value_of_a_client_becomes_a_label(tmp_path: Path) -> None:
    with gateway(tmp_path) as here:
        word = "zzcanaryzz"
        here.post(model=word)
        here.post(model=f"up/{word}")
        here.post(model=f"also-m{word}")
        here.post(**{word: word})
        dropped = here.post(model="strict", **{word: word, f"{word}2": 1})
        assert word in dropped.headers["x-imagegate-degraded"]
        here.post(user=word, prompt=word, size=word, output_format=word)
        here.client.get(f"/v1/models/{word}", params={word: word}, headers={word: word})
        here.client.get(f"/v1/generations/{word}")
        here.client.request(word.upper(), f"/{word}")
        here.client.post(f"/openai/deployments/{word}/images/generations", json={"prompt": word})
        assert word not in here.client.get("/metrics").text.lower()
        assert of(here.scrape(), "imagegate_degraded_total", parameter="extra", behavior="dropped") == 2


def test_an_alias_and_a_forced_provider_are_counted_under_the_configured_name(tmp_path: Path) -> None:
    with gateway(tmp_path) as here:
        assert here.post(model="also-m").status_code == here.post(model="up/their-m").status_code == 200
        found = here.scrape()
        assert of(found, "imagegate_upstream_calls_total", provider="up", model="m", outcome="ok") == 2


def test_what_an_alert_waits_for_begins_at_0_also_for_models_that_come_later(tmp_path: Path) -> None:
    def awaited(model: str) -> float | None:
        return of(
            here.scrape(), "imagegate_upstream_calls_total", provider="up", model=model, outcome="outcome_unknown"
        )

    with gateway(tmp_path) as here:
        assert (awaited("m"), awaited("new")) == (0, None)
        services = here.app.state.services
        settings = services.settings
        services.reload(settings.model_copy(update={"models": {**settings.models, "new": settings.models["m"]}}))
        assert awaited("new") == 0
        assert here.post(model="new").status_code == 200
        assert of(here.scrape(), "imagegate_images_total", provider="up", model="new", format="png") == 1


def test_what_costs_nobody_knows_how_much_is_told_apart(tmp_path: Path) -> None:
    with gateway(tmp_path) as here:
        assert here.post(model="free").status_code == 200
        found = here.scrape()
        assert of(found, "imagegate_unknown_cost_total", provider="up", model="free") == 1
        assert of(found, "imagegate_cost_usd_total", provider="up", model="free", key="none") is None


def test_gauges_show_what_is_under_way_and_are_back_at_0_when_clients_leave(tmp_path: Path) -> None:
    with gateway(tmp_path) as here:
        here.upstream.free.clear()

        def leave() -> None:
            with pytest.raises(httpx.TimeoutException):
                httpx.post(here.client.base_url.join("/v1/images/generations"), json=BODY, timeout=1.5)

        threads = [threading.Thread(target=leave) for _ in range(3)]
        for thread in threads:
            thread.start()
        until("one is made and two wait", lambda: depth(here) == (1, 2))
        assert of(here.scrape(), "imagegate_generations_in_progress") == 3
        for thread in threads:
            thread.join()
        here.upstream.free.set()
        until("nothing is under way", lambda: depth(here) == (0, 0))
        until("no work is left", lambda: of(here.scrape(), "imagegate_generations_in_progress") == 0)
        until("no picture is held", lambda: of(here.scrape(), "imagegate_picture_memory_bytes") == 0)


def depth(here: Gateway) -> tuple[float | None, float | None]:
    found = here.scrape()
    return of(found, "imagegate_in_flight", provider="up"), of(found, "imagegate_queue_depth", provider="up")


@pytest.mark.parametrize(("failures", "told"), [(0, 0.0), (5, 2.0)])
def test_a_circuit_is_told_under_the_configured_model(tmp_path: Path, failures: int, told: float) -> None:
    with gateway(tmp_path) as here:
        here.scrape()
        circuits = here.app.state.services.backends["up"].circuits
        for _ in range(failures):
            circuits.record("their-m", Sign.UPSTREAM, began=1e12, outcome="x")
        assert of(here.scrape(), "imagegate_circuit_state", provider="up", model="m") == told


def test_a_gateway_counts_for_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with gateway(tmp_path / "a") as one, gateway(tmp_path / "b") as other:
        assert one.post().status_code == 200
        found = other.scrape()
        assert of(found, "imagegate_images_total", provider="up", model="m", format="png") is None


def test_openmetrics_is_given_to_those_who_accept_it(tmp_path: Path) -> None:
    with gateway(tmp_path) as here:
        here.post()
        accept = {"accept": "application/openmetrics-text; version=1.0.0, text/plain;q=0.5"}
        answer = here.client.get("/metrics", headers=accept)
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        names = {family.name for family in of_openmetrics(answer.text)}  # type: ignore[no-untyped-call]
        assert {"imagegate_requests", "imagegate_request_seconds", "imagegate_circuit_state"} <= names
        plain = here.client.get("/metrics")
        assert plain.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("config", "headers", "status"),
    [
        ({"auth": {"mode": "none"}}, {}, 200),
        ({"auth": {"mode": "keys", "keys": [{"name": "a", "key": "client-key-1"}]}}, {}, 403),
        ({"auth": {"admin_key": "admin-key-1"}}, {}, 401),
        ({"auth": {"admin_key": "admin-key-1"}}, {"authorization": "Bearer admin-key-1"}, 200),
        (
            {"auth": {"admin_key": "admin-key-1", "keys": [{"name": "a", "key": "client-key-1"}]}},
            {"authorization": "Bearer client-key-1"},
            403,
        ),
    ],
)
def test_the_admins_key_opens_it(
    tmp_path: Path, config: Mapping[str, Any], headers: Mapping[str, str], status: int
) -> None:
    with gateway(tmp_path, config) as here:
        answer = here.client.get("/metrics", headers=dict(headers))
        assert answer.status_code == status, answer.text


def test_every_sample_is_of_a_declared_family_with_just_its_labels(tmp_path: Path) -> None:
    with gateway(tmp_path) as here:
        here.post(aspect_ratio="3:2")
        here.post(model="free")
        found = here.scrape()
    declared = {name: (family, labels) for family in DECLARED for name, labels in written(family)}
    assert {name for name, _ in found} <= set(declared)
    for name, labels in found:
        assert {label for label, _ in labels} == set(declared[name][1])
    seen = {declared[name][0].name for name, _ in found}
    assert {family.name for family in DECLARED} - seen <= {"imagegate_calls_not_begun_total"}


def written(family: Family) -> Iterator[tuple[str, tuple[str, ...]]]:
    if family.kind != "histogram":
        yield family.name, family.labels
        return
    yield f"{family.name}_bucket", (*family.labels, "le")
    yield f"{family.name}_sum", family.labels
    yield f"{family.name}_count", family.labels


def test_the_families_are_those_that_dashboards_and_rules_are_written_for() -> None:
    assert {
        ("imagegate_requests_total", ("endpoint", "model", "status")),
        ("imagegate_request_seconds", ("endpoint", "model")),
        ("imagegate_upstream_calls_total", ("provider", "model", "outcome")),
        ("imagegate_upstream_seconds", ("provider", "model")),
        ("imagegate_images_total", ("provider", "model", "format")),
        ("imagegate_convert_seconds", ("from", "to")),
        ("imagegate_in_flight", ("provider",)),
        ("imagegate_queue_depth", ("provider",)),
        ("imagegate_circuit_state", ("provider", "model")),
        ("imagegate_cost_usd_total", ("provider", "model", "key")),
        ("imagegate_degraded_total", ("parameter", "behavior")),
        ("imagegate_unknown_cost_total", ("provider", "model")),
    } <= set(FAMILIES)


def test_a_label_has_so_many_words_and_no_more() -> None:
    words = Words(2)
    assert [words(word) for word in ("a", "b", "c", "a")] == ["a", "b", "other", "a"]


def test_a_model_that_is_not_configured_is_unknown() -> None:
    metrics = Metrics(["m"])
    for model in ("m", "evil"):
        account = Account("req_1", "POST", "/x", model=model)
        metrics.request(account)
    told = {tuple(sample.labels.items()) for metric in metrics.registry.collect() for sample in metric.samples}
    assert any(("model", "unknown") in labels for labels in told)
    assert not any(("model", "evil") in labels for labels in told)
