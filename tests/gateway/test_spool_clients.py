"""Clients that do not finish their uploads: what they sent is off the disk at once, whoever still holds what."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request

from gateway.api import picture_json
from gateway.api.multipart import Form, read_form
from gateway.api.picture_json import PictureJson, read_picture_json
from gateway.config.limits import Limits
from gateway.services.spool import Spool
from normalization.errors import ImagegateError, StorageFull
from tests.gateway.spooled import on_linux, open_in
from tests.journeys import journey_to

pytestmark = [pytest.mark.anyio, on_linux]

FORM = b'--xyz\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + b"p" * 200_000
JSON = b'{"image": "' + base64.b64encode(bytes(range(256)) * 800)
BODIES = {"multipart/form-data; boundary=xyz": FORM, "application/json": JSON}

kinds = pytest.mark.parametrize("kind", BODIES)
Message = dict[str, Any]


@pytest.fixture(autouse=True)
def _every_body_is_spooled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_json, "IN_MEMORY_MOST", 1000)


class Client:
    """Sends the messages, after which it is silent for good. `held`: the spooled files while the last was on its
    way."""

    def __init__(self, data_dir: Path, messages: Sequence[Message]) -> None:
        self._data_dir = data_dir
        self._messages = list(messages)
        self.held: list[str] = []
        self.silent = asyncio.Event()

    async def receive(self) -> Message:
        self.held = open_in(self._data_dir)
        if not self._messages:
            self.silent.set()
            await asyncio.Event().wait()
        return self._messages.pop(0)

    def request(self, kind: str) -> Request:
        return Request({"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}, self.receive)


def chunk(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def read(request: Request, data_dir: Path, limits: Limits) -> Form | PictureJson:
    spool = Spool(data_dir)
    if request.headers["content-type"] == "application/json":
        return await read_picture_json(
            request, spool, bytes_most=limits.json_body_bytes, seconds_most=limits.body_seconds
        )
    return await read_form(request, spool, limits)


@kinds
async def test_a_client_that_leaves_takes_its_half_with_it(tmp_path: Path, kind: str) -> None:
    client = Client(tmp_path, [chunk(BODIES[kind]), {"type": "http.disconnect"}])
    with pytest.raises(ImagegateError, match="closed before") as caught:
        await read(client.request(kind), tmp_path, Limits())
    assert len(client.held) == 1
    assert open_in(tmp_path) == [], caught


@kinds
async def test_a_client_that_is_too_slow_loses_its_half(tmp_path: Path, kind: str) -> None:
    client = Client(tmp_path, [chunk(BODIES[kind])])
    with pytest.raises(ImagegateError, match="did not arrive") as caught:
        await read(client.request(kind), tmp_path, Limits(body_seconds=0.01))
    assert len(client.held) == 1
    assert open_in(tmp_path) == [], caught


@kinds
async def test_a_request_that_is_cancelled_leaves_nothing(tmp_path: Path, kind: str) -> None:
    client = Client(tmp_path, [chunk(BODIES[kind])])
    task = asyncio.ensure_future(read(client.request(kind), tmp_path, Limits()))
    await client.silent.wait()
    assert len(client.held) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert open_in(tmp_path) == [], caught


@kinds
async def test_what_is_refused_is_gone_before_the_rest_of_it_is_read(tmp_path: Path, kind: str) -> None:
    limits = Limits(multipart_body_bytes=300_000, json_body_bytes=300_000)
    client = Client(tmp_path, [chunk(BODIES[kind]), chunk(BODIES[kind]), chunk(b"", more=False)])
    with pytest.raises(ImagegateError, match="at most"):
        await read(client.request(kind), tmp_path, limits)
    assert client.held == []


@kinds
async def test_a_disk_that_fills_up_half_way_is_given_back(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    client = Client(tmp_path, [chunk(BODIES[kind]), chunk(b"", more=False)])
    with pytest.raises(StorageFull) as caught:
        await read(client.request(kind), tmp_path, Limits())
    assert open_in(tmp_path) == [], caught


async def test_a_json_body_is_gone_once_its_pictures_are_out_of_it(tmp_path: Path) -> None:
    client = Client(tmp_path, [chunk(JSON + b'"}', more=False)])
    found = await read(client.request("application/json"), tmp_path, Limits())
    assert len(open_in(tmp_path)) == 1
    del found
    await asyncio.to_thread(until, lambda: open_in(tmp_path) == [])  # the thread that found it may hold it a moment


@kinds
def test_a_connection_that_breaks_off_in_an_upload_frees_the_disk(tmp_path: Path, kind: str) -> None:
    head = f"POST /v1/images/edits HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: 9000000\r\n\r\n"
    with journey_to("sketch", tmp_path) as journey:
        data_dir, address = tmp_path / "data", urlsplit(journey.base_url)
        with socket.create_connection((address.hostname, address.port)) as client:
            client.sendall(head.encode() + BODIES[kind])
            until(lambda: len(open_in(data_dir)) == 1)
        until(lambda: open_in(data_dir) == [])


def until(reached: Any) -> None:
    """Return once it is so."""
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)
