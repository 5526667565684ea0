"""The simulators themselves: what they refuse, what goes wrong on demand, and what they count."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import httpx
import pytest
import yaml
from PIL import Image

from tests.simulators import (
    Simulator,
    apiframe_simulator,
    max_simulator,
    modelverse_simulator,
    onemin_simulator,
    openai_simulator,
)
from tests.simulators.fleet import configuration, fleet

MAX = {"model": "black-forest-labs/FLUX.2-dev", "input": "a fox"}
ONEMIN = {"type": "IMAGE_GENERATOR", "model": "black-forest-labs/flux-2-max", "promptObject": {"prompt": "a fox"}}
KONTEXT = {"model": "black-forest-labs/flux-kontext-max/text-to-image", "prompt": "a fox"}
AUTH = {"authorization": "Bearer k", "api-key": "k", "x-api-key": "k"}


def post(simulator: Simulator, path: str, body: Any, headers: dict[str, str] = AUTH) -> httpx.Response:
    return httpx.post(simulator.base_url + path, json=body, headers=headers, timeout=30)


def image(**options: Any) -> dict[str, Any]:
    return {**MAX, "provider_options": {"image": options}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (image(width=1000), 422),
        (image(width=112), 422),
        (image(residual_threshold=1), 422),
        (image(seed=1), 422),
        (image(steps=0), 422),
        (image(strength=0), 422),
        (image(output_format="jpg"), 500),
        ({**MAX, "stream": True}, 422),
        ({**MAX, "seed": -1}, 422),
        ({**MAX, "input": [{"role": "user", "content": "a"}] * 2}, 422),
        ({**MAX, "input": ""}, 400),
        ({**MAX, "model": "x"}, 404),
        ({**MAX, "unknown": 1}, 200),
    ],
)
def test_max_forbids_what_its_schema_forbids(body: Any, status: int) -> None:
    with max_simulator() as simulator:
        answer = post(simulator, "/v1/responses", body)
    assert answer.status_code == status
    if status != 200:
        assert set(answer.json()["error"]) == {"code", "message", "param", "type"}


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"aspect_ratio": "21:9"}, 400),
        ({"aspect_ratio": "custom"}, 400),
        ({"aspect_ratio": "custom", "width": 100, "height": 512}, 400),
        ({"resolution": "1MP"}, 400),
        ({"resolution": "1 MP"}, 202),
        ({"output_format": "jpeg"}, 400),
        ({"invented": 1}, 202),
    ],
)
def test_apiframe_takes_its_own_words_alone(params: Any, status: int) -> None:
    with apiframe_simulator() as simulator:
        body = {"prompt": "a fox", "model": "flux-2-max", "fluxParams": params}
        assert post(simulator, "/v2/images/generate", body).status_code == status


def test_apiframe_drops_pixels_that_are_not_custom() -> None:
    with apiframe_simulator(looks_until_done=0) as simulator:
        params = {"aspect_ratio": "1:1", "width": 512, "height": 512, "output_format": "png"}
        body = {"prompt": "a fox", "model": "flux-2-max", "fluxParams": params}
        job = post(simulator, "/v2/images/generate", body).json()["jobId"]
        done = httpx.get(f"{simulator.base_url}/v2/jobs/{job}", headers=AUTH).json()
        picture = Image.open(io.BytesIO(httpx.get(done["result"]["images"][0]).content))
    assert picture.size == (1024, 1024)


@pytest.mark.parametrize(
    "params",
    [
        {"aspect_ratio": "4:3"},
        {"steps": 4},
        {"guidance": 7},
        {"output_format": "webp"},
        {"safety_tolerance": 0},
        {"seed": -1},
    ],
)
def test_onemin_takes_the_values_of_its_page_alone(params: Any) -> None:
    with onemin_simulator() as simulator:
        answer = post(simulator, "/api/features", {**ONEMIN, "promptObject": {"prompt": "a fox", **params}})
    assert answer.status_code == 400


def test_onemins_addresses_are_signed_and_expire_and_take_no_second_credential() -> None:
    with onemin_simulator(address_lives=0) as simulator:
        stale = post(simulator, "/api/features", ONEMIN).json()["aiRecord"]["temporaryUrl"]
        assert httpx.get(stale).status_code == 403
    with onemin_simulator() as simulator:
        signed = post(simulator, "/api/features", ONEMIN).json()["aiRecord"]["temporaryUrl"]
        assert httpx.get(signed).status_code == 200
        assert httpx.get(signed.partition("?")[0]).status_code == 403
        assert httpx.get(signed.replace("%2F", "%252F")).status_code == 403
        assert httpx.get(signed, headers={"api-key": "k"}).status_code == 403
        assert len(simulator.leaked) == 1


@pytest.mark.parametrize(
    "params", [{"n": 5}, {"aspect_ratio": "5:4"}, {"steps": 51}, {"guidance_scale": 0.5}, {"prompt": ""}]
)
def test_modelverse_takes_the_values_of_its_page_alone(params: Any) -> None:
    with modelverse_simulator() as simulator:
        assert post(simulator, "/v1/images/generations", {**KONTEXT, **params}).status_code == 400


@pytest.mark.parametrize(
    "params",
    [
        {"response_format": "b64_json"},
        {"style": "vivid"},
        {"seed": 1},
        {"size": "1000x1000"},
        {"size": "512x512"},
        {"size": "3840x1024"},
        {"quality": "hd"},
        {"background": "transparent", "output_format": "jpeg"},
        {"output_compression": 50},
    ],
)
def test_openais_own_models_are_refused_what_openai_refuses(params: Any) -> None:
    with openai_simulator() as simulator:
        body = {"model": "gpt-image-2", "prompt": "a fox", **params}
        assert post(simulator, "/images/generations", body).status_code == 400
        tolerated = {**body, "model": "any-model"}
        assert post(simulator, "/images/generations", tolerated).status_code == 200


SUBMIT = {"model": "m", "prompt": "a fox", "size": "64x64"}


def answered(**knobs: Any) -> httpx.Response:
    with openai_simulator(mode="url") as simulator:
        simulator.fail_next(**knobs)
        return post(simulator, "/images/generations", SUBMIT)


def test_faults_come_once_each_and_in_order() -> None:
    with openai_simulator() as simulator:
        simulator.fail_next(status=500)
        simulator.fail_next(status=429, headers={"retry-after": "7"}, times=2)
        answers = [post(simulator, "/images/generations", SUBMIT) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [500, 429, 429, 200]
        assert answers[1].headers["retry-after"] == "7"
        assert simulator.billed == 1
        assert len(simulator.submissions) == 4


def test_a_fault_can_wait_for_the_picture_to_be_fetched() -> None:
    with openai_simulator(mode="url") as simulator:
        simulator.fail_next(on="picture", status=403)
        address = post(simulator, "/images/generations", SUBMIT).json()["data"][0]["url"]
        assert [httpx.get(address).status_code for _ in range(2)] == [403, 200]


def test_answers_can_break_off_or_never_begin() -> None:
    for knobs in ({"truncate": True}, {"hang_up": True}):
        with pytest.raises(httpx.RemoteProtocolError):
            answered(**knobs)


def test_answers_can_be_something_else_altogether() -> None:
    assert answered(html=True).text.startswith("<html>")
    with pytest.raises(ValueError, match="Expecting"):
        answered(bad_json=True).json()
    assert answered(extra={"new": 1}).json()["new"] == 1
    assert answered(soft_fail=True, code="x").json()["error"]["code"] == "x"
    assert answered(empty=True).json()["data"] == []


@pytest.mark.parametrize(
    ("knobs", "seen"),
    [
        ({}, [("PNG", (64, 64))]),
        ({"wrong_format": True}, [("JPEG", (64, 64))]),
        ({"wrong_size": True}, [("PNG", (32, 33))]),
        ({"too_few": True}, []),
        ({"too_many": True}, [("PNG", (64, 64))] * 2),
        ({"bomb": True}, [("PNG", (60_000, 60_000))]),
    ],
)
def test_pictures_can_be_others_than_asked_for(
    knobs: Any, seen: list[tuple[str, tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with openai_simulator(mode="url") as simulator:
        simulator.fail_next(**knobs)
        items = post(simulator, "/images/generations", SUBMIT).json()["data"]
        pictures = [Image.open(io.BytesIO(httpx.get(item["url"]).content)) for item in items]
    assert [(picture.format, picture.size) for picture in pictures] == seen


def test_what_is_not_a_picture_says_so() -> None:
    with openai_simulator(mode="url") as simulator:
        simulator.fail_next(not_a_picture=True)
        address = post(simulator, "/images/generations", SUBMIT).json()["data"][0]["url"]
        assert httpx.get(address).content.startswith(b"this is not a picture")


def test_the_same_seed_is_the_same_picture_and_none_is_another_each_time() -> None:
    with openai_simulator() as simulator:
        seeded = [post(simulator, "/images/generations", {**SUBMIT, "seed": 7}).json()["data"] for _ in range(2)]
        free = [post(simulator, "/images/generations", SUBMIT).json()["data"] for _ in range(2)]
    assert seeded[0] == seeded[1]
    assert free[0] != free[1]


def test_a_demo_can_read_counters_and_order_faults_over_http() -> None:
    with openai_simulator() as simulator:
        post(simulator, "/images/generations", SUBMIT)
        assert httpx.get(f"{simulator.origin}/__sim/stats").json() == {"requests": 1, "submissions": 1, "billed": 1}
        assert httpx.post(f"{simulator.origin}/__sim/faults", json={"invented": 1}).status_code == 400
        assert httpx.post(f"{simulator.origin}/__sim/faults", json={"status": 503, "times": 1}).json() == {"queued": 1}
        assert post(simulator, "/images/generations", SUBMIT).status_code == 503


def test_every_provider_of_the_fleet_has_a_model(tmp_path: Any) -> None:
    with fleet(fixed_ports=False) as simulators:
        config = configuration(simulators, tmp_path)
    routed = {route["provider"] for model in config["models"].values() for route in model["routes"]}
    assert routed == set(config["providers"])


def test_the_fleet_tells_where_its_configuration_is() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.simulators"], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("configuration: "):
                with open(line.removeprefix("configuration: ").strip(), encoding="utf-8") as file:
                    config = yaml.safe_load(file)
                break
        process.terminate()
        assert process.wait(20) == 0
    assert httpx.URL(config["providers"]["gpu"]["base_url"]).host == "127.0.0.1"
