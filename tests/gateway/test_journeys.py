"""The whole path, as a user walks it: the official client, a gateway on a real socket, a provider's simulator, and the
delivered bytes opened and measured."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.config import embedded
from tests.journeys import SECRET, SIMULATORS, Journey, delivered, journey_to, opened
from tests.served import served


@pytest.fixture(scope="module", params=["sketch", *SIMULATORS])
def journey(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with journey_to(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


def test_a_bare_prompt_gives_one_png_by_url(journey: Journey) -> None:
    answer = journey.generate()
    (picture,) = journey.pictures(answer)
    assert picture.format == "PNG"
    assert answer.data[0].b64_json is None
    assert answer.size == f"{picture.width}x{picture.height}"
    assert answer.output_format == "png"


@pytest.mark.parametrize("size", ["1024x1024", "1000x777", "1183x887", "64x64", "1x1", "1x14142", "1365x768"])
def test_the_size_asked_for_is_the_size_delivered(journey: Journey, size: str) -> None:
    answer = journey.generate(size=size, response_format="b64_json")
    (picture,) = journey.pictures(answer)
    assert f"{picture.width}x{picture.height}" == size == answer.size


@pytest.mark.parametrize("output_format", ["png", "jpeg", "jpg", "gif", "webp", "avif"])
def test_the_format_asked_for_is_the_format_delivered(journey: Journey, output_format: str) -> None:
    answer = journey.generate(output_format=output_format, size="256x256", response_format="b64_json")
    (picture,) = journey.pictures(answer)
    wanted = "JPEG" if output_format == "jpg" else output_format.upper()
    assert picture.format == wanted
    assert answer.output_format == wanted.lower()


@pytest.mark.parametrize("n", [1, 3, 10])
def test_the_number_asked_for_is_the_number_delivered(journey: Journey, n: int) -> None:
    answer = journey.generate(n=n, size="256x256", response_format="b64_json")
    assert len(journey.pictures(answer)) == n
    assert answer.metadata["partial"] is False


def test_with_a_seed_every_picture_is_another_and_can_be_made_again(journey: Journey) -> None:
    answer = journey.generate(n=3, seed=7, size="256x256", response_format="b64_json")
    seed_entry = next(entry for entry in answer.metadata["parameters"] if entry["name"] == "seed")
    if seed_entry["behavior"] == "dropped":
        assert "note" in seed_entry
        return
    assert [item.seed for item in answer.data] == [7, 8, 9]
    pixels = [delivered(journey, item) for item in answer.data]
    assert len(set(pixels)) == 3
    again = journey.generate(seed=answer.data[2].seed, size="256x256", response_format="b64_json")
    assert delivered(journey, again.data[0]) == pixels[2]


def test_an_awkward_combination_comes_out_exactly(journey: Journey) -> None:
    answer = journey.generate(
        size="1000x777", n=2, output_format="avif", output_compression=60, seed=2**32 + 1, response_format="b64_json"
    )
    for picture in journey.pictures(answer):
        assert (picture.format, picture.size) == ("AVIF", (1000, 777))


@pytest.mark.parametrize("ratio", ["16:9", "21:9", "1:1", "4:5"])
def test_a_ratio_is_kept_within_what_the_provider_has(journey: Journey, ratio: str) -> None:
    answer = journey.generate(size=ratio, response_format="b64_json")
    (picture,) = journey.pictures(answer)
    entry = next(entry for entry in answer.metadata["parameters"] if entry["name"] == "size")
    width, height = map(int, ratio.split(":"))
    if "note" not in entry:
        assert picture.width / picture.height == pytest.approx(width / height, rel=0.03)


@pytest.mark.parametrize(
    ("response_format", "key", "absent"), [("url", "url", "b64_json"), ("b64_json", "b64_json", "url")]
)
def test_an_explicit_delivery_gives_that_key_only(
    journey: Journey, response_format: str, key: str, absent: str
) -> None:
    answer = journey.generate(size="256x256", response_format=response_format)
    assert getattr(answer.data[0], key)
    assert getattr(answer.data[0], absent) is None


def test_every_answer_tells_what_happened(journey: Journey) -> None:
    raw = journey.client.images.with_raw_response.generate(prompt="a fox", model="m", size="256x256", n=2)
    answer = raw.parse()
    metadata = answer.metadata  # type: ignore[attr-defined]
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-generation-id"] == metadata["generation_id"]
    assert raw.headers["x-imagegate-provider"] == metadata["provider"] == "p"
    assert int(raw.headers["x-imagegate-attempts"]) == len(metadata["attempts"])
    assert {attempt["outcome"] for attempt in metadata["attempts"]} == {"ok"}
    assert set(metadata["timing"]) == {"queue", "provider", "fetch", "convert"}
    assert metadata["cost_currency"] == "USD"
    assert answer.usage is not None
    assert answer.usage.total_tokens >= 0


def test_what_the_dry_run_shows_is_what_is_sent(journey: Journey) -> None:
    body = {"model": "m", "prompt": "a fox", "n": 2, "size": "640x480", "seed": 5, "output_format": "webp"}
    shown = httpx.post(f"{journey.base_url}/images/generations?dryRun=true", json=body).raise_for_status().json()
    assert shown["estimated"] is True
    assert shown["plan"]["parameters"]
    if journey.simulator is None:
        return
    before = len(journey.simulator.submissions)
    assert before == len(journey.simulator.submissions), "the dry run sent something"
    httpx.post(f"{journey.base_url}/images/generations", json=body, timeout=60).raise_for_status()
    sent = [(each.method, each.path, each.json) for each in journey.simulator.submissions[before:]]
    planned = [(call["method"], call["path"], call["body"]) for call in shown["plan"]["calls"]]
    assert sorted(sent, key=str) == sorted(planned, key=str)


def test_no_provider_key_or_address_reaches_the_client(journey: Journey) -> None:
    answer = httpx.post(
        f"{journey.base_url}/images/generations", json={"model": "m", "prompt": "a fox", "size": "64x64"}, timeout=60
    )
    assert SECRET not in answer.text + str(answer.headers)
    if journey.simulator is not None:
        assert journey.simulator.base_url not in answer.text + str(answer.headers)


def test_the_prompt_alone_sends_nothing_that_was_not_said(journey: Journey) -> None:
    shown = httpx.post(
        f"{journey.base_url}/images/generations?dryRun=true", json={"model": "m", "prompt": "a fox", "style": None}
    ).json()
    text = str(shown["plan"]["calls"])
    for unsaid in ("negative", "seed", "steps", "guidance", "quality", "style", "background", "user"):
        if unsaid == "seed" and journey.simulator is None:
            continue
        assert unsaid not in text
    assert shown["plan"]["lossless"] is True


def test_a_base_url_with_a_trailing_slash_works(journey: Journey) -> None:
    client = openai.OpenAI(base_url=f"{journey.base_url}/", api_key="any", max_retries=0)
    assert client.models.retrieve("m").id == "m"


ALONE: dict[str, Any] = {
    "quality": "hd",
    "style": "vivid",
    "background": "transparent",
    "moderation": "low",
    "user": "somebody",
    "safety_identifier": "somebody",
    "input_fidelity": "high",
    "aspect_ratio": "3:2",
    "resolution": "2 MP",
    "seed": "42",
    "negative_prompt": "dogs",
    "steps": 30,
    "guidance_scale": 4.5,
    "width": 400,
    "output_quality": 70,
    "output_compression": 55,
    "safety_tolerance": "6",
    "prompt_upsampling": True,
    "strength": 0.5,
    "enable_safety_checker": False,
    "sync_mode": True,
    "num_images": 2,
    "partial_images": 0,
    "stream": False,
    "sparkle": {"of": "an extra"},
}


@pytest.mark.parametrize("name", list(ALONE))
def test_every_parameter_is_accepted_and_what_became_of_it_is_told(journey: Journey, name: str) -> None:
    given = {name: ALONE[name]} | ({"height": 300} if name == "width" else {})
    body = {"prompt": "a fox", "model": "m", "size": None, "response_format": "b64_json", **given}
    answer = httpx.post(f"{journey.base_url}/images/generations", json=body, timeout=60).raise_for_status().json()
    (picture, *more) = [opened(base64.b64decode(item["b64_json"])) for item in answer["data"]]
    assert len(more) == (1 if name == "num_images" else 0)
    assert picture.format == "PNG"
    if name == "width":
        assert picture.size == (400, 300)
    told = {entry["name"] for entry in answer["metadata"]["parameters"]}
    canonical = {"guidance_scale": "guidance", "num_images": "n"}.get(name, name)
    if canonical not in ("stream", "partial_images"):
        assert canonical in told


@pytest.mark.parametrize("model", ["flux.2-max", "black-forest-labs/flux-kontext-max/text-to-image"])
def test_the_providers_own_snippets_for_openais_client_run_unchanged(model: str, tmp_path: Path) -> None:
    settings = embedded({}, tmp_path)
    with served(settings) as base_url:
        client = openai.OpenAI(api_key="YOUR_API_KEY", base_url=base_url, max_retries=0)
        if model == "flux.2-max":
            response = client.images.generate(model=model, prompt="a fox", size="1024x1024")
        else:
            response = client.images.generate(
                model=model, prompt="Convert to quick pencil sketch", extra_body={"aspect_ratio": "16:9"}
            )
        assert response.data is not None
        assert response.data[0].url is not None
        picture = opened(httpx.get(response.data[0].url).raise_for_status().content)
        assert picture.size == ((1024, 1024) if model == "flux.2-max" else (1365, 768))
