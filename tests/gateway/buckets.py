"""A local server of S3 for tests, and storages on it."""

from __future__ import annotations

import logging
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

from gateway.config.buckets import BucketUrl, Cloud
from gateway.services.storage_objects import ObjectStorage
from tests.faults.happenings import Purpose

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
    retention_seconds: float = 86_400.0,
    clock: Callable[[], float] = time.time,
) -> ObjectStorage:
    """A storage on the server that the environment names, not yet started."""
    url = BucketUrl(cloud, BUCKET, prefix)
    return ObjectStorage(url, data_dir, retention_seconds=retention_seconds, floor_bytes=0, clock=clock)
