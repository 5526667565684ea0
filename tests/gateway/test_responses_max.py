"""/v1/responses as Modular MAX's documentation writes it: its examples as they stand, but for the address."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from jsonschema import Draft202012Validator

from gateway.api.responses import schemas
from tests.gateway.responding import (
    FLUX,
    encoded,
    entries,
    image,
    made,
    png,
    post,
    sent,
    sent_colours,
    sent_prompt,
    user,
    worker,
)
from tests.journeys import Journey, opened

TEXT = """
import base64
from openai import OpenAI

client = OpenAI(base_url="http://localhost:8000/v1", api_key="EMPTY")

response = client.responses.create(
model="black-forest-labs/FLUX.2-dev",
input="A serene mountain landscape at sunset",
extra_body={
"provider_options": {
"image": {"height": 512, "width": 512, "steps": 28}
}
}
)
image_data = response.output[0].content[0].image_data
with open("output-text-to-image.png", "wb") as f:
    f.write(base64.b64decode(image_data))
"""

EDIT = """
import base64
from openai import OpenAI

client = OpenAI(base_url="http://localhost:8000/v1", api_key="EMPTY")

with open("output-text-to-image.png", "rb") as f:
    image_base64 = base64.b64encode(f.read()).decode("utf-8")

response = client.responses.create(
model="black-forest-labs/FLUX.2-dev",
input=[
{
"role": "user",
"content": [
{
"type": "input_image",
"image_url": f"data:image/png;base64,{image_base64}"
},
{
"type": "input_text",
"text": "Transform this into a watercolor painting"
}
]
}
],
extra_body={
"provider_options": {
"image": {"height": 512, "width": 512, "steps": 28}
}
}
)
image_data = response.output[0].content[0].image_data
with open("output-image-to-image.png", "wb") as f:
    f.write(base64.b64decode(image_data))
