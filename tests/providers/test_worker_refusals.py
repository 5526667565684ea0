"""What a FLUX worker says of a request that it does not carry out: whose rule, by its path, in the envelope."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from PIL import Image

from providers.flux_worker.worker import server
from providers.flux_worker.worker.wire import Refusal
from providers.flux_worker.worker.work import Work
from tests.providers.fake_engine import KLEIN, FakeEngine
from tests.providers.worker_served import worker
from tests.providers.worker_wire import body, data_uri, error, message, post


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def client(engine: FakeEngine) -> Iterator[httpx.Client]:
    with worker(engine) as served, httpx.Client(base_url=served.base) as client:
        yield client


PART = "input.0.content.0"


@pytest.mark.parametrize(
    ("given", "param", "said"),
    [
        (message(prompt="x") * 2, "input", "at most 1 item"),
        ([], "input", "at least 1 item"),
        (7, "input", "a text or a list with one message"),
        ([{"role": "tool", "content": "x"}], "input.0.role", "'user', 'assistant', 'system' or 'developer'"),
        ([{"role": "user"}], "input.0.content", "required"),
        ([{"role": "user", "content": 7}], "input.0.content", "a text or a list of parts"),
        ([{"role": "user", "content": [{"type": "input_image"}]}], f"{PART}.image_url", "required"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], f"{PART}.text", "required"),
        ([{"role": "user", "content": [{"type": "input_file"}]}], PART, "'input_image'"),
        ([{"role": "user", "content": ["x"]}], PART, "'input_image'"),
    ],
)
def test_a_wrong_input_is_told_by_its_own_path_and_rule(
    client: httpx.Client, given: Any, param: str, said: str
) -> None:
    answer = post(client, body(given))
    assert answer.status_code == 422
    told = error(answer)
    assert told["param"] == param
    assert told["message"].startswith(f"Validation error: {param}: ")
    assert said in told["message"]


def test_options_of_max_that_say_nothing_of_a_picture_are_taken(client: httpx.Client, engine: FakeEngine) -> None:
    said = body()
    said["provider_options"] |= {"max": {"target_endpoint": "a"}, "video": {"fps": 1}, "audio": None}
    assert post(client, said).status_code == 200
    assert len(engine.seen) == 1
    for wrong, param in (({"other": 1}, "other"), ({"max": {"unheard": 1}}, "max.unheard")):
        assert error(post(client, body() | {"provider_options": wrong}))["param"] == f"provider_options.{param}"


@pytest.mark.parametrize("role", ["system", "developer", "assistant"])
def test_a_message_of_any_role_of_max_s_holds_the_prompt(client: httpx.Client, engine: FakeEngine, role: str) -> None:
    assert post(client, body([{"role": role, "name": "x", "content": "a red fox"}])).status_code == 200
    assert engine.seen[0].prompt == "a red fox"


@pytest.mark.parametrize("name", ["guidance_scale", "true_cfg_scale", "flow_shift", "cfg_truncation"])
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_a_number_that_is_none_is_refused(client: httpx.Client, name: str, value: str) -> None:
    options: dict[str, Any] = {name: value}
    answer = post(client, body(**options))
    assert (answer.status_code, error(answer)["param"]) == (422, f"provider_options.image.{name}")


@pytest.mark.parametrize("value", [[], {}, 0, "", False], ids=repr)
@pytest.mark.parametrize("name", ["stream", "imagegate"])
def test_what_is_empty_is_not_taken_for_what_is_not_said(client: httpx.Client, name: str, value: Any) -> None:
    fits = value == ({} if name == "imagegate" else 0)
    answer = post(client, body() | {name: value})
    assert answer.status_code == (200 if fits else 422)


def test_options_of_a_picture_that_are_null_are_none_given(client: httpx.Client) -> None:
    answer = post(client, body() | {"provider_options": {"image": None}})
    assert "image_url" in answer.json()["output"][0]["content"][0]


def test_a_format_may_be_written_in_any_case(client: httpx.Client) -> None:
    assert post(client, body(output_format="WebP")).json()["output"][0]["content"][0]["format"] == "webp"


def test_a_method_that_is_not_served_is_405_and_says_which_are(client: httpx.Client) -> None:
    answer = client.get("/v1/responses")
    assert (answer.status_code, answer.headers["allow"], error(answer)["code"]) == (405, "POST", "405")


def test_a_mistake_of_the_worker_s_own_is_told_in_the_envelope(engine: FakeEngine) -> None:
    def broken(work: Work) -> None:
        raise RuntimeError("a secret of the house")

    engine.check = broken  # type: ignore[method-assign]
    with worker(engine) as served, httpx.Client(base_url=served.base) as client:
        answer = post(client, body())
    assert (answer.status_code, error(answer)["message"]) == (500, "Internal server error.")


def test_a_refusal_always_says_something() -> None:
    assert Refusal(503, "").body()["error"]["message"] == "Service Unavailable"


def test_a_device_that_failed_for_good_asks_to_be_started_anew(client: httpx.Client, engine: FakeEngine) -> None:
    assert client.get("/health").status_code == 200
    engine.ready, engine.broken = False, True
    assert client.get("/health").status_code == 503
    assert "started anew" in client.get("/ready").json()["reason"]
    assert "started anew" in error(post(client, body()))["message"]


def test_a_body_that_stops_coming_gives_its_place_back(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_SILENCE_SECONDS", 0.2)
    with worker(engine) as served:
        host, _, port = served.base.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert served.desk.under_way == 0
        assert 'imagegate_worker_requests_total{status="408"} 1.0' in httpx.get(f"{served.base}/metrics").text


def test_a_picture_without_its_mask_is_said_to_lack_it() -> None:
    engine = FakeEngine(model=replace(KLEIN, modes=frozenset({"fill"}), references_most=0))
    with worker(engine) as served, httpx.Client(base_url=served.base) as client:
        post(client, body(message(data_uri(Image.new("RGB", (64, 64))))))
    assert [work.mode for work in engine.seen] == ["fill"]


def test_no_partial_picture_is_made_that_nobody_sees(client: httpx.Client, engine: FakeEngine) -> None:
    assert post(client, body(ours={"previews": 3})).status_code == 200
    assert engine.seen[0].previews == 0
