"""The same request is carried out once: by its Idempotency-Key, or as a client's own retry of what it lost."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from PIL import Image

from tests.served import served, settings_of
from tests.simulators import openai_simulator
from tests.simulators.openai import OpenAISimulator

PATH = "/images/generations"
BODY = {"model": "m", "prompt": "a fox", "size": "64x64"}
KEY = {"idempotency-key": "order 1"}
RETRY = {"x-stainless-retry-count": "1"}
FIRST = {"x-stainless-retry-count": "0"}


@contextmanager
def gateway(folder: Path, **more: Any) -> Iterator[tuple[httpx.Client, OpenAISimulator]]:
    with openai_simulator() as simulator:
        config = {
            "auth": {"mode": "none"},
            "providers": {
                "p": {"type": "openai", "base_url": simulator.base_url, "api_key": "k", "edits": "multipart"}
            },
            "models": {"m": {"routes": [{"provider": "p", "model": "x"}]}},
            **more,
        }
        with served(settings_of(folder, config)) as base_url, httpx.Client(base_url=base_url, timeout=30) as client:
            yield client, simulator


def test_the_same_key_gets_the_same_answer_and_buys_once(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        first = client.post(PATH, json=BODY, headers=KEY)
        assert "idempotent-replayed" not in first.headers
        for _ in range(2):
            again = client.post(PATH, json=BODY, headers=KEY)
            assert again.headers["idempotent-replayed"] == "true"
            assert (again.status_code, without_urls(again)) == (200, without_urls(first))
            assert again.headers["x-generation-id"] == first.headers["x-generation-id"]
            assert client.get(again.json()["data"][0]["url"]).status_code == 200
        assert len(simulator.submissions) == 1


def test_an_answer_given_again_is_a_request_for_the_same_model(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, _):
        for _ in range(3):
            assert client.post(PATH, json=BODY, headers=KEY).status_code == 200
        operator = client.base_url.join("/")
        (row,) = client.get(operator.join("/admin/usage?group_by=model")).json()["rows"]
        assert (row["group"], row["requests"], row["images"], row["upstream_calls"]) == ("m", 3, 1, 1)
        counted = 'imagegate_requests_total{endpoint="/v1/images/generations",model="m",status="200"} 3.0'
        assert counted in client.get(operator.join("/metrics")).text


@pytest.mark.parametrize("tries", ["²", "9" * 5000, "-1", "", "one", "1.0"])
def test_a_count_of_tries_is_no_reason_to_fail(tmp_path: Path, tries: str) -> None:
    with gateway(tmp_path) as (client, simulator):
        sent = [(b"x-stainless-retry-count", tries.encode("latin-1"))]
        assert client.post(PATH, json=BODY, headers=sent).status_code == 200
        assert len(simulator.submissions) == 1


@pytest.mark.parametrize("edit", [False, True])
def test_what_is_nested_too_deep_is_refused_before_its_fingerprint_is_taken(tmp_path: Path, edit: bool) -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    with gateway(tmp_path) as (client, simulator):
        if edit:
            written = BytesIO()
            Image.new("RGB", (64, 64), "red").save(written, "PNG")
            picture = {"image": ("a.png", written.getvalue(), "image/png")}
            fields = {"model": "m", "prompt": "a fox", "provider_options": deep.decode()}
            answer = client.post("/images/edits", data=fields, files=picture, headers=KEY)
        else:
            body = b'{"model":"m","prompt":"a fox","extra":%b}' % deep
            answer = client.post(PATH, content=body, headers={**KEY, "content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
        assert simulator.submissions == []


def without_urls(answer: httpx.Response) -> Any:
    return {**answer.json(), "data": len(answer.json()["data"])}


def test_the_order_of_names_and_the_spelling_of_a_body_do_not_matter(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        client.post(PATH, content=b'{"model": "m", "prompt": "a fox", "size": "64x64"}', headers=KEY)
        again = client.post(PATH, content=b'{"size":"64x64","prompt":"\\u0061 fox","model":"m"}', headers=KEY)
        assert again.headers["idempotent-replayed"] == "true"
        assert len(simulator.submissions) == 1


def test_another_request_with_the_key_is_refused_and_another_path_is_another_key(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        client.post(PATH, json=BODY, headers=KEY)
        other = client.post(PATH, json={**BODY, "prompt": "a wolf"}, headers=KEY)
        assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
        assert other.json()["error"]["type"] == "invalid_request_error"
        assert len(simulator.submissions) == 1
        response = client.post("/responses", json={"model": "m", "input": "a fox"}, headers=KEY)
        assert (response.status_code, "idempotent-replayed" in response.headers) == (200, False)
        assert len(simulator.submissions) == 2


@pytest.mark.anyio
async def test_two_hundred_at_once_make_one_submission(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        simulator.fail_next(delay=0.5)
        async with httpx.AsyncClient(
            base_url=client.base_url, timeout=60, limits=httpx.Limits(max_connections=None)
        ) as many:
            answers = await asyncio.gather(*(many.post(PATH, json=BODY, headers=KEY) for _ in range(200)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.headers["x-generation-id"] for answer in answers}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
        assert len(simulator.submissions) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", "tab\there"])
def test_a_key_that_is_none_is_refused(key: str, tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        answer = client.post(PATH, json=BODY, headers=[(b"idempotency-key", key.encode("latin-1"))])
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "Idempotency-Key"
        assert simulator.submissions == []


def test_what_was_refused_before_any_work_is_released(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        assert client.post(PATH, json={**BODY, "n": 99}, headers=KEY).status_code == 400
        simulator.fail_next(status=401)
        assert client.post(PATH, json=BODY, headers=KEY).status_code == 502
        answer = client.post(PATH, json=BODY, headers=KEY)
        assert (answer.status_code, "idempotent-replayed" in answer.headers) == (200, False)


def test_what_may_have_been_charged_is_not_bought_again(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        simulator.fail_next(hang_up=True)
        first = client.post(PATH, json=BODY, headers=KEY)
        again = client.post(PATH, json=BODY, headers=KEY)
        assert (first.status_code, again.status_code) == (502, 502)
        assert again.json() == first.json()
        assert again.headers["x-should-retry"] == "false"
        assert again.headers["idempotent-replayed"] == "true"
        assert first.headers["x-imagegate-attempts"] == again.headers["x-imagegate-attempts"] == "1"
        assert len(simulator.submissions) == 1


def test_a_key_outlives_the_process(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, _):
        first = client.post(PATH, json={**BODY, "response_format": "b64_json"}, headers=KEY)
    with gateway(tmp_path) as (client, simulator):
        again = client.post(PATH, json={**BODY, "response_format": "b64_json"}, headers=KEY)
        assert again.json() == first.json()
        assert again.headers["x-imagegate-attempts"] == "1"
        assert simulator.submissions == []


def test_a_key_is_forgotten_in_its_time_and_beyond_its_number(tmp_path: Path) -> None:
    with gateway(tmp_path, limits={"idempotency_records": 2}) as (client, simulator):
        for name in ("a", "b", "c"):
            client.post(PATH, json=BODY, headers={"idempotency-key": name})
        replayed = {
            name: "idempotent-replayed" in client.post(PATH, json=BODY, headers={"idempotency-key": name}).headers
            for name in ("c", "b", "a")
        }
        assert replayed == {"c": True, "b": True, "a": False}
        database = sqlite3.connect(tmp_path / "data/imagegate.sqlite3")
        with database:
            database.execute("UPDATE generations SET created = created - 90000")
        database.close()
        assert "idempotent-replayed" not in client.post(PATH, json=BODY, headers={"idempotency-key": "c"}).headers
        assert len(simulator.submissions) == 5


def test_a_form_is_known_by_what_it_holds_and_not_by_how_it_is_packed(tmp_path: Path) -> None:
    written = BytesIO()
    Image.new("RGB", (64, 64), "red").save(written, "PNG")
    other = BytesIO()
    Image.new("RGB", (64, 64), "blue").save(other, "PNG")
    with gateway(tmp_path) as (client, simulator):

        def edit(picture: bytes, filename: str) -> httpx.Response:
            return client.post(
                "/images/edits",
                data={"model": "m", "prompt": "winter"},
                files={"image": (filename, picture)},
                headers=KEY,
            )

        first = edit(written.getvalue(), "a.png")
        assert first.status_code == 200
        assert edit(written.getvalue(), "b.png").headers["idempotent-replayed"] == "true"
        assert edit(other.getvalue(), "a.png").status_code == 422
        assert len(simulator.submissions) == 1


@pytest.mark.parametrize("path", [PATH, "/responses"])
def test_a_stream_is_told_again_at_once(path: str, tmp_path: Path) -> None:
    body = {**BODY, "stream": True} if path == PATH else {"model": "m", "input": "a fox", "stream": True}
    with gateway(tmp_path) as (client, simulator):
        first = client.post(path, json=body, headers=KEY)
        again = client.post(path, json=body, headers=KEY)
        assert again.headers["content-type"].startswith("text/event-stream"), again.text
        assert again.headers["idempotent-replayed"] == "true"
        assert events(again)[-1] == events(first)[-1]
        assert [kind for kind, _ in events(again)] == [kind for kind, _ in events(first)]
        assert again.text.endswith("data: [DONE]\n\n")
        assert len(simulator.submissions) == 1


def events(answer: httpx.Response) -> list[tuple[str, Any]]:
    found = []
    for frame in answer.text.split("\n\n"):
        if frame.startswith("event: "):
            kind, _, data = frame.removeprefix("event: ").partition("\ndata: ")
            value = orjson.loads(data)
            for name in ("created_at", "completed_at"):
                value.pop(name, None)
                value.get("response", {}).pop(name, None)
            found.append((kind, value))
    return found


def leave(client: httpx.Client, simulator: OpenAISimulator, headers: dict[str, str]) -> None:
    """Ask, and go while the provider works."""
    host, port = urlsplit(str(client.base_url)).netloc.split(":")
    content = orjson.dumps(BODY)
    lines = [f"POST /v1{PATH} HTTP/1.1", "host: x", f"content-length: {len(content)}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    before = len(simulator.submissions)
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        end = time.monotonic() + 20
        while len(simulator.submissions) == before:
            assert time.monotonic() < end


def test_a_client_that_comes_back_gets_what_it_left_and_one_retry_takes_one(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        simulator.fail_next(delay=0.5)
        leave(client, simulator, FIRST)
        again = client.post(PATH, json=BODY, headers=RETRY)
        assert again.status_code == 200
        assert len(simulator.submissions) == 1
        assert client.post(PATH, json=BODY, headers=RETRY).status_code == 200
        assert len(simulator.submissions) == 2


def test_a_client_that_leaves_its_retry_too_gets_it_at_the_next_one(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        simulator.fail_next(delay=1.5)
        leave(client, simulator, FIRST)
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                client.post(PATH, json=BODY, headers=RETRY, timeout=0.2)
        again = client.post(PATH, json=BODY, headers=RETRY)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
        assert len(simulator.submissions) == 1


def test_an_answer_that_reached_nobody_waits_for_the_retry_also_after_a_restart(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        simulator.fail_next(delay=0.3)
        leave(client, simulator, FIRST)
    with gateway(tmp_path) as (client, simulator):
        assert client.post(PATH, json={**BODY, "prompt": "a wolf"}, headers=RETRY).status_code == 200
        assert len(simulator.submissions) == 1
        assert client.post(PATH, json=BODY, headers=RETRY).status_code == 200
        assert len(simulator.submissions) == 1


def test_a_first_try_is_a_wish_of_its_own(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        simulator.fail_next(delay=0.3)
        leave(client, simulator, FIRST)
        assert client.post(PATH, json=BODY, headers=FIRST).status_code == 200
        assert client.post(PATH, json=BODY).status_code == 200
        assert len(simulator.submissions) == 3


def test_a_retry_takes_nothing_from_one_who_still_waits_or_was_answered(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        assert client.post(PATH, json=BODY, headers=FIRST).status_code == 200
        simulator.fail_next(delay=0.5)

        async def both() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=client.base_url, timeout=30) as two:
                waiting = asyncio.ensure_future(two.post(PATH, json=BODY, headers=FIRST))
                while len(simulator.submissions) < 2:  # noqa: ASYNC110  (another thread's list)
                    await asyncio.sleep(0)
                return [await two.post(PATH, json=BODY, headers=RETRY), await waiting]

        answers = asyncio.run(both())
        assert len({answer.headers["x-generation-id"] for answer in answers}) == 2
        assert len(simulator.submissions) == 3


def test_a_dry_run_claims_nothing(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        assert client.post(f"{PATH}?dryRun=true", json=BODY, headers=KEY).json()["estimated"] is True
        assert "idempotent-replayed" not in client.post(PATH, json={**BODY, "n": 2}, headers=KEY).headers
        assert len(simulator.submissions) == 1


def test_two_keys_are_none(tmp_path: Path) -> None:
    with gateway(tmp_path) as (client, simulator):
        headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
        answer = client.post(PATH, json=BODY, headers=headers)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")
        assert simulator.submissions == []
