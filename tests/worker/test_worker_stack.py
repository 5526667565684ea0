"""Everything together: the official client, the gateway, `imagegate worker` as a process, FLUX with tiny weights."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from tests.given import mask_for, painted
from tests.served import served, settings_of

NAME = "klein"


@dataclass
class Started:
    process: subprocess.Popen[str]
    base: str


@contextmanager
def worker(folder: Path, *words: str) -> Iterator[Started]:
    """`imagegate worker`, once it is ready."""
    command = [sys.executable, "-m", "gateway.cli", "worker", "--model", str(folder), "--name", NAME, "--port", "0"]
    process = subprocess.Popen(  # noqa: S603
        [*command, "--device", "cpu", "--threads", "1", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            found = re.search(r"http://[\d.]+:\d+", line)
            if found is not None and "ready" in line:
                yield Started(process, found[0])
                break
        else:
            raise AssertionError(f"the worker ended with {process.wait()}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def gateway(tmp_path: Path, *addresses: str) -> Iterator[openai.OpenAI]:
    config = {
        "auth": {"mode": "none"},
        "providers": {"gpu": {"type": "flux_worker", "base_urls": list(addresses)}},
        "models": {"flux": {"routes": [{"provider": "gpu", "model": NAME}]}},
    }
    with ExitStack() as held:
        base = held.enter_context(served(settings_of(tmp_path, config)))
        client = held.enter_context(openai.OpenAI(base_url=base, api_key="any", max_retries=0, timeout=90))
        asked = {"model": "flux", "prompt": "x", "n": 2, "seed": 1}
        for _ in range(400):
            told = httpx.post(f"{base}/images/generations?dryRun=true", json=asked, timeout=20).json()
            if len(told["plan"]["calls"]) == 1:  # ours alone keeps a seed for each picture of a batch
                break
            threading.Event().wait(0.05)
        yield client


@pytest.fixture(scope="module")
def one(weights: Callable[[str], Path]) -> Iterator[Started]:
    with worker(weights("klein")) as started:
        yield started


def opened(encoded: str | None) -> Image.Image:
    assert encoded is not None
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def generate(client: openai.OpenAI, **asked: Any) -> list[Image.Image]:
    made = client.images.generate(
        model="flux", prompt="a red fox", size="256x256", response_format="b64_json", extra_body=asked
    )
    return [opened(image.b64_json) for image in made.data or ()]


def test_pictures_are_made_and_made_again_by_their_seeds(tmp_path: Path, one: Started) -> None:
    with gateway(tmp_path, one.base) as client:
        batch = generate(client, n=2, seed=7)
        (again,) = generate(client, seed=8)
    assert [picture.size for picture in batch] == [(256, 256)] * 2
    assert batch[0].tobytes() != batch[1].tobytes()
    difference = max(abs(x - y) for x, y in zip(batch[1].tobytes(), again.tobytes(), strict=True))
    assert difference <= 2


def test_several_pictures_are_edited(tmp_path: Path, one: Started) -> None:
    photos = [("a.png", painted(128, 128).content.read()), ("b.png", painted(160, 128).content.read())]
    with gateway(tmp_path, one.base) as client:
        made = client.images.edit(
            model="flux", prompt="both of them", image=photos, size="256x192", response_format="b64_json"
        )
    (image,) = made.data or []
    assert opened(image.b64_json).size == (256, 192)


def test_a_mask_is_the_worker_s_own_work(tmp_path: Path, one: Started) -> None:
    photo = ("photo.png", painted(256, 192).content.read())
    mask = ("mask.png", mask_for(256, 192, (0, 0, 128, 192)).content.read())
    with gateway(tmp_path, one.base) as client:
        answer = client.images.with_raw_response.edit(
            model="flux", prompt="a fox", image=photo, mask=mask, size="256x192", response_format="b64_json"
        )
    told = answer.http_response.json()
    (taken,) = [each for each in told["metadata"]["parameters"] if each["name"] == "mask"]
    assert taken["behavior"] == "passthrough"
    assert opened(told["data"][0]["b64_json"]).size == (256, 192)


def test_partial_pictures_come_before_the_end(tmp_path: Path, one: Started) -> None:
    with gateway(tmp_path, one.base) as client:
        stream = client.images.generate(
            model="flux", prompt="a red fox", size="256x256", stream=True, partial_images=2, extra_body={"steps": 8}
        )
        kinds = [event.type for event in stream]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


def test_a_worker_that_is_killed_loses_no_request(tmp_path: Path, one: Started, weights: Callable[[str], Path]) -> None:
    with worker(weights("klein")) as victim, gateway(tmp_path, victim.base, one.base) as client:
        with ThreadPoolExecutor(6) as threads:
            made = [threads.submit(generate, client, steps=60, seed=seed) for seed in range(6)]
            for _ in range(400):
                now = httpx.get(f"{victim.base}/ready", timeout=60).json()
                if now["running"] + now["waiting"] >= 2:
                    break
            os.kill(victim.process.pid, signal.SIGKILL)
            assert [len(each.result(90)) for each in made] == [1] * 6
        assert now["running"] + now["waiting"] >= 2


def test_it_ends_its_work_when_it_is_told_to_end(tmp_path: Path, weights: Callable[[str], Path]) -> None:
    with worker(weights("klein")) as leaving, ThreadPoolExecutor(1) as threads:
        asked = {"model": NAME, "input": "a fox", "provider_options": {"image": {"steps": 40, "width": 256}}}
        made = threads.submit(httpx.post, f"{leaving.base}/v1/responses", json=asked, timeout=90)
        while not httpx.get(f"{leaving.base}/ready", timeout=60).json()["running"] and not made.done():
            pass
        leaving.process.send_signal(signal.SIGTERM)
        assert made.result().status_code == 200
        assert leaving.process.wait(30) == 0


def test_a_folder_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway.cli", "worker", "--model", str(tmp_path), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)  # noqa: S603
    assert done.returncode == 2
    assert done.stderr.startswith("imagegate worker: --model: ")
    assert done.stderr.count("\n") == 1
