"""Gateways that share a bucket: what one made any of them serves, and a bucket that cannot be used is told at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from gateway.services.storages import open_storage
from normalization.errors import ConfigurationError
from tests.faults.proxy import Proxy
from tests.gateway.buckets import BUCKET, CREDENTIALS, asked
from tests.gateway.together import together, until
from tests.journeys import opened
from tests.served import served, settings_of

SIGNING_KEY = "one-signing-key-for-all-replicas-long-enough"


def config(prefix: str, **storage: Any) -> dict[str, Any]:
    return {
        "auth": {"mode": "none"},
        "storage": {"url": f"s3://{BUCKET}/{prefix}", "signing_key": SIGNING_KEY, **storage},
        "providers": {"p": {"type": "sketch"}},
        "models": {"m": {"routes": [{"provider": "p", "model": "sketch"}]}},
    }


@pytest.fixture
def replicas(tmp_path: Path, s3: Proxy) -> Iterator[tuple[str, str]]:
    """The addresses of two gateways with nothing in common but the bucket and the key."""
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    one, other = (settings_of(folder, config(tmp_path.name)) for folder in folders)
    with served(one) as first, served(other) as second:
        yield first, second


def generate(base_url: str, **more: Any) -> httpx.Response:
    body = {"model": "m", "prompt": "a fox", "size": "64x48", "response_format": "url", **more}
    return httpx.post(f"{base_url}/images/generations", json=body, timeout=60)


def get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=60)


def origin(base_url: str) -> str:
    return base_url.removesuffix("/v1")


def test_a_picture_made_at_one_is_fetched_from_the_other(tmp_path: Path, s3: Proxy, replicas: tuple[str, str]) -> None:
    one, other = replicas
    answer = generate(one, n=2)
    assert answer.status_code == 200
    for item in answer.json()["data"]:
        url = item["url"]
        assert url.startswith(f"{one}/images/files/")
        mine, theirs = get(url), get(url.replace(origin(one), origin(other)))
        assert mine.content == theirs.content
        assert opened(theirs.content).size == (64, 48)
        assert theirs.headers["content-length"] == str(len(theirs.content))
        head = httpx.head(url.replace(origin(one), origin(other)), timeout=60)
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(mine.content)))
        assert get(url.replace("sig=", "sig=x")).status_code == 404
    told = f"{answer.text} {answer.headers} {mine.headers} {theirs.headers}"
    assert BUCKET not in told
    assert s3.origin not in told
    assert not (tmp_path / "one/data/pictures").exists()


def test_a_response_kept_at_one_is_deleted_with_its_pictures_for_all(replicas: tuple[str, str]) -> None:
    one, other = replicas
    body = {"model": "m", "input": "a fox", "size": "32x32", "response_format": "url"}
    answer = httpx.post(f"{one}/responses", json=body, timeout=60)
    [part] = answer.json()["output"][0]["content"]
    elsewhere = part["image_url"].replace(origin(one), origin(other))
    assert get(elsewhere).status_code == 200
    assert httpx.delete(f"{one}/responses/{answer.json()['id']}", timeout=60).status_code == 200
    assert get(elsewhere).status_code == 404


def test_a_picture_that_the_bucket_does_not_take_is_given_all_the_same_and_moves_later(
    tmp_path: Path, s3: Proxy, replicas: tuple[str, str]
) -> None:
    one, other = replicas
    assert get(f"{origin(one)}/readyz").status_code == 200
    with s3.refusing():
        answer = generate(one)  # the bucket was well a moment ago
        assert answer.status_code == 200
        [item] = answer.json()["data"]
        assert "b64_json" not in item
        assert opened(get(item["url"]).content).size == (64, 48)
        assert get(item["url"].replace(origin(one), origin(other))).status_code == 503
        assert get(f"{origin(one)}/readyz").status_code == 503
        refused = generate(one)
        if refused.status_code != 200:  # within a second of the last look it is bought, and kept here
            assert refused.json()["error"]["code"] == "state_unavailable"
    waiting = tmp_path / "one/data/waiting"
    until("what waited is in the bucket", lambda: not list(waiting.iterdir()))
    moved = get(item["url"].replace(origin(one), origin(other)))
    assert opened(moved.content).size == (64, 48)
    until("it takes work again", lambda: get(f"{origin(one)}/readyz").status_code == 200)


@pytest.mark.anyio
async def test_a_bucket_that_is_not_there_stops_the_start(tmp_path: Path, s3: Proxy) -> None:
    settings = settings_of(tmp_path, config("x", url="s3://notours/x"))
    with pytest.raises(ConfigurationError, match=r"s3://notours/x: writing failed: .*NoSuchBucket"):
        await open_storage(settings)


@pytest.mark.parametrize("words", [(), ("--workers", "2")], ids=["one process", "two workers"])
def test_wrong_credentials_end_the_command_with_2_and_one_line(
    tmp_path: Path, s3: Proxy, bucket_server: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config("x")))
    asked(bucket_server, "POST", "/moto-api/reset-auth", b"0")
    try:
        given = ["--config", str(path), "--port", "0", "--data-dir", str(tmp_path / "data"), *words]
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "gateway.cli", "serve", *given],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        asked(bucket_server, "POST", "/moto-api/reset-auth", b"inf")
    told = [line for line in ended.stderr.splitlines() if not line.startswith("warning: ")]
    assert (ended.returncode, ended.stdout, len(told)) == (2, "", 1)
    assert told[0].startswith(f"storage.url: s3://{BUCKET}/x: writing failed: ")
    assert "InvalidAccessKeyId" in told[0]
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="several processes need a socket that can be inherited")
def test_a_picture_made_by_one_worker_is_fetched_from_another(tmp_path: Path, s3: Proxy) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config(tmp_path.name)))
    with together(path, tmp_path / "data") as gateway:
        first, second = gateway.workers
        with gateway.served_by(first) as [one], gateway.served_by(second) as [other]:
            body = {"model": "m", "prompt": "a fox", "size": "64x48", "response_format": "url"}
            url = one.post("/v1/images/generations", json=body).json()["data"][0]["url"]
            assert opened(other.get(url).content).size == (64, 48)