"""

BY_URL = """
response = client.responses.create(
model="black-forest-labs/FLUX.2-dev",
input=[
{
"role": "user",
"content": [
{
"type": "input_image",
"image_url": "https://example.com/input.png"
},
{
"type": "input_text",
"text": "Your transformation prompt"
}
]
}
],
extra_body={
"provider_options": {
"image": {"height": 1024, "width": 1024, "steps": 28}
}
}
)
image_data = response.output[0].content[0].image_data
"""

CURL_TEXT = """{
"model": "black-forest-labs/FLUX.2-dev",
"input": "A serene mountain landscape at sunset",
"provider_options": {
"image": {"height": 512, "width": 512, "steps": 28}
}
}"""

CURL_URL = """{
"model": "black-forest-labs/FLUX.2-dev",
"input": [
{
"role": "user",
"content": [
{
"type": "input_image",
"image_url": "https://example.com/input.png"
},
{
"type": "input_text",
"text": "Your transformation prompt"
}
]
}
],
"provider_options": {
"image": {"height": 1024, "width": 1024, "steps": 28}
}
}"""

CURL_FILE = """{
"model": "black-forest-labs/FLUX.2-dev",
"input": [{"role": "user", "content": [
{"type": "input_image", "image_url": "data:image/png;base64,$IMAGE_DATA"},
{"type": "input_text", "text": "Your transformation prompt"}
]}],
"provider_options": {"image": {"height": 1024, "width": 1024, "steps": 28}}
}
"""


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    with worker(tmp_path) as found:
        yield found


@pytest.fixture
def picture_url(tmp_path: Path) -> Iterator[str]:
    """The address of a green picture."""
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "input.png").write_bytes(png(colour="lime"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/input.png"
    server.shutdown()
    server.server_close()
    thread.join(10)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, "example", "exec"), names)  # noqa: S102 - the documentation's own words
    return names


def test_the_quickstart_runs_as_it_is_written(
    journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(TEXT.replace("http://localhost:8000/v1", journey.base_url))
    drawn = opened((tmp_path / "output-text-to-image.png").read_bytes())
    assert (drawn.format, drawn.size) == ("JPEG", (512, 512))
    options = sent(journey)["provider_options"]["image"]
    assert (options["width"], options["height"], options["steps"]) == (512, 512, 28)
    run(EDIT.replace("http://localhost:8000/v1", journey.base_url))
    edited = opened((tmp_path / "output-image-to-image.png").read_bytes())
    assert (edited.format, edited.size) == ("JPEG", (512, 512))
    assert sent_prompt(journey) == "Transform this into a watercolor painting"
    assert len(sent_colours(journey)) == 1


def test_the_example_with_an_address_runs_as_it_is_written(journey: Journey, picture_url: str) -> None:
    found = run(BY_URL.replace("https://example.com/input.png", picture_url), client=journey.client)
    assert image(found["image_data"]).size == (1024, 1024)
    assert sent_colours(journey) == [(0, 255, 0)]


def test_what_curl_sends_is_answered_in_maxs_shape(journey: Journey, picture_url: str) -> None:
    for body, size in (
        (CURL_TEXT, (512, 512)),
        (CURL_URL.replace("https://example.com/input.png", picture_url), (1024, 1024)),
        (CURL_FILE.replace("$IMAGE_DATA", encoded(png())), (1024, 1024)),
    ):
        answer = made(journey.base_url, body.encode())
        assert (answer["object"], answer["status"], answer["model"], answer["error"]) == (
            "response",
            "completed",
            FLUX,
            None,
        )
        (message,) = answer["output"]
        assert (message["type"], message["role"], message["status"]) == ("message", "assistant", "completed")
        (part,) = message["content"]
        assert (part["type"], part["format"]) == ("output_image", "jpeg")
        assert "image_url" not in part
        assert (image(part["image_data"]).format, image(part["image_data"]).size) == ("JPEG", size)
        assert answer["usage"]["image_generation_details"] == {
            "width": size[0],
            "height": size[1],
            "megapixels": round(size[0] * size[1] / 1e6, 6),
            "steps": 28,
            "image_count": 1,
        }


def test_openais_client_reads_it_without_a_text(journey: Journey) -> None:
    answer = journey.client.responses.create(model=FLUX, input="a fox")
    assert answer.output_text == ""
    assert answer.output[0].type == "message"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 0


def test_several_pictures_are_parts_of_one_message(journey: Journey) -> None:
    options = {"image": {"num_images": 3, "width": 64, "height": 48, "output_format": "webp"}}
    answer = made(journey.base_url, {"model": "m", "input": "a fox", "seed": 7, "provider_options": options})
    (message,) = answer["output"]
    assert [part["format"] for part in message["content"]] == ["webp"] * 3
    assert [part["seed"] for part in message["content"]] == [7, 8, 9]
    assert len({part["image_data"] for part in message["content"]}) == 3
    assert answer["usage"]["image_generation_details"]["image_count"] == 3


def test_a_url_stands_in_the_place_of_the_picture(journey: Journey) -> None:
    body = {"model": "m", "input": "a fox", "provider_options": {"image": {"response_format": "url"}}}
    (part,) = made(journey.base_url, body)["output"][0]["content"]
    assert "image_data" not in part
    fetched = httpx.get(part["image_url"])
    assert fetched.headers["content-type"] == "image/jpeg"
    assert opened(fetched.content).format == "JPEG"


def test_the_images_apis_parameters_work_at_top_level_with_its_sizes(journey: Journey) -> None:
    body = {
        "model": "m",
        "input": "a fox",
        "size": "77x33",
        "output_format": "png",
        "n": 2,
        "quality": "low",
        "user": "u",
    }
    answer = made(journey.base_url, body)
    parts = answer["output"][0]["content"]
    assert [(image(part["image_data"]).format, image(part["image_data"]).size) for part in parts] == [
        ("PNG", (77, 33))
    ] * 2
    assert answer["user"] == "u"
    assert {"size", "output_format", "n", "quality"} <= entries(answer).keys()


def test_the_clients_metadata_is_theirs_and_ours_stands_beside_it(journey: Journey) -> None:
    answer = made(journey.base_url, {"model": "m", "input": "a fox", "metadata": {"order": "7"}, "top_p": 0.5})
    assert answer["metadata"] == {"order": "7"}
    assert answer["top_p"] == 0.5
    assert answer["imagegate"]["provider"] == "p"
    assert answer["imagegate"]["generation_id"].startswith("gen_")
    assert answer["imagegate"]["attempts"]


def test_only_what_the_user_says_is_drawn(journey: Journey) -> None:
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
        user("a fox"),
        {"role": "assistant", "content": [{"type": "output_text", "text": "Here you are."}]},
        {"type": "message", **user(png(colour="blue"), "in the snow")},
    ]
    made(journey.base_url, {"model": "m", "input": said, "instructions": "Be quick.", "temperature": 0.2})
    assert sent_prompt(journey) == "a fox\nin the snow"
    assert sent_colours(journey) == [(0, 0, 255)]


def test_bare_base64_is_a_picture_too(journey: Journey) -> None:
    part = {"type": "input_image", "image_url": encoded(png(colour="blue")), "detail": "high"}
    said = [{"role": "user", "content": [part, {"type": "input_text", "text": "a fox"}]}]
    made(journey.base_url, {"model": "m", "input": said})
    assert sent_colours(journey) == [(0, 0, 255)]


def test_fields_of_the_responses_api_do_not_reach_the_provider(journey: Journey) -> None:
    body = {
        "model": "m",
        "input": "a fox",
        "response_format": {"type": "text"},
        "moderation": {"model": "omni"},
        "text": {"format": {"type": "text"}},
        "include": ["x"],
        "stop": ["x"],
        "max_output_tokens": 100,
        "background": False,
        "prompt_cache_retention": "24h",
        "stream_options": {"include_obfuscation": False},
    }
    answer = made(journey.base_url, body)
    assert answer["max_output_tokens"] == 100
    assert set(sent(journey)) <= {"model", "input", "provider_options", "seed"}
    assert set(entries(answer)) == {"prompt"}


def test_tools_that_nobody_here_can_run_are_named(journey: Journey) -> None:
    body = {"model": "m", "input": "a fox", "tools": [{"type": "function", "name": "f", "parameters": {}}]}
    answer = made(journey.base_url, body)
    assert answer["tools"] == body["tools"]
    assert entries(answer)["tools[0]"]["note"] == "only image_generation is run here"
    strict = post(journey.base_url, body, **{"x-imagegate-strict": "true"})
    assert (strict.status_code, strict.json()["error"]["code"]) == (400, "unsupported_parameter")


def test_a_dry_run_sends_nothing(journey: Journey) -> None:
    said = [user("a fox", png())]
    answer = post(journey.base_url, {"model": FLUX, "input": said}, "?dryRun=true").json()
    assert (answer["estimated"], answer["model"], answer["provider"]) == (True, "m", "p")
    (call,) = answer["plan"]["calls"]
    assert encoded(png())[:40] not in json.dumps(call)
    assert journey.simulator.submissions == []


def test_an_answer_keeps_to_its_schema(journey: Journey) -> None:
    for body in ({"model": "m", "input": "a fox"}, {"input": "a fox", "tools": [{"type": "image_generation"}]}):
        Draft202012Validator(schemas.RESOURCE).validate(made(journey.base_url, body))
    document = httpx.get(f"{journey.base_url.removesuffix('/v1')}/openapi.json").json()
    assert set(document["paths"]["/v1/responses/{response}"]) == {"get", "delete"}
    posted = document["paths"]["/v1/responses"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    Draft202012Validator.check_schema(posted)
    Draft202012Validator(posted).validate(json.loads(CURL_URL))


def test_the_headers_tell_who_made_it(journey: Journey) -> None:
    raw = journey.client.responses.with_raw_response.create(model="m", input="a fox")
    assert raw.headers["x-imagegate-provider"] == "p"
    assert raw.headers["x-generation-id"].startswith("gen_")
    answer = raw.parse()
    assert isinstance(answer, openai.types.responses.Response)
    assert base64.b64decode(answer.output[0].content[0].image_data)  # type: ignore[union-attr, index]
