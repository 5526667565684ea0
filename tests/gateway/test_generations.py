"""What became of an earlier request: its answer again, its failure, or that it goes on."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.served import served, settings_of
from tests.simulators import openai_simulator
from tests.simulators.openai import OpenAISimulator

BODY = {"model": "m", "prompt": "a fox", "size": "64x64"}


@contextmanager
def gateway(folder: Path, **more: Any) -> Iterator[tuple[httpx.Client, OpenAISimulator]]:
    with openai_simulator() as simulator:
        config = {
            "auth": {"mode": "none"},
            "providers": {"p": {"type": "openai", "base_url": simulator.base_url, "api_key": "k"}},
            "models": {"m": {"routes": [{"provider": "p", "model": "x"}]}},
            **more,
        }
        with served(settings_of(folder, config)) as base_url, httpx.Client(base_url=base_url, timeout=30) as client:
            yield client, simulator


def until(found: Callable[[], Any], seconds: float = 20) -> Any:
    """What is found at last; nothing tells when."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


def looked_up(client: httpx.Client, answer: httpx.Response) -> Any:
    found = client.get(f"/generations/{answer.headers['x-generation-id']}")
    assert found.status_code == 200
    assert found.headers["x-generation-id"] == answer.headers["x-generation-id"]
    return found.json()


@pytest.mark.parametrize("response_format", ["b64_json", "url"])
def test_an_answer_can_be_had_again_as_it_was_given(response_format: str, tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, _):
        answer = client.post("/images/generations", json={**BODY, "n": 2, "response_format": response_format})
        at_once = looked_up(client, answer)
        again = until(lambda: (found := looked_up(client, answer))["status"] == "succeeded" and found)
        for found in (at_once, again):
            assert set(found) == {"id", "status", "created", "request_id", "answer", "error", "attempts"}
            assert found["id"] == answer.headers["x-generation-id"]
            assert found["request_id"] == answer.headers["x-request-id"]
            assert (found["status"], found["error"]) == ("succeeded", None)
            assert [each["outcome"] for each in found["attempts"]] == ["ok"]
            given, told = answer.json(), found["answer"]
            assert {name: told[name] for name in told if name != "data"} == {
                name: given[name] for name in given if name != "data"
            }
            assert [pictures(client, each) for each in told["data"]] == [
                pictures(client, each) for each in given["data"]
            ]
            assert [set(each) for each in told["data"]] == [set(each) for each in given["data"]]


def pictures(client: httpx.Client, item: dict[str, Any]) -> bytes:
    if "b64_json" in item:
        return base64.b64decode(item["b64_json"])
    return client.get(item["url"]).raise_for_status().content


def test_urls_are_signed_anew(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, _):
        answer = client.post("/images/generations", json={**BODY, "response_format": "url"})
        first = answer.json()["data"][0]["url"]
        later = until(lambda: (url := looked_up(client, answer)["answer"]["data"][0]["url"]) != first and url)
        assert later.partition("?")[0] == first.partition("?")[0]


def test_a_failure_is_told_again_with_its_attempts(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        simulator.fail_next(status=400, message="no", code="moderation_blocked")
        answer = client.post("/images/generations", json=BODY)
        assert answer.status_code == 400
        found = looked_up(client, answer)
        assert (found["status"], found["answer"]) == ("failed", None)
        assert found["error"] == answer.json()["error"]
        assert len(found["attempts"]) == 1


def test_nobody_knows_is_a_status_of_its_own(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        simulator.fail_next(hang_up=True)
        answer = client.post("/images/generations", json=BODY)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
        assert looked_up(client, answer)["status"] == "unknown"


def test_what_came_too_late_for_its_client_can_be_fetched(tmp_path: Path) -> None:
    with gateway(tmp_path, server={"deadline_seconds": 1}) as (client, simulator):
        simulator.fail_next(delay=2.0)
        answer = client.post("/images/generations", json={**BODY, "response_format": "b64_json"})
        assert (answer.status_code, answer.headers["x-should-retry"]) == (504, "false")
        running = looked_up(client, answer)
        assert (running["status"], running["answer"], running["error"]) == ("running", None, None)
        found = until(lambda: (now := looked_up(client, answer))["status"] == "succeeded" and now)
        assert base64.b64decode(found["answer"]["data"][0]["b64_json"]).startswith(b"\x89PNG")
        assert found["answer"]["metadata"]["generation_id"] == found["id"]


def test_a_streamed_answer_can_be_had_whole(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, _):
        answer = client.post("/images/generations", json={**BODY, "stream": True})
        found = until(lambda: (now := looked_up(client, answer))["answer"] and now)
        assert base64.b64decode(found["answer"]["data"][0]["b64_json"]).startswith(b"\x89PNG")


def test_a_generation_is_its_key_s_alone(tmp_path: Path) -> None:
    auth = {"keys": [{"name": "one", "key": "key-one-1234567890"}, {"name": "two", "key": "key-two-1234567890"}]}
    with gateway(tmp_path, auth=auth) as (client, _):
        mine, theirs = ({"authorization": f"Bearer key-{name}-1234567890"} for name in ("one", "two"))
        answer = client.post("/images/generations", json=BODY, headers=mine)
        path = f"/generations/{answer.headers['x-generation-id']}"
        assert client.get(path, headers=mine).status_code == 200
        assert client.get(path, headers=theirs).status_code == 404
        assert client.get(path).status_code == 401
        assert client.get("/generations/gen_0", headers=mine).json()["error"]["code"] == "not_found"


def test_memory_keeps_what_nobody_was_given(tmp_path: Path) -> None:
    with gateway(tmp_path, storage={"url": "memory"}, server={"deadline_seconds": 1}) as (client, simulator):
        body = {**BODY, "response_format": "b64_json"}
        given = client.post("/images/generations", json=body)
        assert until(lambda: (now := looked_up(client, given))["answer"] is None and now)["status"] == "succeeded"
        simulator.fail_next(delay=2.0)
        late = client.post("/images/generations", json=body)
        assert late.status_code == 504
        found = until(lambda: (now := looked_up(client, late))["status"] == "succeeded" and now)
        assert base64.b64decode(found["answer"]["data"][0]["b64_json"]).startswith(b"\x89PNG")


def test_an_answer_whose_pictures_are_gone_is_none(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, _):
        answer = client.post("/images/generations", json={**BODY, "response_format": "b64_json"})
        size = len(base64.b64decode(answer.json()["data"][0]["b64_json"]))
        packs = tmp_path / "data/pictures/packs"
        [pack] = until(lambda: packs.exists() and [each for each in packs.iterdir() if each.stat().st_size == size])
        until(lambda: looked_up(client, answer)["answer"])
        pack.unlink()
        found = until(lambda: (now := looked_up(client, answer))["answer"] is None and now)
        assert found["status"] == "succeeded"
        again = client.post("/images/generations", json={**BODY, "response_format": "b64_json"})
        until(lambda: looked_up(client, again)["answer"])
