"""A picture's address that is good no more: the job that made it is asked for another one, and nothing is bought."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway import collecting
from tests.served import served, settings_of
from tests.simulators.apiframe import ApiframeSimulator
from tests.simulators.base import Fault, Refused, running
from tests.simulators.http import Answer, Received

BODY = {"model": "m", "prompt": "a fox", "size": "256x256"}


class Expiring(ApiframeSimulator):
    """Gives another address at each look; the first `expired` of them are no good. `unwell`: of a job that is done it
    tells once and never again."""

    def __init__(self, expired: int, status: int = 403, *, unwell: bool = False) -> None:
        super().__init__()
        self.expired, self.status, self.unwell = expired, status, unwell
        self.given: list[str] = []

    def poll(self, received: Received, fault: Fault) -> Answer:
        job = self.jobs[received.path.removeprefix("/v2/jobs/")]
        if self.unwell and self.given:
            raise Refused(503, "out of order")
        if job.looks >= self.looks_until_done:
            data = self.files[job.files[0].removeprefix(self.origin)]
            job.files = [self.publish(data, "/files/again-")]
            self.given.append(job.files[0])
        return super().poll(received, fault)

    def _file(self, received: Received) -> Answer:
        if (self.origin + received.path) in self.given[: self.expired]:
            return Answer(self.status, b"<Error><Code>AccessDenied</Code></Error>", {"content-type": "application/xml"})
        return super()._file(received)


@contextmanager
def gateway(folder: Path, simulator: ApiframeSimulator) -> Iterator[httpx.Client]:
    with running(simulator):
        entry = {"type": "apiframe", "base_url": simulator.base_url, "api_key": "k"}
        polling = {"first": 0.02, "factor": 1.0, "max": 0.02}
        config = {
            "auth": {"mode": "none"},
            "network": {"allow_private": ["127.0.0.0/8"]},
            "providers": {"p": {**entry, "poll_seconds": polling}},
            "models": {"m": {"routes": [{"provider": "p", "model": "flux-2-pro"}]}},
        }
        with served(settings_of(folder, config)) as base_url, httpx.Client(base_url=base_url, timeout=30) as client:
            yield client


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "RENEWAL_FIRST_SECONDS", 0.01)


@pytest.mark.parametrize("status", [403, 404, 410])
@pytest.mark.parametrize("expired", [1, 2])
def test_a_fresh_address_brings_the_picture_and_nothing_is_submitted_again(
    expired: int, status: int, tmp_path: Path
) -> None:
    simulator = Expiring(expired, status)
    with gateway(tmp_path, simulator) as client:
        answer = client.post("/images/generations", json=BODY)
        assert (answer.status_code, len(answer.json()["data"])) == (200, 1)
        assert answer.headers["x-imagegate-attempts"] == "1"
        assert (len(simulator.submissions), len(simulator.given)) == (1, expired + 1)


def test_after_two_fresh_addresses_the_picture_is_given_up_and_charged(tmp_path: Path) -> None:
    simulator = Expiring(99)
    with gateway(tmp_path, simulator) as client:
        answer = client.post("/images/generations", json=BODY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "result_unavailable")
        assert answer.headers["x-should-retry"] == "false"
        assert (len(simulator.submissions), len(simulator.given)) == (1, 3)


def test_a_look_that_fails_leaves_the_address_as_it_was(tmp_path: Path) -> None:
    simulator = Expiring(0, unwell=True)
    with gateway(tmp_path, simulator) as client:
        simulator.fail_next(on="picture", status=404)
        assert client.post("/images/generations", json=BODY).status_code == 200
        assert (len(simulator.submissions), len(simulator.given)) == (1, 1)
