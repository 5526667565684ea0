"""A local server of S3 for tests, and storages on it."""

from __future__ import annotations

import logging
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

from gateway.config.buckets import BucketUrl, Cloud
from gateway.services.bucket import Bucket
from gateway.services.storage import Stored
from gateway.services.storage_objects import ObjectStorage
from gateway.services.storages import open_bucket
from tests.faults.happenings import Purpose
from tests.faults.proxy import Proxy

DAY, HOUR = 86_400.0, 3600.0
NOW = 1_760_000_000.0
BUCKET = "picturesofours"
"""Google's client escapes a hyphen, which this server would not undo."""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret-of-tests", "AWS_REGION": "us-east-1"}


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of a server of S3 with one bucket, on the loopback."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        asked(address, "PUT", f"/{BUCKET}")
        yield address
    finally:
        server.stop()


def asked(address: str, method: str, path: str, data: bytes = b"") -> bytes:
    """What the server, on the loopback, says to an unsigned request."""
    headers = {"content-type": "application/octet-stream"}
    request = urllib.request.Request(address + path, method=method, data=data, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        said: bytes = response.read()
    return said


def purpose(method: str, path: str) -> Purpose:
    """What a request to a bucket is for, in the words of the fault proxy."""
    if method == "PUT":
        return "submit"
    if method == "HEAD":
        return "poll"
    return "picture" if method == "GET" and "/pictures/" in path else "other"


def environment(address: str) -> dict[str, str]:
    """What a gateway's environment says of that server."""
    return {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": address,
        "GOOGLE_BASE_URL": address,
        "GOOGLE_BEARER_TOKEN": "token-of-tests",
    }


def objects(
    data_dir: Path,
    prefix: str,
    *,
    cloud: Cloud = "s3",
    retention_seconds: float = DAY,
    clock: Callable[[], float] = time.time,
) -> ObjectStorage:
    """A storage on the server that the environment names, not yet started."""
    bucket = open_bucket(BucketUrl(cloud, BUCKET, prefix))
    return ObjectStorage(bucket, data_dir, retention_seconds=retention_seconds, floor_bytes=0, clock=clock)


@asynccontextmanager
async def opened(
    tmp_path: Path, *, clock: Callable[[], float] = lambda: NOW, start: bool = True
) -> AsyncIterator[ObjectStorage]:
    """A storage of a day under a prefix of the test's own."""
    storage = objects(tmp_path, f"of/{tmp_path.name}", clock=clock)
    try:
        if start:
            await storage.start()
        yield storage
    finally:
        await storage.close()


async def read(stored: Stored | None, start: int = 0) -> bytes:
    assert stored is not None
    return b"".join([chunk async for chunk in stored.chunks(start)])


def bucket(tmp_path: Path) -> Bucket:
    return Bucket(BucketUrl("s3", BUCKET, f"of/{tmp_path.name}"))


async def keys(tmp_path: Path) -> list[str]:
    return sorted([found.key async for page in bucket(tmp_path).objects("") for found in page])


def puts(proxy: Proxy) -> int:
    return sum(each.purpose == "submit" for each in proxy.exchanges)
