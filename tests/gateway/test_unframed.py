"""Answers to a client of HTTP/1.0, which reads an answer without a length until its connection ends."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.raw import PROVIDED, connected, until_closed
from tests.served import served, settings_of


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder: Path = tmp_path_factory.mktemp("unframed")
    listener = socket.create_server(("127.0.0.1", 0))
    with served(settings_of(folder, {**PROVIDED, "auth": {"mode": "none"}}), listener):
        yield listener.getsockname()[1]


def asked(port: int, version: str, *, stream: bool, head: str = "") -> tuple[bytes, bytes]:
    """The head, in lower case, and the body of a picture's answer on a connection of its own."""
    body = json.dumps({"prompt": "a fox", "size": "64x64", "stream": stream}).encode()
    lines = (f"POST /v1/images/generations {version}", "Host: a.example", f"Content-Length: {len(body)}", head)
    with connected(port) as connection:
        connection.sendall("\r\n".join(line for line in lines if line).encode() + b"\r\n\r\n" + body)
        received = until_closed(connection)
    start, _, rest = received.partition(b"\r\n\r\n")
    return start.lower(), rest


def test_a_stream_to_http_1_0_is_its_events_and_nothing_else(port: int) -> None:
    head, body = asked(port, "HTTP/1.0", stream=True, head="Connection: keep-alive")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body.endswith(b"data: [DONE]\n\n")
    for block in body.decode().strip().split("\n\n"):
        assert block.startswith((": ", "event: ", "data: ")), block[:40]


def test_a_stream_to_http_1_1_is_still_in_chunks(port: int) -> None:
    head, body = asked(port, "HTTP/1.1", stream=True, head="Connection: close")
    assert b"transfer-encoding: chunked" in head
    assert body.endswith(b"0\r\n\r\n")


def test_an_answer_that_says_its_length_is_whole_in_http_1_0(port: int) -> None:
    head, body = asked(port, "HTTP/1.0", stream=False)
    assert b"transfer-encoding" not in head
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body)["data"]
