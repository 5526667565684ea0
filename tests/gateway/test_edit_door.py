"""What comes in at the door of edits: pictures as clients send them, and whatever else somebody sends as one."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.given import mask_for, painted
from tests.journeys import Journey, journey_to, opened
from tests.normalization.pictures import hostile
from tests.normalization.pictures.making import CANARY, exif, noise, written

PHOTO = painted(64, 48).content.read()
MASK = mask_for(64, 48, (0, 0, 10, 10)).content.read()

QUICK = {"limits": {"fetch_connect_seconds": 0.05}}


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    more = {**QUICK, "network": {"allow_private": []}}
    with journey_to("openai", tmp_path_factory.mktemp("edits"), more) as found:
        yield found


@pytest.fixture(autouse=True)
def _fresh(journey: Journey) -> None:
    journey.simulator.reset()


def url(journey: Journey) -> str:
    return f"{journey.base_url}/images/edits"


def uploaded(journey: Journey, *files: tuple[str, Any], **fields: str) -> httpx.Response:
    data = {"prompt": "winter", "model": "m", "size": "64x48", "response_format": "b64_json", **fields}
    parts = [(name, (None, value) if isinstance(value, str) else ("blob", value)) for name, value in files]
    return httpx.post(url(journey), data=data, files=parts or [("nothing", (None, ""))], timeout=60)


def posted(journey: Journey, **body: Any) -> httpx.Response:
    whole = {"prompt": "winter", "model": "m", "size": "64x48", "response_format": "b64_json", **body}
    return httpx.post(url(journey), json=whole, timeout=60)


def refused(journey: Journey, answer: httpx.Response, status: int, code: str, param: str | None) -> str:
    """The error's message, after checking that nothing was bought and nothing is left."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert journey.simulator.submissions == []
    return str(error["message"])


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_uri(data: bytes) -> str:
    return f"data:image/png;base64,{encoded(data)}"


