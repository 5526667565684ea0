"""An answer is given when the client has it, not when it is written: what lies in the system's buffers may be lost."""

from __future__ import annotations

import json
import socket
import sqlite3
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.raw import answer, until_closed
from tests.served import served, settings_of
from tests.simulators import openai_simulator
from tests.simulators.openai import OpenAISimulator

LARGE: dict[str, Any] = {"model": "m", "prompt": "a fox", "size": "512x512", "response_format": "b64_json"}
SMALL: dict[str, Any] = {"model": "m", "prompt": "a fox", "size": "64x64", "response_format": "url"}
RETRY = {"x-stainless-retry-count": "1"}
NARROW = 4096
"""Bytes that a client's system takes in its place."""


@dataclass
class House:
    base_url: str
    simulator: OpenAISimulator
    database: Path

    @contextmanager
    def asking(self, body: Mapping[str, Any], **headers: str) -> Iterator[socket.socket]:
        """A client that has asked, and has read nothing yet of what is there for it."""
        url = urlsplit(self.base_url)
        content = json.dumps(body).encode()
        lines = {"host": "gateway", "content-length": str(len(content)), "x-stainless-retry-count": "0", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        with socket.socket() as asked:
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
            asked.settimeout(20)
            asked.connect((url.hostname, url.port))
            asked.sendall(f"POST /v1/images/generations HTTP/1.1\r\n{head}\r\n".encode() + content)
            asked.recv(1, socket.MSG_PEEK)
            yield asked

    def retried(self, body: Mapping[str, Any]) -> httpx.Response:
        return httpx.post(f"{self.base_url}/images/generations", json=body, headers=RETRY, timeout=30)

    def known(self, delivered: int) -> bool:
        """Whether a generation comes to be on record as given to its client, or to nobody."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            connection = sqlite3.connect(self.database)
            found = connection.execute("SELECT delivered FROM generations WHERE ended IS NOT NULL").fetchall()
            connection.close()
            if (delivered,) in found:
                return True
            time.sleep(0.02)
        return False


@contextmanager
def house(folder: Path, **limits: Any) -> Iterator[House]:
    with openai_simulator() as simulator:
        config = {
            "auth": {"mode": "none"},
            "providers": {"p": {"type": "openai", "base_url": simulator.base_url, "api_key": "k"}},
            "models": {"m": {"routes": [{"provider": "p", "model": "x"}]}},
            "limits": limits,
        }
        with served(settings_of(folder, config)) as base_url:
            yield House(base_url, simulator, folder / "data/imagegate.sqlite3")


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (LARGE, {}),
        (LARGE, {"connection": "close"}),
        ({**LARGE, "stream": True}, {}),
        ({**LARGE, "stream": True}, {"connection": "close"}),
    ],
    ids=["whole", "whole, then closed", "stream", "stream, then closed"],
)
def test_a_client_that_resets_with_its_answer_on_the_way_gets_it_at_its_retry(
    body: dict[str, Any], headers: dict[str, str], tmp_path: Path
) -> None:
    with house(tmp_path) as found:
        with found.asking(body, **headers) as asked:
            time.sleep(0.3)  # everything is written by now, and lies in the gateway's socket
            reset(asked)
        again = found.retried(body)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
        assert again.headers["content-type"].startswith("text/event-stream" if "stream" in body else "application/json")
        assert len(found.simulator.submissions) == 1
        assert "idempotent-replayed" not in found.retried(body).headers


@pytest.mark.parametrize("status", [200, 502], ids=["picture", "failure"])
def test_a_client_that_leaves_unread_what_its_system_took_gets_it_at_its_retry(status: int, tmp_path: Path) -> None:
    with house(tmp_path) as found:
        if status == 502:
            found.simulator.fail_next(hang_up=True)
        with found.asking(SMALL) as asked:
            assert found.known(delivered=1)
            asked.close()  # with bytes unread: its system resets
        assert found.known(delivered=0)
        again = found.retried(SMALL)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (status, "true")
        assert len(found.simulator.submissions) == 1


def test_a_client_that_vanished_gets_its_answer_at_its_retry(tmp_path: Path) -> None:
    with house(tmp_path, answer_idle_seconds=0.3) as found, found.asking(LARGE):
        assert found.known(delivered=0)
        assert found.retried(LARGE).headers["idempotent-replayed"] == "true"
        assert len(found.simulator.submissions) == 1


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_slow_reader_that_reads_to_the_end_was_given_its_answer(connection: str, tmp_path: Path) -> None:
    with house(tmp_path) as found:
        with found.asking(LARGE, connection=connection) as asked:
            time.sleep(0.3)
            status, _, body = answer(asked)
            assert (status, len(json.loads(body)["data"])) == (200, 1)
            if connection == "close":
                assert until_closed(asked) == b""
            assert found.known(delivered=1)  # systems may wait a moment before they confirm
            assert "idempotent-replayed" not in found.retried(LARGE).headers
        assert len(found.simulator.submissions) == 2


def test_who_has_its_answer_and_goes_on_has_it_whatever_becomes_of_the_connection(tmp_path: Path) -> None:
    with house(tmp_path) as found:
        with found.asking(SMALL) as asked:
            answer(asked)
            asked.sendall(b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n")
            assert answer(asked)[0] == 200
            reset(asked)
        assert "idempotent-replayed" not in found.retried(SMALL).headers
        assert len(found.simulator.submissions) == 2


def test_the_next_request_does_not_wait_until_an_answer_has_arrived(tmp_path: Path) -> None:
    with house(tmp_path) as found, found.asking(LARGE) as asked:
        asked.sendall(b"GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n")
        assert answer(asked)[0] == 200
        assert answer(asked)[0] == 200
        assert found.known(delivered=1)
