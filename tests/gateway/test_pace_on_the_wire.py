"""A provider's pace and its line, as a client meets them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.backends import build_backends, paced
from gateway.services.breakers import Sign
from tests.journeys import Journey
from tests.served import served, settings_of
from tests.simulators import openai_simulator


@contextmanager
def gateway(folder: Path, limits: dict[str, Any], **entry: Any) -> Iterator[Journey]:
    with openai_simulator() as simulator:
        config = {
            "auth": {"mode": "none"},
            "limits": limits,
            "providers": {"p": {"type": "openai", "base_url": simulator.base_url, "api_key": "k", **entry}},
            "models": {"m": {"routes": [{"provider": "p", "model": "x"}]}},
        }
        with served(settings_of(folder, config)) as base_url:
            yield Journey(base_url, simulator)


def asked(journey: Journey) -> httpx.Response:
    body = {"model": "m", "prompt": "a fox", "size": "64x64", "response_format": "b64_json"}
    return httpx.post(f"{journey.base_url}/images/generations", json=body, timeout=30)


def overloaded(answer: httpx.Response) -> bool:
    told = answer.json().get("error", {})
    return (
        (answer.status_code, told.get("code"), told.get("type")) == (503, "overloaded", "server_error")
        and answer.headers["x-should-retry"] == "true"
        and int(answer.headers["retry-after"]) >= 1
        and answer.headers["x-imagegate-attempts"] == "0"
    )


def test_beyond_its_requests_a_minute_a_provider_gets_none(tmp_path: Path) -> None:
    with gateway(tmp_path, {"queue_wait_seconds": 0.05}, requests_per_minute=2) as journey:
        answers = [asked(journey) for _ in range(3)]
        assert [answer.status_code for answer in answers[:2]] == [200, 200]
        assert overloaded(answers[2])
        assert len(journey.simulator.submissions) == 2


def test_who_comes_when_the_line_is_full_is_told_at_once_and_the_others_are_served(tmp_path: Path) -> None:
    with gateway(tmp_path, {"queue_length": 1}, max_concurrent=1) as journey:
        journey.simulator.fail_next(delay=1.0)
        ready, answers = threading.Barrier(4), []

        def ask() -> None:
            ready.wait(20)
            answers.append(asked(journey))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503]
        assert [overloaded(answer) for answer in answers] == [True, True, False, False], "nobody had to wait for that"
        assert len(journey.simulator.submissions) == 2


@pytest.mark.parametrize(
    ("per_minute", "per_second", "expected"),
    [
        (None, None, (None, 60.0)),
        (None, 6.0, (60, 10.0)),
        (None, 0.25, (2, 10.0)),
        (None, 0.05, (1, 20.0)),
        (500, 6.0, (500, 60.0)),
        (1, None, (1, 60.0)),
    ],
)
def test_the_operators_limit_goes_before_the_providers_own(
    per_minute: int | None, per_second: float | None, expected: tuple[int | None, float]
) -> None:
    assert paced(per_minute, per_second) == expected


def test_what_is_known_of_a_provider_outlives_a_reload_but_for_what_that_may_have_mended(tmp_path: Path) -> None:
    config = {
        "auth": {"mode": "none"},
        "providers": {"p": {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "requests_per_minute": 9}},
        "models": {"m": {"routes": [{"provider": "p", "model": "x"}]}},
    }
    before = build_backends(settings_of(tmp_path, config))["p"]
    before.circuits.record("denied", Sign.DENIED, began=1e12, outcome="upstream_auth")
    for _ in range(5):
        before.circuits.record("gone", Sign.LOCAL, began=1e12, outcome="not_sent:refused")
    config["providers"]["p"]["requests_per_minute"] = 7  # type: ignore[index]
    after = build_backends(settings_of(tmp_path, config), {"p": before})["p"]
    assert (after.pace, after.gate, after.speeds) == (before.pace, before.gate, before.speeds)
    assert after.pace.limit == 7
    assert (after.circuits.state("denied"), after.circuits.state("gone")) == ("closed", "open")
