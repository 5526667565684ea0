"""Edits as a user walks them: the official client or plain JSON, a gateway on a real socket, every kind of provider as
its simulator, and the delivered bytes opened: the shape, the format, the input's colour, and what a mask protects."""

from __future__ import annotations

import base64
import gc
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from PIL import ImageChops

from gateway.config import embedded
from tests.gateway.editing import (
    HOLE,
    KINDS,
    MASK,
    NATIVE_MASK,
    ORANGE,
    OTHERS,
    PHOTO,
    Editing,
    editing,
    entry_of,
    image_of,
    near,
    shows_the_photo,
    uri,
)
from tests.given import painted
from tests.journeys import SECRET, opened
from tests.served import served, settings_of


@pytest.fixture(scope="module", params=KINDS)
def journey(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editing]:
    with editing(request.param, tmp_path_factory.mktemp("editing")) as found:
        yield found


@pytest.mark.parametrize(
    "image",
    [PHOTO, [PHOTO], ("photo.png", PHOTO, "image/png"), [("photo.png", PHOTO)], io.BytesIO(PHOTO)],
    ids=["bytes", "a list", "a named tuple", "a list of tuples", "a file"],
)
def test_the_official_client_edits_what_it_uploads(journey: Editing, image: Any) -> None:
    if isinstance(image, io.BytesIO):
        image.seek(0)
    answer = journey.client.images.edit(model="m", prompt="a red fox", image=image, response_format="b64_json")
    (picture,) = journey.pictures(answer)
    assert picture.format == "PNG"
    assert shows_the_photo(journey, picture)


def test_an_edit_keeps_the_shape_of_the_picture_unless_another_is_asked_for(journey: Editing) -> None:
    for photo, ratio in ((PHOTO, 1.5), (painted(300, 533).content.read(), 300 / 533)):
        for shape in ({}, {"aspect_ratio": "match_input_image"}, {"size": "auto"}):
            image = image_of(journey.edit(photo, **shape))
            assert image.width / image.height == pytest.approx(ratio, rel=0.05)


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp", "avif", "gif"])
def test_size_and_format_are_delivered_exactly(journey: Editing, output_format: str) -> None:
    answer = journey.edit(size="1000x777", output_format=output_format)
    image = image_of(answer)
    assert (image.size, image.format) == ((1000, 777), output_format.upper())
    assert (answer["size"], answer["output_format"]) == ("1000x777", output_format)
    assert shows_the_photo(journey, image)


@pytest.mark.parametrize("count", [2, 3, 4, 8, 16])
def test_several_pictures_are_all_used_or_the_request_is_refused_by_name(journey: Editing, count: int) -> None:
    pictures = (PHOTO, *OTHERS)[:count]
    before = journey.submissions
    if count > journey.most:
        answer = journey.post({"images": [{"image_url": uri(each)} for each in pictures]})
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["param"]) == (400, "invalid_request_error", "image")
        assert f"at most {journey.most} input pictures" in error["message"]
        assert journey.submissions == before
        return
    image = image_of(journey.edit(*pictures))
    assert shows_the_photo(journey, image)
    if journey.kind == "sketch":
        found = {colour for _, colour in image.getcolors(image.width * image.height) or ()}
        assert {opened(each).getpixel((0, 0)) for each in pictures[1:]} <= found
    if journey.kind == "apiframe":
        addresses = journey.simulator.submissions[-1].json["fluxParams"]["input_images"]
        assert len(addresses) == len(set(addresses)) == count
        assert all(address.startswith(journey.base_url) for address in addresses)


def test_a_list_of_bytes_arrives_in_its_order(journey: Editing) -> None:
    if journey.most < 2:
        return
    for pictures, first in (([PHOTO, OTHERS[0]], True), ([OTHERS[0], PHOTO], False)):
        answer = journey.client.images.edit(model="m", prompt="x", image=pictures, response_format="b64_json")
        (image,) = journey.pictures(answer)
        assert shows_the_photo(journey, image) is first


