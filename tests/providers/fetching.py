"""What the tests of fetching share: policies, a resolver, a canary, and fixtures to take over by name.

A file takes a fixture over with `fetcher = fetching.fetcher`; imported by its own name, every test's parameter would
shadow it.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network

import pytest

from providers.fetch import Fetcher, FetchPolicy, Unfetchable
from tests.providers.sockets import LOOPBACK, Connection, Server, answer, serving, soon

CLOSED = FetchPolicy()
OPEN = FetchPolicy(allow_private=(ip_network("127.0.0.0/8"),))
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(1000)


class Names:
    """A resolver that knows what a test tells it, and remembers what it was asked."""

    def __init__(self, **answers: Sequence[str]) -> None:
        self.answers = {name.replace("_", "."): found for name, found in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        if name not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.answers[name]


@pytest.fixture
def names() -> Names:
    return Names(good_example=[LOOPBACK], localhost=[LOOPBACK])


@pytest.fixture
async def fetcher(names: Names) -> AsyncIterator[Fetcher]:
    async with Fetcher(resolve=names, floor=lambda: 0.0) as made:
        yield made


@pytest.fixture
async def canary(anyio_backend: object) -> AsyncIterator[Server]:
    """Listens where no foreign URL may lead; at the end of the test it must have been left alone."""
    async with serving(serves_a_picture) as server:
        yield server
    assert server.connections == 0, "a URL led to where none may lead"


async def serves_a_picture(c: Connection) -> None:
    await c.request()
    await c.send(answer(PICTURE, headers=("Content-Type: image/png",)))


async def refusal(fetcher: Fetcher, url: str, policy: FetchPolicy = CLOSED) -> Unfetchable:
    with pytest.raises(Unfetchable) as raised:
        await fetcher.fetch(url, policy=policy, deadline=soon())
    return raised.value
