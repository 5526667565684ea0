"""The worker as a Ray Serve application, begun for real: the official client, the gateway, Ray's proxy, a replica."""

from __future__ import annotations

import base64
import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from scripts.files import ROOT
from tests.worker.test_worker_stack import gateway


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where Ray's proxy listens, once a replica is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("weights") / "klein"
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "tests.worker_ray.serving", str(folder), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert any(line.strip() == "ready" for line in process.stdout), f"Ray ended with {process.wait(60)}"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stdin.close()
        process.stdout.close()
        assert process.wait(60) == 0


@pytest.mark.timeout(300)
def test_ray_s_replica_makes_a_picture_for_the_official_client(tmp_path: Path, address: str) -> None:
    with gateway(tmp_path, address) as client:
        made = client.images.generate(
            model="flux", prompt="a red fox", size="256x192", response_format="b64_json", extra_body={"seed": 7}
        )
    (image,) = made.data or []
    assert Image.open(io.BytesIO(base64.b64decode(image.b64_json or ""))).size == (256, 192)


@pytest.mark.timeout(300)
def test_partial_pictures_come_through_ray_s_proxy(tmp_path: Path, address: str) -> None:
    with gateway(tmp_path, address) as client:
        stream = client.images.generate(
            model="flux", prompt="a red fox", size="256x256", stream=True, partial_images=2, extra_body={"steps": 8}
        )
        assert [event.type for event in stream] == ["image_generation.partial_image"] * 2 + [
            "image_generation.completed"
        ]


@pytest.mark.timeout(300)
def test_ray_s_replica_says_that_it_is_ready(address: str) -> None:
    assert httpx.get(f"{address}/ready", timeout=60).json()["ready"] is True
