"""What the tests of the transport share: requests, a target, and fixtures to take over by name.

A file takes a fixture over with `transport = exchanging.transport`; imported by its own name, every test's parameter
would shadow it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from providers.base import FilePart, WireRequest
from providers.transport import Target, Transport
from tests.given import picture_of
from tests.providers.sockets import Connection, Script, Server, answer

SECRET = "sk-planted-secret"
SUBMIT = WireRequest("POST", "/submit", json={"prompt": "a red fox"})
# Larger than what the kernel takes over while the peer does not read.
LARGE = WireRequest(
    "POST", "/submit", form=(("prompt", "a red fox"), FilePart("image", "a.png", picture_of(b"\x89PNG" * (4 << 20))))
)
POLL = WireRequest("GET", "/jobs/7", purpose="poll")


@pytest.fixture
async def transport(anyio_backend: object) -> AsyncIterator[Transport]:
    async with Transport() as made:
        yield made


def target(server: Server, **limits: float) -> Target:
    return Target(server.url, {"Authorization": f"Bearer {SECRET}"}, **limits)  # type: ignore[arg-type]


def after_one_good_answer(script: Script) -> Script:
    """The same, but on a connection that has served a request before."""

    async def reused(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer(b"first"))
        await script(connection)

    return reused
