"""The gateway before workers of this repository, over engines without weights: official clients, partial pictures,
readiness, and a worker that dies with work under way."""

from __future__ import annotations

import base64
import io
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types import ImageGenPartialImageEvent
from PIL import Image

from providers.flux_worker.worker import pictures
from providers.flux_worker.worker.desk import Serving
from providers.flux_worker.worker.reading import Bounds
from tests.given import painted
from tests.providers.fake_engine import KLEIN, FakeEngine, colour
from tests.providers.test_worker_program import program
from tests.providers.worker_served import worker
from tests.served import served, settings_of

MODEL = KLEIN.id


def config(*addresses: str) -> dict[str, Any]:
    return {
        "auth": {"mode": "none"},
        "providers": {"gpu": {"type": "flux_worker", "base_urls": list(addresses)}},
        "models": {"klein": {"routes": [{"provider": "gpu", "model": MODEL}]}},
    }


@contextmanager
def gateway(tmp_path: Path, *addresses: str) -> Iterator[openai.OpenAI]:
    with ExitStack() as held:
        base = held.enter_context(served(settings_of(tmp_path, config(*addresses))))
        client = held.enter_context(openai.OpenAI(base_url=base, api_key="any", max_retries=0))
        until_known(base)
        yield client


def until_known(base: str) -> None:
    """Return once the gateway has found out what it talks to."""
    asked = {"model": "klein", "prompt": "x", "n": 2, "seed": 1}
    for _ in range(200):
        told = httpx.post(f"{base}/images/generations?dryRun=true", json=asked, timeout=20).json()
        if len(told["plan"]["calls"]) == 1:  # ours alone keeps a seed for each picture of a batch
            return
        threading.Event().wait(0.05)
    raise AssertionError("the gateway never looked at its worker")


def opened(encoded: str | None) -> Image.Image:
    assert encoded is not None
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def test_pictures_of_a_batch_have_seeds_of_their_own(tmp_path: Path, engine: FakeEngine) -> None:
    with worker(engine) as one, gateway(tmp_path, one.base) as client:
        made = client.images.generate(
            model="klein", prompt="a fox", n=3, size="256x256", extra_body={"seed": 7}, response_format="b64_json"
        )
    assert [opened(image.b64_json).getpixel((0, 0)) for image in made.data or ()] == [
        colour(seed) for seed in (7, 8, 9)
    ]
    assert len(engine.seen) == 3


def test_several_pictures_are_edited_together(tmp_path: Path, engine: FakeEngine) -> None:
    photos = [("a.png", painted(64, 64).content.read()), ("b.png", painted(96, 64).content.read())]
    with worker(engine) as one, gateway(tmp_path, one.base) as client:
        made = client.images.edit(model="klein", prompt="both", image=photos, size="256x256")
    assert len(made.data or ()) == 1
    assert [picture.size for picture in engine.seen[-1].pictures] == [(64, 64), (96, 64)]


def test_partial_pictures_reach_the_official_client_before_the_end(tmp_path: Path, engine: FakeEngine) -> None:
    with worker(engine) as one, gateway(tmp_path, one.base) as client:
        stream = client.images.generate(
            model="klein", prompt="a fox", size="256x256", stream=True, partial_images=2, extra_body={"steps": 50}
        )
        engine.going.clear()
        kinds, indices = [], []
        threading.Timer(0.3, engine.going.set).start()
        for event in stream:
            kinds.append(event.type)
            if isinstance(event, ImageGenPartialImageEvent):
                indices.append(event.partial_image_index)
                assert opened(event.b64_json).format == event.output_format.upper() == "PNG"
        assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
        assert indices == [0, 1]


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "avif", "gif"])
def test_partial_pictures_have_the_format_that_was_asked_for(tmp_path: Path, engine: FakeEngine, form: str) -> None:
    with worker(engine) as one, gateway(tmp_path, one.base) as client:
        stream = client.images.generate(
            model="klein", prompt="a fox", size="256x256", stream=True, partial_images=1,
            extra_body={"steps": 50, "output_format": form},
        )  # fmt: skip
        engine.going.clear()
        threading.Timer(0.3, engine.going.set).start()
        partial, *_ = events = list(stream)
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert [event.output_format for event in events] == [form, form]
    assert opened(partial.b64_json).format == form.upper()
    assert engine.seen[-1].previews == 1


def test_what_is_no_picture_is_not_shown_as_one(
    tmp_path: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "preview", lambda image, form: b"no picture")
    with worker(engine) as one, gateway(tmp_path, one.base) as client:
        stream = client.images.generate(
            model="klein", prompt="a fox", size="256x256", stream=True, partial_images=3, extra_body={"steps": 50}
        )
        assert [event.type for event in stream] == ["image_generation.completed"]


