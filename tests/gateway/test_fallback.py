"""Two routes on real sockets: when the second is tried, when it must not be, and what is kept when nobody waits."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.journeys import HURRIED, journey_to
from tests.served import served, settings_of
from tests.simulators import apiframe_simulator, max_simulator, openai_simulator


class Pair:
    """A gateway with the model `m` at `first`, then at `second`."""

    def __init__(self, base_url: str, first: Any, second: Any, data: Path) -> None:
        self.base_url, self.first, self.second, self.data = base_url, first, second, data
        self.client = openai.OpenAI(base_url=base_url, api_key="any", max_retries=0, timeout=60)

    def generate(self, **more: Any) -> Any:
        given = {"prompt": "a fox", "model": "m", "size": "256x256", "response_format": "b64_json", **more}
        return self.client.images.generate(**given)


@contextmanager
def pair(
    folder: Path,
    *,
    first_url: str | None = None,
    server: dict[str, Any] | None = None,
    first: dict[str, Any] | None = None,
    second: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
) -> Iterator[Pair]:
    with ExitStack() as stack:
        one = stack.enter_context(openai_simulator())
        other = stack.enter_context(max_simulator())
        config = {
            "server": server or {},
            "auth": {"mode": "none"},
            "network": {"allow_private": ["127.0.0.0/8"]},
            "limits": HURRIED,
            "providers": {
                "first": {"type": "openai", "base_url": first_url or one.base_url, "api_key": "k"},
                "second": {"type": "flux_worker", "base_url": other.base_url},
            },
            "models": {
                "m": {
                    "routes": [
                        {"provider": "first", "model": "x", **(first or {"price": {"usd_per_image": 0.05}})},
                        {"provider": "second", "model": "black-forest-labs/FLUX.2-dev", **(second or {})},
                    ],
                    **(model or {}),
                }
            },
        }
        base_url = stack.enter_context(served(settings_of(folder, config)))
        yield Pair(base_url, one, other, folder / "data")


def outcomes(answer: Any) -> list[tuple[str, str]]:
    return [(attempt["provider"], attempt["outcome"]) for attempt in answer.metadata["attempts"]]


def test_a_closed_port_is_no_obstacle_where_another_route_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    with pair(tmp_path, first_url=closed) as both:
        answer = both.generate()
        assert answer.metadata["provider"] == "second"
        assert outcomes(answer) == [*[("first", "not_sent:refused")] * 3, ("second", "ok")]
        assert answer.metadata["cost"] == 0


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 429])
def test_a_refusal_goes_to_the_next_route(tmp_path: Path, status: int) -> None:
    with pair(tmp_path) as both:
        both.first.fail_next(times=9, status=status)
        answer = both.generate()
        assert answer.metadata["provider"] == "second"
        assert len(both.second.submissions) == 1
        assert len(both.first.submissions) == (4 if status == 429 else 1), "only a busy provider is asked again"


@pytest.mark.parametrize("fault", [{"hang_up": True}, {"truncate": True}, {"status": 500}, {"bad_json": True}])
def test_an_unknown_outcome_does_not_buy_another_picture(tmp_path: Path, fault: dict[str, Any]) -> None:
    with pair(tmp_path) as both:
        both.first.fail_next(**fault)
        with pytest.raises(openai.InternalServerError) as caught:
            both.generate()
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert both.second.submissions == []


def test_an_operator_may_rather_pay_twice_than_fail(tmp_path: Path) -> None:
    with pair(tmp_path, first={"on_unknown": "fallback"}) as both:
        both.first.fail_next(hang_up=True)
        answer = both.generate()
        assert answer.metadata["provider"] == "second"
        assert answer.metadata["cost"] is None, "what the first route charged is unknown"


@pytest.mark.parametrize(("fallback", "served"), [("paid", True), ("free", False)])
def test_a_route_without_a_price_falls_to_one_with_a_price_unless_told_otherwise(
    tmp_path: Path, fallback: str, served: bool
) -> None:
    priced = {"price": {"usd_per_image": 0.05}}
    with pair(tmp_path, first={"weight": 1}, second=priced, model={"fallback": fallback}) as both:
        both.first.fail_next(times=9, status=429)
        if served:
            assert both.generate().metadata["provider"] == "second"
        else:
            with pytest.raises(openai.RateLimitError):
                both.generate()
            assert both.second.submissions == []


def test_under_strict_a_part_of_the_pictures_is_an_error_and_no_picture_is_lost(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.first.fail_next(status=500)
        with pytest.raises(openai.InternalServerError) as caught:
            both.generate(n=3, extra_body={"seed": 5}, extra_headers={"x-imagegate-strict": "true"})
        assert caught.value.code == "generation_failed"
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert len(list((both.data / "pictures").rglob("*.png"))) == 2


def test_a_failure_tells_in_its_headers_who_was_asked(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.first.fail_next(times=9, status=429)
        both.second.fail_next(times=9, status=503)
        with pytest.raises(openai.APIStatusError) as caught:
            both.generate()
        headers = caught.value.response.headers
        assert (headers["x-imagegate-provider"], headers["x-imagegate-attempts"]) == ("second", "8")
        assert headers["x-imagegate-model"] == "black-forest-labs/FLUX.2-dev"
        assert "provider;dur=" in headers["server-timing"]


def test_enlarging_is_noted_for_a_ratio_as_for_a_size(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.first.fail_next(wrong_size=True)
        answer = both.generate(size="1:1")
        assert answer.size == "1024x1024"
        entry = next(entry for entry in answer.metadata["parameters"] if entry["name"] == "size")
        assert "enlarged" in entry["note"]


def test_what_some_of_the_pictures_lack_is_noted_although_most_have_it(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.first.fail_next(status=400)
        answer = both.generate(n=3, style="vivid", extra_body={"seed": 5})
        assert [made for _, made in outcomes(answer)] == ["rejected_by_provider", "ok", "ok", "ok"]
        assert answer.metadata["provider"] == "first"
        notes = {entry["name"]: entry["note"] for entry in answer.metadata["parameters"] if "note" in entry}
        assert list(notes) == ["style"], "the second provider takes seeds, and no style"
        assert notes["style"].startswith("1 of 3 came from second: ")


def test_a_format_that_nobody_named_is_repaired_and_reported_all_the_same(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.second.fail_next(wrong_format=True)
        answer = both.generate(model="second/m")
        assert answer.output_format == "png"
        assert any("output_format" in repair for repair in answer.metadata["repairs"])


def test_a_content_refusal_is_not_taken_elsewhere(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.first.fail_next(status=400, code="moderation_blocked")
        with pytest.raises(openai.BadRequestError) as caught:
            both.generate()
        assert caught.value.code == "moderation_blocked"
        assert both.second.submissions == []


def test_a_forced_provider_has_no_fallback(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.first.fail_next(times=9, status=429)
        with pytest.raises(openai.RateLimitError):
            both.generate(model="first/m")
        assert both.second.submissions == []
        assert both.generate(model="second/m").metadata["provider"] == "second"


def test_where_every_route_refuses_the_request_the_caller_is_told_so(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.first.fail_next(status=400)
        both.second.fail_next(status=422)
        with pytest.raises(openai.BadRequestError) as caught:
            both.generate()
        assert (caught.value.code, caught.value.param) == ("rejected_by_provider", None)
        assert len(both.first.submissions) == len(both.second.submissions) == 1


def test_strict_takes_the_route_that_loses_nothing(tmp_path: Path) -> None:
    body = {"model": "m", "prompt": "a fox", "size": "256x256", "safety_tolerance": 2}
    with pair(tmp_path) as both:
        url = f"{both.base_url}/images/generations?dryRun=true"
        assert httpx.post(url, json=body, headers={"x-imagegate-strict": "true"}).json()["provider"] == "first"


def test_after_the_deadline_the_client_knows_and_the_picture_is_kept(tmp_path: Path) -> None:
    with pair(tmp_path, server={"deadline_seconds": 0.3}) as both:
        both.first.fail_next(delay=1.0)
        with pytest.raises(openai.InternalServerError) as caught:
            both.generate()
        error = caught.value
        assert (error.status_code, error.code) == (504, "generation_timeout")
        assert error.response.headers["x-should-retry"] == "false"
        assert error.response.headers["x-generation-id"].startswith("gen_")
        deadline = time.monotonic() + 20
        while not (kept := list((both.data / "pictures").rglob("*.png"))) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(kept) == 1
        assert len(both.first.submissions) == 1


def test_a_job_that_is_polled_survives_trouble_on_the_way(tmp_path: Path) -> None:
    with apiframe_simulator() as simulator:
        config = {
            "auth": {"mode": "none"},
            "network": {"allow_private": ["127.0.0.0/8"]},
            "providers": {
                "a": {
                    "type": "apiframe",
                    "base_url": simulator.base_url,
                    "api_key": "k",
                    "poll_seconds": {"first": 0.02, "factor": 1, "max": 0.02},
                }
            },
            "models": {"m": {"routes": [{"provider": "a", "model": "flux-2-max"}]}},
        }
        with served(settings_of(tmp_path, config)) as base_url:
            for status in (404, 429, 500, 503):
                simulator.fail_next(on="poll", status=status)
            client = openai.OpenAI(base_url=base_url, api_key="any", max_retries=0, timeout=60)
            answer = client.images.generate(prompt="a fox", model="m", size="256x256")
            assert answer.data
            assert len(simulator.submissions) == 1
            assert simulator.billed == 1


def test_a_burst_that_is_over_costs_no_pictures(tmp_path: Path) -> None:
    limits = {"limits": {"retry_first_seconds": 0.01, "retry_after_seconds": 1}}
    with journey_to("onemin", tmp_path, limits) as journey:
        journey.simulator.fail_next(times=10, status=429, headers={"retry-after": "0"})
        answer = journey.generate(n=10, size="64x64")
        assert len(answer.data) == 10
        assert journey.simulator.billed == 10
        assert answer.metadata["partial"] is False


def test_what_could_not_be_kept_is_not_bought(tmp_path: Path) -> None:
    with journey_to("onemin", tmp_path, {"limits": {"disk_floor_bytes": 10**15}}) as journey:
        for form in ("b64_json", "url"):
            with pytest.raises(openai.InternalServerError) as caught:
                journey.generate(response_format=form)
            assert (caught.value.status_code, caught.value.code) == (503, "storage_full")
            assert caught.value.response.headers["x-should-retry"] == "true"
            assert caught.value.response.headers["retry-after"]
        assert journey.simulator.submissions == []