def opened_edit(journey: Journey, answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return opened(base64.b64decode(answer.json()["data"][0]["b64_json"]))


@pytest.mark.parametrize(
    "body",
    [
        {"images": [{"image_url": data_uri(PHOTO)}]},
        {"images": [data_uri(PHOTO)]},
        {"images": [{"image_url": encoded(PHOTO)}]},
        {"images": [{"image_url": {"url": data_uri(PHOTO)}}]},
        {"image": data_uri(PHOTO)},
        {"image": [encoded(PHOTO)]},
        {"image": {"image_url": data_uri(PHOTO)}},
        {"image": encoded(PHOTO), "mask": {"image_url": data_uri(MASK)}},
        {"image": encoded(PHOTO), "mask": encoded(MASK)},
    ],
)
def test_json_names_pictures_in_many_ways(journey: Journey, body: dict[str, Any]) -> None:
    picture = opened_edit(journey, posted(journey, **body))
    assert picture.size == (64, 48)
    assert len(journey.simulator.submissions) == 1


@pytest.mark.parametrize("value", [data_uri(PHOTO), encoded(PHOTO)])
def test_a_form_may_name_a_picture_by_a_text(journey: Journey, value: str) -> None:
    assert opened_edit(journey, uploaded(journey, ("image", value))).size == (64, 48)


@pytest.mark.parametrize("name", ["image", "image[]", "image[0]", "images[]"])
def test_a_form_holds_pictures_under_every_name_that_clients_use(journey: Journey, name: str) -> None:
    assert opened_edit(journey, uploaded(journey, (name, PHOTO))).size == (64, 48)


def test_numbers_booleans_and_nested_extras_come_as_text(journey: Journey) -> None:
    answer = uploaded(
        journey,
        ("image", PHOTO),
        n="2",
        stream="false",
        **{"provider_options[p][go_fast]": "true", "provider_options[image][steps]": "7"},
    )
    assert len(answer.json()["data"]) == 2
    (submission,) = journey.simulator.submissions
    told = {entry["name"]: entry["sent"] for entry in answer.json()["metadata"]["parameters"]}
    assert told["provider_options.p.go_fast"] is True
    assert submission.method == "POST"


def test_orientation_is_applied_and_metadata_goes_no_further(journey: Journey) -> None:
    photo = written(noise(48, 64), "JPEG", exif=exif(6))
    answer = uploaded(journey, ("image", photo), size="auto")
    assert answer.status_code == 200
    (submission,) = journey.simulator.submissions
    assert CANARY.encode() not in submission.body
    (entry,) = [each for each in posted_plan(journey, photo)["calls"]]
    width, height = map(int, entry["body"]["size"].split("x"))
    assert width > height


def posted_plan(journey: Journey, photo: bytes) -> Any:
    body = {"prompt": "winter", "model": "m", "image": encoded(photo)}
    return httpx.post(f"{url(journey)}?dryRun=true", json=body, timeout=60).json()["plan"]


def test_the_dry_run_shows_a_fingerprint_and_sends_nothing(journey: Journey) -> None:
    (call,) = posted_plan(journey, PHOTO)["calls"]
    assert set(call["body"]["image"]) == {"sha256", "bytes"}
    assert journey.simulator.requests == []


def test_what_is_no_picture_is_named(journey: Journey) -> None:
    for data in (b"", b"a fox", b"<html></html>", b"\x00" * 100, *hostile.NO_PICTURES.values()):
        message = refused(
            journey, uploaded(journey, ("image[]", PHOTO), ("image[]", data)), 400, "invalid_image", "image[]"
        )
        assert message.startswith("image[]: ")


@pytest.mark.parametrize("name", hostile.TOO_LARGE)
def test_a_bomb_is_too_large(journey: Journey, name: str) -> None:
    refused(journey, uploaded(journey, ("image", hostile.TOO_LARGE[name])), 400, "image_too_large", "image")


@pytest.mark.parametrize("name", hostile.UNREADABLE)
def test_a_damaged_picture_is_never_paid_for(journey: Journey, name: str) -> None:
    refused(journey, uploaded(journey, ("image", hostile.UNREADABLE[name])), 400, "invalid_image", "image")


@pytest.mark.parametrize(
    ("files", "code", "param"),
    [
        ([], "missing_required_parameter", "image"),
        ([("image[]", PHOTO)] * 17, "invalid_value", "image"),
        ([("image", PHOTO), ("mask", painted(64, 48).content.read())], "invalid_image", "mask"),
        ([("image", PHOTO), ("mask", mask_for(48, 64, (0, 0, 9, 9)).content.read())], "invalid_image", "mask"),
        ([("image", PHOTO), ("mask", b"x")], "invalid_image", "mask"),
        ([("image", PHOTO), ("mask", MASK), ("mask", MASK)], "invalid_value", "mask"),
        ([("image", PHOTO), ("markup", PHOTO)], "unsupported_parameter", "markup"),
        ([("image", "ftp://example.com/a.png")], "invalid_value", "image"),
        ([("image", "file:///etc/passwd")], "invalid_value", "image"),
        ([("image", "not a picture at all!")], "invalid_image", "image"),
    ],
)
def test_a_bad_form_is_a_400_that_names_the_field(journey: Journey, files: Any, code: str, param: str) -> None:
    refused(journey, uploaded(journey, *files), 400, code, param)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "images"),
        ({"images": []}, "missing_required_parameter", "images"),
        ({"images": [data_uri(PHOTO)] * 17}, "invalid_value", "images"),
        ({"images": [{"image_url": data_uri(PHOTO), "file_id": "file-1"}]}, "invalid_value", "images[0]"),
        ({"images": [data_uri(PHOTO), {"file_id": "file-1"}]}, "invalid_value", "images[1].file_id"),
        ({"images": [{}]}, "missing_required_parameter", "images[0]"),
        ({"images": [7]}, "invalid_type", "images[0]"),
        ({"images": [{"image_url": 7}]}, "invalid_type", "images[0].image_url"),
        ({"images": [data_uri(PHOTO)], "image": data_uri(PHOTO)}, "invalid_value", "images"),
        ({"images": [{"image_url": data_uri(b"a fox")}]}, "invalid_image", "images[0].image_url"),
        ({"images": [{"image_url": "data:text/plain,abc"}]}, "invalid_image", "images[0].image_url"),
        ({"image": data_uri(PHOTO), "mask": {"file_id": "file-1"}}, "invalid_value", "mask.file_id"),
        ({"image": data_uri(PHOTO), "prompt": None}, "missing_required_parameter", "prompt"),
        ({"image": data_uri(PHOTO), "strength": 0}, "invalid_value", "strength"),
    ],
)
def test_bad_json_is_a_400_that_names_the_place(journey: Journey, body: Any, code: str, param: str) -> None:
    refused(journey, posted(journey, **body), 400, code, param)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/a.png",
        "http://localhost/a.png",
        "https://0x7f000001/a.png",
        "http://metadata.google.internal/a.png",
    ],
)
def test_an_address_inside_is_one_and_the_same_error(journey: Journey, address: str) -> None:
    answer = posted(journey, images=[{"image_url": address}])
    message = refused(journey, answer, 400, "image_url_unreachable", "images[0].image_url")
    assert message == refused(
        journey,
        posted(journey, images=[{"image_url": "http://10.1.2.3:8080/"}]),
        400,
        "image_url_unreachable",
        "images[0].image_url",
    )