@pytest.mark.parametrize("by", ["client", "json"])
def test_a_mask_keeps_everything_else_as_it_was(journey: Editing, by: str) -> None:
    if by == "client":
        given = {"image": PHOTO, "mask": MASK, "response_format": "b64_json", "prompt": "a red fox", "model": "m"}
        answer = journey.client.images.edit(**given).model_dump()  # type: ignore[call-overload]
    else:
        answer = journey.edit(mask={"image_url": uri(MASK)})
    image = image_of(answer).convert("RGB")
    entry = entry_of(answer, "mask")
    assert set(entry["requested"]) == {"sha256", "bytes"}
    for corner in ((0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.05), (0.05, 0.5)):
        assert near(image, corner, ORANGE), corner
    assert not near(image, (0.5, 0.5), ORANGE)
    if journey.kind in NATIVE_MASK:
        assert (entry["behavior"], entry["sent"]) == ("passthrough", entry["requested"])
        return
    assert (entry["behavior"], entry["sent"]) == ("emulated", None)
    assert image.size == (600, 400)
    changed = ImageChops.difference(image, opened(PHOTO).convert("RGB")).getbbox()
    assert changed is not None
    assert changed[0] >= HOLE[0]
    assert changed[1] >= HOLE[1]
    assert changed[2] <= HOLE[2]
    assert changed[3] <= HOLE[3]


def test_with_a_mask_exact_pixels_are_cut_from_the_original(journey: Editing) -> None:
    answer = journey.edit(mask={"image_url": uri(MASK)}, size="300x300")
    image = image_of(answer)
    assert image.size == (300, 300)
    assert near(image, (0, 0), ORANGE)


def test_with_a_mask_more_pixels_than_the_original_has_are_told_of_by_the_size_alone(journey: Editing) -> None:
    if journey.kind in NATIVE_MASK:
        return
    answer = journey.edit(mask={"image_url": uri(MASK)}, size="900x600")
    assert image_of(answer).size == (900, 600)
    assert "enlarged from the original's 600x400" in entry_of(answer, "size")["note"]
    assert "note" not in entry_of(answer, "mask"), "the edit covered its original"


def test_several_edits_of_one_picture_are_several_pictures(journey: Editing) -> None:
    answer = journey.edit(n=3, seed=7, size="256x256")
    assert len({item["b64_json"] for item in answer["data"]}) == 3
    assert all(shows_the_photo(journey, image_of(answer, place)) for place in range(3))
    if entry_of(answer, "seed")["behavior"] != "dropped":
        assert [item["seed"] for item in answer["data"]] == [7, 8, 9]
        again = journey.edit(seed=9, size="256x256")
        assert again["data"][0]["b64_json"] == answer["data"][2]["b64_json"]


def test_the_dry_run_shows_pictures_by_their_fingerprints_and_sends_nothing(journey: Editing) -> None:
    before = 0 if journey.simulator is None else len(journey.simulator.work)
    body = {"images": [{"image_url": uri(PHOTO)}], "mask": {"image_url": uri(MASK)}, "seed": 5}
    answer = journey.post(body, query="?dryRun=true").raise_for_status()
    assert base64.b64encode(PHOTO).decode()[:60] not in answer.text
    assert len(list(_fingerprints(answer.json()["plan"]["calls"]))) >= 1
    assert entry_of({"metadata": answer.json()["plan"]}, "mask")["requested"]["bytes"] == len(MASK)
    assert (0 if journey.simulator is None else len(journey.simulator.work)) == before


def _fingerprints(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict) and set(value) == {"sha256", "bytes"}:
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _fingerprints(inner)


def test_an_edit_is_told_of_like_any_picture(journey: Editing) -> None:
    answer = journey.edit(size="300x200", n=2)
    metadata = answer["metadata"]
    assert [attempt["outcome"] for attempt in metadata["attempts"]] == ["ok"] * len(metadata["attempts"])
    assert metadata["partial"] is False
    assert {"prompt", "size", "n"} <= {entry["name"] for entry in metadata["parameters"]}
    assert set(metadata["timing"]) == {"queue", "provider", "fetch", "convert"}
    said = httpx.get(f"{journey.base_url}/generations/{metadata['generation_id']}", timeout=30)
    if said.status_code != 404:
        assert said.json()["status"] == "succeeded"


@pytest.mark.parametrize("name", ["strength", "input_fidelity"])
def test_what_only_an_edit_has_is_told(journey: Editing, name: str) -> None:
    answer = journey.edit(**{name: {"strength": 0.4, "input_fidelity": "high"}[name]})
    entry = entry_of(answer, name)
    assert ("note" in entry) is (entry["behavior"] == "dropped")


