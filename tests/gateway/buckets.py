"""A local server of S3 for tests, and storages on it."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.server import ThreadedMotoServer

from gateway.config.buckets import BucketUrl
from gateway.services.storage_objects import ObjectStorage

BUCKET = "pictures-of-ours"
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
    """What the server says to an unsigned request."""
    request = urllib.request.Request(address + path, method=method, data=data)  # noqa: S310  (http, on the loopback)
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        said: bytes = response.read()
    return said


def environment(address: str) -> dict[str, str]:
    """What a gateway's environment says of that server."""
    return {**CREDENTIALS, "AWS_ENDPOINT_URL": address}


def objects(
    data_dir: Path, prefix: str, *, retention_seconds: float = 86_400.0, clock: Callable[[], float] | None = None
) -> ObjectStorage:
    """A storage on the server that the environment names, not yet started."""
    url = BucketUrl("s3", BUCKET, prefix)
    if clock is None:
        return ObjectStorage(url, data_dir, retention_seconds=retention_seconds, floor_bytes=0)
    return ObjectStorage(url, data_dir, retention_seconds=retention_seconds, floor_bytes=0, clock=clock)
