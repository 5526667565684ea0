"""x-imagegate-thumbnail: a small WebP beside each picture, made of the same pixels in the same job."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from gateway.finishing import Finisher
from gateway.services.codecs import CodecCrashed, CodecPool
from normalization.pictures import FinishOptions
from normalization.pictures.finish import Finished
from normalization.plan import Finish
from normalization.vocabulary import Format
from providers.fetch import FetchPolicy
from tests.journeys import Journey, journey_to, opened
from tests.normalization.pictures.making import noise, written

HEADER = "x-imagegate-thumbnail"
PATH = "/images/generations"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with journey_to("flux_worker", tmp_path_factory.mktemp("thumbnails")) as made:
        yield made


def asked(journey: Journey, side: Any = 48, path: str = PATH, **parameters: Any) -> httpx.Response:
    body = {"prompt": "a red fox", "model": "m", "size": "256x128", **parameters}
    return httpx.post(f"{journey.base_url}{path}", json=body, headers={HEADER: str(side)}, timeout=60)


def small(item: dict[str, Any]) -> Image.Image:
    return opened(base64.b64decode(item["thumbnail_b64_json"], validate=True))


@pytest.mark.parametrize("response_format", ["b64_json", "url"])
def test_every_picture_comes_with_its_thumbnail(worker: Journey, response_format: str) -> None:
    answer = asked(worker, n=2, response_format=response_format, seed=7).raise_for_status().json()
    for item in answer["data"]:
        assert set(item) == {response_format, "thumbnail_b64_json", "seed"}
        thumbnail = small(item)
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (48, 24))
        data = base64.b64decode(item["b64_json"]) if "b64_json" in item else httpx.get(item["url"]).content
        large = opened(data).convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        tiny = thumbnail.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        assert isinstance(large, tuple)
        assert isinstance(tiny, tuple)
        assert all(abs(one - other) < 12 for one, other in zip(large, tiny, strict=True))
    assert len({item["thumbnail_b64_json"] for item in answer["data"]}) == 2


def test_nobody_gets_a_thumbnail_unasked(worker: Journey) -> None:
    answer = httpx.post(f"{worker.base_url}{PATH}", json={"prompt": "a red fox", "model": "m"}, timeout=60).json()
    assert "thumbnail_b64_json" not in answer["data"][0]


def test_the_official_client_asks_by_a_header_of_its_own(worker: Journey) -> None:
    answer = worker.client.images.generate(prompt="a red fox", model="m", extra_headers={HEADER: "64"})
    assert answer.data is not None
    thumbnail = small(answer.data[0].model_dump())
    assert max(thumbnail.size) == 64


def test_a_stream_carries_thumbnails_too(worker: Journey) -> None:
    told = asked(worker, n=2, stream=True).text
    events = [json.loads(line[5:]) for line in told.splitlines() if line.startswith("data: {")]
    completed = [each for each in events if each["type"] == "image_generation.completed"]
    assert len(completed) == 2
    for each in completed:
        assert small(each).size == (48, 24)
        assert opened(base64.b64decode(each["b64_json"])).size == (256, 128)


def test_an_edit_has_thumbnails_too(worker: Journey) -> None:
    picture = written(noise(64, 64), "PNG")
    answer = httpx.post(
        f"{worker.base_url}/images/edits",
        data={"prompt": "make it winter", "model": "m"},
        files={"image": ("fox.png", picture)},
        headers={HEADER: "32"},
        timeout=60,
    ).raise_for_status()
    assert max(small(answer.json()["data"][0]).size) == 32


def test_an_answer_that_is_given_again_has_them_still(worker: Journey) -> None:
    headers = {HEADER: "48", "idempotency-key": "thumbnails again"}
    body = {"prompt": "a red fox", "model": "m", "size": "256x128"}
    first, again = (httpx.post(f"{worker.base_url}{PATH}", json=body, headers=headers, timeout=60) for _ in range(2))
    assert again.headers["idempotent-replayed"] == "true"
    kept = thumbnails(first.json())
    assert thumbnails(again.json()) == kept
    assert small(again.json()["data"][0]).size == (48, 24)
    looked_up = httpx.get(f"{worker.base_url}/generations/{first.headers['x-generation-id']}", timeout=60)
    assert thumbnails(looked_up.json()["answer"]) == kept


def thumbnails(answer: Any) -> list[str]:
    """Of each picture. What else its entry says may change: a link is signed anew each second."""
    return [each["thumbnail_b64_json"] for each in answer["data"]]


@pytest.mark.parametrize("given", ["0", "15", "513", "1.5", "-48", "many", "", "٤٨", "00048", "9" * 5000])
def test_a_side_that_makes_no_sense_is_refused(worker: Journey, given: str) -> None:
    answer = httpx.post(
        f"{worker.base_url}{PATH}",
        json={"prompt": "a red fox", "model": "m"},
        headers=[(HEADER.encode(), given.encode())],
        timeout=60,
    )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == HEADER
    assert "16 to 512" in error["message"]


def test_the_responses_api_says_that_it_has_none(worker: Journey) -> None:
    answer = asked(worker, path="/responses", input="a red fox")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == HEADER


def test_a_dry_run_shows_the_step(worker: Journey) -> None:
    steps = asked(worker, path=f"{PATH}?dryRun=true").json()["plan"]["finish"]
    assert steps[-1] == {"step": "thumbnail", "format": "webp", "side": 48}


class _NoThumbnails(CodecPool):
    """A pool whose every child dies of thumbnails."""

    async def finish(
        self, data: bytes, finish: Finish, options: FinishOptions, *, deadline: float | None = None
    ) -> Finished:
        if finish.thumbnail is not None:
            raise CodecCrashed("unreadable", "the decoder failed")
        return await super().finish(data, finish, options, deadline=deadline)


@pytest.mark.anyio
async def test_a_picture_that_passes_is_not_lost_where_its_thumbnail_cannot_be_made() -> None:
    finisher = Finisher(_NoThumbnails(), fetcher=None, options=FinishOptions(), policy=FetchPolicy())  # type: ignore[arg-type]
    data = written(noise(), "PNG")
    done = await finisher.finish(data, Finish(Format.PNG, thumbnail=32), float("inf"))
    assert (done.read(), done.thumbnail) == (data, None)