def test_no_credential_travels_with_a_picture_and_no_address_of_a_provider_comes_back(journey: Editing) -> None:
    answer = journey.post({"image": uri(PHOTO)})
    assert SECRET not in answer.text + str(answer.headers)
    if journey.simulator is not None:
        assert journey.simulator.base_url not in answer.text + str(answer.headers)
        assert journey.simulator.leaked == []


def _spooled() -> list[str]:
    """Files of a spool that are still open in this process, which is the gateway's too."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(each)
        except OSError:  # closed in the meantime, such as the one that lists this folder
            continue
        if "/spool/" in target:
            found.append(target)
    return found


def test_nothing_is_left_in_the_spool(journey: Editing) -> None:
    journey.edit(PHOTO, mask={"image_url": uri(MASK)})
    journey.post({"image": "data:image/png;base64,AAAA"})
    assert list(journey.spool.iterdir()) == []


def test_spooled_pictures_are_closed_with_their_requests(tmp_path: Path) -> None:
    with editing("sketch", tmp_path) as journey:
        for _ in range(3):
            journey.edit(PHOTO, OTHERS[0], mask={"image_url": uri(MASK)})
        gc.collect()
        assert [path for path in _spooled() if str(tmp_path) in path] == []


def test_more_pictures_than_the_first_route_takes_are_for_the_next_that_can(tmp_path: Path) -> None:
    with editing("flux_worker", tmp_path, also=("modelverse", "sketch")) as journey:
        for count, provider in ((1, "flux_worker"), (2, "modelverse"), (4, "modelverse"), (5, "sketch")):
            answer = journey.edit(*(PHOTO, *OTHERS)[:count])
            assert answer["metadata"]["provider"] == provider
            assert [attempt["provider"] for attempt in answer["metadata"]["attempts"]] == [provider]


def test_where_no_route_takes_so_many_the_limits_are_named(tmp_path: Path) -> None:
    with editing("flux_worker", tmp_path, also=("modelverse",)) as journey:
        answer = journey.post({"images": [{"image_url": uri(each)} for each in (PHOTO, *OTHERS[:4])]})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", "image")
    assert "at most 1 input picture" in error["message"]
    assert "at most 4 input pictures" in error["message"]


def test_an_unmodified_client_edits_on_the_embedded_default_and_varies_without_a_prompt(tmp_path: Path) -> None:
    with served(embedded({}, tmp_path)) as base_url:
        client = openai.OpenAI(base_url=base_url, api_key="any", max_retries=0)
        answer = client.images.edit(model="gpt-image-1", image=PHOTO, prompt="a cat", size="1536x1024")
        with pytest.warns(DeprecationWarning, match="deprecated"):
            varied = client.images.create_variation(image=PHOTO, n=2, response_format="b64_json")
    assert answer.data is not None
    assert opened(base64.b64decode(str(answer.data[0].b64_json))).size == (1536, 1024)
    assert varied.data is not None
    one, two = (opened(base64.b64decode(str(item.b64_json))) for item in varied.data)
    assert one.tobytes() != two.tobytes()
    assert near(one, (0.5, 0.3), ORANGE, most=8)


def test_a_provider_that_could_not_fetch_from_here_is_not_asked_to(tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "auth": {"mode": "none"},
        "providers": {"far": {"type": "apiframe", "base_url": "https://apiframe.example", "api_key": "k"}},
        "models": {"m": {"routes": [{"provider": "far", "model": "flux-2-max"}]}},
    }
    body = {"model": "m", "prompt": "a fox", "image": uri(PHOTO)}
    with served(settings_of(tmp_path, config)) as base_url:
        refused = httpx.post(f"{base_url}/images/edits?dryRun=true", json=body, timeout=30)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "image")
    assert "server.public_url" in refused.json()["error"]["message"]
    known = {**config, "server": {"public_url": "https://pictures.example"}}
    with served(settings_of(tmp_path, known)) as base_url:
        shown = httpx.post(f"{base_url}/images/edits?dryRun=true", json=body, timeout=30).raise_for_status().json()
    params = shown["plan"]["calls"][0]["body"]["fluxParams"]
    assert [picture["bytes"] for picture in params["input_images"]] == [len(PHOTO)]
