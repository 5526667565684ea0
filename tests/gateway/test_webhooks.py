"""Webhooks: a notice wakes whoever waits for the job, and proves nothing; looks alone end a job.

Where the first look is 300 seconds away, an answer at all shows that a notice woke the wait.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from gateway.backends import RARE, Backend, Polling, build_backends
from gateway.config.model import Settings
from gateway.services.wakes import Wakes
from normalization.errors import ConfigurationError
from tests.providers.test_apiframe_webhooks import BODY, signature
from tests.served import served, settings_of
from tests.simulators import ApiframeSimulator, Received, apiframe_simulator

KEY = "afk_1111111111111111111111111111111111111111"
FAR = {"first": 300, "factor": 1, "max": 300}

pytestmark = pytest.mark.anyio


def config(base_url: str = "http://127.0.0.1:9", port: int = 9, **entry: Any) -> dict[str, Any]:
    provider = {"type": "apiframe", "base_url": base_url, "api_key": KEY, "webhooks": True, **entry}
    return {
        "server": {"public_url": f"http://127.0.0.1:{port}"},
        "auth": {"mode": "none"},
        "network": {"allow_private": ["127.0.0.0/8"]},
        "providers": {"p": {name: value for name, value in provider.items() if value is not None}},
        "models": {"m": {"routes": [{"provider": "p", "model": "flux-2-max"}]}},
    }


@contextmanager
def running(folder: Path, *, poll: Any = FAR, **simulated: Any) -> Iterator[tuple[str, ApiframeSimulator]]:
    """A gateway that is told by its provider: its base URL, and the provider."""
    listener = socket.create_server(("127.0.0.1", 0))
    with apiframe_simulator(**{"looks_until_done": 1000, **simulated}) as simulator:
        settings = settings_of(folder, config(simulator.base_url, listener.getsockname()[1], poll_seconds=poll))
        with served(settings, listener) as base_url:
            yield base_url, simulator


def generate(base_url: str, **body: Any) -> httpx.Response:
    asked = {"model": "m", "prompt": "a red fox", "size": "256x256", "response_format": "b64_json", **body}
    return httpx.post(f"{base_url}/images/generations", json=asked, timeout=60)


def looks(simulator: ApiframeSimulator) -> list[Received]:
    return [each for each in simulator.requests if each.method == "GET" and each.path.startswith("/v2/jobs/")]


@pytest.mark.parametrize("signed_with", ["bytes", "hex"])
def test_the_answer_comes_with_the_notice_and_not_with_the_clock(tmp_path: Path, signed_with: str) -> None:
    with running(tmp_path, signed_with=signed_with) as (base_url, simulator):
        answer = generate(base_url)
        assert simulator.all_told.wait(20)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == 1
    (submission,) = simulator.submissions
    assert submission.json["webhookUrl"] == f"{base_url.removesuffix('/v1')}/webhooks/p"
    assert submission.json["webhookEvents"] == ["completed", "failed"]
    assert len(looks(simulator)) == 1
    assert simulator.told == [200]


def test_two_notices_end_a_job_once(tmp_path: Path) -> None:
    with running(tmp_path, webhooks="twice") as (base_url, simulator):
        answer = generate(base_url)
        assert simulator.all_told.wait(20)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == len(answer.json()["metadata"]["attempts"]) == simulator.billed == 1
    assert simulator.told == [200, 200]
    assert len(looks(simulator)) <= 2


def test_a_notice_that_overtakes_the_answer_to_the_submission_is_not_lost(tmp_path: Path) -> None:
    with running(tmp_path, webhooks="early") as (base_url, simulator):
        answer = generate(base_url)
    assert answer.status_code == 200, answer.text
    assert (simulator.told, len(looks(simulator))) == ([200], 1)


def test_a_failed_job_is_told_too(tmp_path: Path) -> None:
    with running(tmp_path) as (base_url, simulator):
        simulator.fail_next(soft_fail=True, message="content policy violation")
        answer = generate(base_url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "moderation_blocked")
    assert len(looks(simulator)) == 1


def test_a_forged_notice_wakes_nobody(tmp_path: Path) -> None:
    with running(tmp_path, webhooks="forged first") as (base_url, simulator):
        answer = generate(base_url)
        assert simulator.all_told.wait(20)
    assert answer.status_code == 200, answer.text
    assert simulator.told == [401, 200]
    # Woken by the forgery, a look would have found the job unfinished, and the next would be minutes away.
    assert len(looks(simulator)) == 1


def test_a_notice_that_lies_does_not_end_a_job_but_has_it_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.backends.RARE", Polling(300.0, 1.0, 300.0))
    with running(tmp_path, poll=None, webhooks="lying", looks_until_done=1) as (base_url, simulator):
        answer = generate(base_url)
    assert answer.status_code == 200, answer.text
    assert (simulator.told, len(looks(simulator))) == ([200], 2)


@pytest.mark.parametrize("webhooks", ["never", "forged"])
def test_a_notice_that_is_lost_or_signed_with_a_rotated_key_costs_time_alone(tmp_path: Path, webhooks: str) -> None:
    brisk = {"first": 0.02, "factor": 1, "max": 0.02}
    with running(tmp_path, poll=brisk, webhooks=webhooks, looks_until_done=2) as (base_url, simulator):
        answer = generate(base_url)
    assert answer.status_code == 200, answer.text
    assert 200 not in simulator.told
    assert len(looks(simulator)) == 3


def test_each_of_several_jobs_is_woken_by_its_own_notice(tmp_path: Path) -> None:
    with running(tmp_path) as (base_url, simulator):
        answer = generate(base_url, n=4)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]) == 4
    assert len({look.path for look in looks(simulator)}) == len(looks(simulator)) == 4


def test_fifty_jobs_stay_far_below_five_hundred_looks_a_minute() -> None:
    at, counted = 0.0, 0
    while (at := at + RARE.after(counted) * 0.9) < 60:
        counted += 1
    assert 50 * counted < 250


def client_of(settings: Settings) -> tuple[Any, httpx.AsyncClient]:
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    return app.state.services, httpx.AsyncClient(transport=transport, base_url="http://gateway")


async def status(client: httpx.AsyncClient, key: str | None = KEY, name: str = "p", body: bytes = BODY) -> int:
    headers = {} if key is None else {"X-Webhook-Signature": f"sha256={signature(body, key)}"}
    return (await client.post(f"/webhooks/{name}", content=body, headers=headers)).status_code


async def test_who_may_tell_what(tmp_path: Path) -> None:
    services, client = client_of(settings_of(tmp_path, config()))
    try:
        assert await status(client) == 200
        assert await status(client, key=None) == 401
        assert await status(client, key="another") == 401
        assert await status(client, name="nobody") == 404
        assert await status(client, body=b"{}") == 401
        assert await status(client, body=b" " * (64 * 1024 + 1)) == 413
        assert (await client.get("/webhooks/p")).status_code == 405
        refusal = (await client.post("/webhooks/p", content=BODY)).json()["error"]
        assert (refusal["code"], refusal["param"]) == ("invalid_api_key", None)
        assert KEY not in str(refusal)
    finally:
        await services.close()


async def test_webhooks_and_keys_change_without_a_restart(tmp_path: Path) -> None:
    off = settings_of(tmp_path, config(webhooks=None))
    services, client = client_of(off)
    try:
        assert await status(client) == 404
        services.reload(settings_of(tmp_path, config()))
        assert await status(client) == 200
        services.reload(settings_of(tmp_path, config(api_key="afk_another")))
        assert (await status(client), await status(client, key="afk_another")) == (401, 200)
        services.reload(off)
        assert await status(client) == 404
    finally:
        await services.close()


async def test_an_address_that_came_with_a_reload_waits_for_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    without = {**config(webhooks=None), "server": {}}
    services, client = client_of(settings_of(tmp_path, without))
    try:
        services.reload(settings_of(tmp_path, config()))
        assert await status(client) == 404
        assert "providers.p.webhooks waits for a restart" in caplog.text
    finally:
        await services.close()


def test_hanging_up_turns_webhooks_on(tmp_path: Path) -> None:
    path = tmp_path / "imagegate.yaml"
    settings_of(tmp_path, config(webhooks=None))
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(path), "--port", "0"]
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None
            url = f"{found[0]}/webhooks/p"
            headers = {"x-webhook-signature": signature(BODY, KEY)}
            assert httpx.post(url, content=BODY, headers=headers).status_code == 404
            settings_of(tmp_path, config())
            process.send_signal(signal.SIGHUP)
            assert any("reloaded" in line for line in process.stderr)
            assert httpx.post(url, content=BODY, headers=headers).status_code == 200
        finally:
            process.kill()


def backend(folder: Path, **entry: Any) -> Backend:
    return build_backends(settings_of(folder, config(**entry)))["p"]


def test_the_key_that_proves_a_notice_is_shown_to_nobody(tmp_path: Path) -> None:
    built = backend(tmp_path)
    assert built.webhooks is not None
    assert KEY not in repr(built.webhooks)


def test_looks_are_rare_only_where_notices_come_and_nobody_said_otherwise(tmp_path: Path) -> None:
    assert backend(tmp_path).polling == RARE
    assert backend(tmp_path, webhooks=False).polling.first == 1.0
    assert backend(tmp_path, poll_seconds={"first": 2}).polling.first == 2.0
    assert backend(tmp_path).polling_told.first == 1.0


def test_a_dry_run_shows_where_the_provider_will_tell(tmp_path: Path) -> None:
    with served(settings_of(tmp_path, config())) as base_url:
        shown = httpx.post(f"{base_url}/images/generations?dryRun=true", json={"model": "m", "prompt": "a red fox"})
    (call,) = shown.json()["plan"]["calls"]
    assert call["body"]["webhookUrl"] == "http://127.0.0.1:9/webhooks/p"
    assert KEY not in shown.text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"server": {}}, r"providers\.p\.webhooks: .*server\.public_url"),
        ({"api_key": None}, r"providers\.p\.webhooks: .*api_key"),
        ({"webhooks": "perhaps"}, r"providers\.p\.webhooks: .*true or false"),
        ({"type": "modelverse"}, r"providers\.p\.webhooks: unknown key"),
    ],
)
def test_webhooks_that_cannot_work_stop_the_start(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    whole = config(**{name: value for name, value in changed.items() if name != "server"})
    whole |= {name: value for name, value in changed.items() if name == "server"}
    with pytest.raises(ConfigurationError, match=said):
        settings_of(tmp_path, whole)


async def test_a_notice_before_anybody_waits_is_kept_for_a_while() -> None:
    wakes = Wakes(early_most=2)
    for job in ("1", "2", "2", "3"):
        wakes.ring("p", job)
    assert not wakes.expect("p", "1").is_set()
    assert not wakes.expect("another", "2").is_set()
    assert wakes.expect("p", "2").is_set()
    assert wakes.expect("p", "3").is_set()


async def test_a_notice_wakes_its_own_job_and_no_longer_than_somebody_waits() -> None:
    wakes = Wakes()
    one, other = wakes.expect("p", "1"), wakes.expect("p", "2")
    wakes.ring("p", "1")
    assert (one.is_set(), other.is_set()) == (True, False)
    wakes.forget("p", "2")
    wakes.ring("p", "2")
    assert not other.is_set()