def test_too_much_is_413(tmp_path: Path) -> None:
    limits = {"limits": {"multipart_body_bytes": 20_000, "json_body_bytes": 20_000, "picture_bytes": 9_000}}
    with journey_to("openai", tmp_path, limits) as journey:
        noisy = written(noise(50, 50), "PNG")
        refused(journey, uploaded(journey, *[("image[]", noisy)] * 4), 413, "request_too_large", None)
        refused(journey, posted(journey, images=[data_uri(noisy)] * 3), 413, "request_too_large", None)
        large = written(noise(60, 60), "PNG")
        refused(journey, uploaded(journey, ("image", large)), 400, "image_too_large", "image")
        refused(journey, posted(journey, image=data_uri(large)), 400, "image_too_large", "image")


@pytest.mark.parametrize(
    ("content_type", "code"),
    [("application/x-www-form-urlencoded", "invalid_value"), ("text/plain", "invalid_json"), ("", "invalid_json")],
)
def test_another_kind_of_body_is_refused(journey: Journey, content_type: str, code: str) -> None:
    answer = httpx.post(url(journey), content=b"prompt=winter", headers={"content-type": content_type}, timeout=30)
    refused(journey, answer, 400, code, None)


def test_a_client_without_a_key_uploads_nothing(tmp_path: Path) -> None:
    keys = {"auth": {"mode": "keys", "keys": [{"name": "a", "key": "ig_a"}]}}
    with journey_to("openai", tmp_path, keys) as journey:
        answer = uploaded(journey, ("image", PHOTO))
        assert answer.status_code == 401
        assert not (tmp_path / "data" / "spool").exists()


def test_nothing_is_left_of_uploads(tmp_path: Path) -> None:
    with journey_to("openai", tmp_path) as journey:
        assert uploaded(journey, ("image", PHOTO), ("mask", MASK)).status_code == 200
        assert uploaded(journey, ("image", b"no picture")).status_code == 400
        assert os.listdir(tmp_path / "data" / "spool") == []


def test_more_pictures_than_the_first_route_takes_go_to_the_next(tmp_path: Path) -> None:
    with journey_to("onemin", tmp_path) as one, journey_to("openai", tmp_path) as many:
        config = {
            "providers": {
                "one": {"type": "onemin", "base_url": one.simulator.base_url, "api_key": "k"},
                "many": {"type": "openai", "base_url": many.simulator.base_url, "api_key": "k"},
            },
            "models": {
                "m": {
                    "routes": [
                        {"provider": "one", "model": "black-forest-labs/flux-2-max"},
                        {"provider": "many", "model": "any"},
                    ]
                },
                "only": {"routes": [{"provider": "one", "model": "black-forest-labs/flux-2-max"}]},
            },
        }
        with journey_to("openai", tmp_path, config) as both:
            answer = uploaded(both, ("image[]", PHOTO), ("image[]", PHOTO))
            assert answer.json()["metadata"]["provider"] == "many"
            assert uploaded(both, ("image", PHOTO)).json()["metadata"]["provider"] == "one"
            answer = uploaded(both, ("image[]", PHOTO), ("image[]", PHOTO), model="only")
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")
            assert "at most 1 input picture" in answer.json()["error"]["message"]


def test_a_variation_is_retired_where_no_route_makes_one(journey: Journey) -> None:
    answer = httpx.post(
        f"{journey.base_url}/images/variations", data={"model": "m"}, files={"image": PHOTO}, timeout=30
    )
    assert answer.headers["content-type"] == "application/json"
    refused(journey, answer, 400, "endpoint_retired", None)


def test_azures_spelling_edits_too(journey: Journey) -> None:
    base = journey.base_url.removesuffix("/v1")
    answer = httpx.post(
        f"{base}/openai/deployments/m/images/edits?api-version=2026-01-01",
        data={"prompt": "winter"},
        files={"image": PHOTO},
        timeout=30,
    )
    assert json.loads(answer.text)["metadata"]["model"] == "m"


def test_a_form_may_hold_options_as_json(journey: Journey) -> None:
    answer = uploaded(journey, ("image", PHOTO), provider_options='{"p": {"go_fast": true}}')
    told = {entry["name"]: entry["sent"] for entry in answer.json()["metadata"]["parameters"]}
    assert told["provider_options.p.go_fast"] is True
    journey.simulator.reset()
    refused(
        journey, uploaded(journey, ("image", PHOTO), provider_options="{"), 400, "invalid_value", "provider_options"
    )


def test_a_refused_upload_gives_its_disk_back_at_once(journey: Journey) -> None:
    for _ in range(3):
        assert uploaded(journey, ("image[]", PHOTO), ("image[]", b"no picture")).status_code == 400
        assert uploaded(journey, ("image", PHOTO), ("mask", painted(9, 9).content.read())).status_code == 400
        assert posted(journey, image=[data_uri(PHOTO * 99), "no picture"]).status_code == 400
    # An answer is there a moment before its request has ended.
    until = time.monotonic() + 10
    while any("/spool/" in each for each in open_files()):
        assert time.monotonic() < until


def open_files() -> list[str]:
    """The files that this process has open, as Linux tells; the gateway is a thread of it."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(link))
    return found