def test_a_model_says_that_it_shows_partial_pictures_once_its_worker_has_said_so(
    tmp_path: Path, engine: FakeEngine
) -> None:
    loading = FakeEngine(ready=False)
    with worker(loading) as one, served(settings_of(tmp_path, config(one.base))) as base:
        before = httpx.get(f"{base}/models/klein", timeout=20).json()
    assert before["capabilities"]["streaming_partials"] is False
    with worker(engine) as one, gateway(tmp_path, one.base) as client:
        known = httpx.get(f"{client.base_url}models/klein", timeout=20).json()
    assert known["capabilities"]["streaming_partials"] is True
    assert [route["streaming_partials"] for route in known["capabilities"]["routes"]] == [True]


def test_partial_pictures_reach_a_response_too(tmp_path: Path, engine: FakeEngine) -> None:
    with worker(engine) as one, gateway(tmp_path, one.base) as client:
        tool: Any = {"type": "image_generation", "partial_images": 1, "size": "256x256", "output_format": "webp"}
        stream = client.responses.create(model="klein", input="a fox", tools=[tool], stream=True)
        events = list(stream)
    kinds = [event.type for event in events]
    partial = kinds.index("response.image_generation_call.partial_image")
    assert partial < kinds.index("response.image_generation_call.completed")
    shown = events[partial].model_dump()
    assert shown["output_format"] == "webp"
    assert opened(shown["partial_image_b64"]).format == "WEBP"


def test_without_a_stream_nobody_pays_for_partial_pictures(tmp_path: Path, engine: FakeEngine) -> None:
    with worker(engine) as one, gateway(tmp_path, one.base) as client:
        client.images.generate(model="klein", prompt="a fox", size="256x256", extra_body={"partial_images": 3})
    assert engine.seen[-1].previews == 0


def test_a_client_s_stream_that_fails_says_so_in_it(tmp_path: Path, engine: FakeEngine) -> None:
    with worker(engine) as one, gateway(tmp_path, one.base) as client:
        stream = client.images.generate(model="klein", prompt="x" * 201, size="256x256", stream=True)
        with pytest.raises(openai.APIError, match="prompt"):
            list(stream)


def test_a_worker_that_is_not_ready_gets_nothing(tmp_path: Path, engine: FakeEngine) -> None:
    loading = FakeEngine(ready=False)
    with worker(loading) as one, worker(engine) as other, gateway(tmp_path, one.base, other.base) as client:
        for _ in range(4):
            client.images.generate(model="klein", prompt="a fox", size="256x256")
    assert (len(loading.seen), len(engine.seen)) == (0, 4)


def test_work_is_shared_among_workers_by_what_each_has(tmp_path: Path, engine: FakeEngine) -> None:
    other = FakeEngine()
    for each in (engine, other):
        each.going.clear()
    with ExitStack() as held, ThreadPoolExecutor(6) as threads:
        bases = [held.enter_context(worker(each)).base for each in (engine, other)]
        client = held.enter_context(gateway(tmp_path, *bases))
        made = [threads.submit(client.images.generate, model="klein", prompt="a fox", size="256x256") for _ in range(6)]
        for _ in range(400):
            if len(engine.seen) + len(other.seen) == 6:
                break
            threading.Event().wait(0.02)
        assert (len(engine.seen), len(other.seen)) == (3, 3)
        for each in (engine, other):
            each.going.set()
        assert all(len(each.result(30).data or ()) == 1 for each in made)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_is_told_why_the_worker_refused(tmp_path: Path, engine: FakeEngine, stream: bool) -> None:
    serving = Serving(bounds=Bounds(steps=20))
    with worker(engine, serving) as one, gateway(tmp_path, one.base) as client:
        asked = {"model": "klein", "prompt": "a fox", "size": "256x256", "stream": stream, "extra_body": {"steps": 30}}
        with pytest.raises(openai.APIError) as caught:
            list(client.images.generate(**asked))  # type: ignore[call-overload]
    said = 'the worker refused the request as invalid; of "steps" it says: 30; at most 20 are made'
    assert isinstance(caught.value.body, dict)
    told = caught.value.body.get("error", caught.value.body)
    assert (told["message"], told["code"], told["param"]) == (said, "rejected_by_provider", None)


def test_a_worker_that_is_killed_loses_no_request(tmp_path: Path) -> None:
    with ExitStack() as held, ThreadPoolExecutor(6) as threads:
        started = [held.enter_context(program(*words)) for words in (["--still"], [])]
        members = [each.member() for each in started]
        for each in started:
            each.ready()
        client = held.enter_context(gateway(tmp_path, *(member.base for member in members)))
        made = [threads.submit(client.images.generate, model="klein", prompt="a fox", size="256x256") for _ in range(6)]
        for _ in range(400):
            running = httpx.get(f"{members[0].base}/ready", timeout=20).json()["running"]
            if running == 3:
                break
        assert running == 3, "the first worker has half of the work"
        os.kill(members[0].pid, signal.SIGKILL)
        assert all(len(each.result(60).data or ()) == 1 for each in made)
