"""What the tests of visiting share: canaries that no URL may reach, a clock that stands still, and one visit.

A file takes a fixture over with `canaries = visits.canaries`; imported by its own name, every test's parameter would
shadow it.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.config.limits import Limits
from gateway.services.visiting import client_policy, visit
from normalization.errors import ImageUrlUnreachable
from providers import fetch as module
from providers.fetch import Fetcher, FetchPolicy, PinnedConnector
from tests.providers.fetching import serves_a_picture
from tests.providers.sockets import LOOPBACK, Server, serving

CORPUS: dict[str, Any] = json.loads((Path(__file__).parent / "hostile_urls.json").read_text(encoding="utf-8"))
GROUPS: dict[str, dict[str, list[str]]] = CORPUS["urls"]

CLOSED = client_policy(Limits())
OPEN = client_policy(Limits(), [ip_network("127.0.0.0/8")])
PARAM = "images[0].image_url"
INSIDE = "127.0.0.2"
"""A second address of this machine, for a server that a policy opens while the canaries stay closed."""

BESIDE = client_policy(Limits(), [ip_network(f"{INSIDE}/32")])


class Leading:
    """A resolver by which every name that a test does not answer otherwise leads to this machine."""

    def __init__(self, **answers: Sequence[str]) -> None:
        self.answers: dict[str, Sequence[str]] = {"public.example": ["8.8.8.8"], **answers}

    async def __call__(self, name: str) -> Sequence[str]:
        return self.answers.get(name, [LOOPBACK])


class Watch:
    """A clock that moves only for those who sleep by it, or whom a test keeps waiting."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def names() -> Leading:
    return Leading()


@pytest.fixture
async def fetcher(names: Leading, watch: Watch) -> AsyncIterator[Fetcher]:
    async with Fetcher(resolve=names, floor=lambda: 0.0, clock=watch, sleep=watch.sleep) as made:
        yield made


@pytest.fixture
async def canaries(anyio_backend: object) -> AsyncIterator[Server]:
    """Listen on one port of both loopback addresses; at the end of the test both must have been left alone."""
    async with AsyncExitStack() as stack:
        found = [await stack.enter_async_context(serving(serves_a_picture))]
        if socket.has_ipv6:
            try:
                found.append(await stack.enter_async_context(serving(serves_a_picture, host="::1", port=found[0].port)))
            except OSError as error:  # a machine without IPv6, or a port that is taken there
                print(f"no canary on ::1: {error}")
        yield found[0]
        assert [canary.connections for canary in found] == [0] * len(found), "a URL led to where none may lead"


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a connection was made to, in order. None of them may lead away from this machine."""
    asked: list[str] = []

    class Noting(PinnedConnector):
        def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
            asked.append(str(info[4][0]))
            if not ipaddress.ip_address(asked[-1]).is_loopback:
                raise ConnectionRefusedError
            return super()._socket(info)

    monkeypatch.setattr(module, "PinnedConnector", Noting)
    return asked


async def poured(fetcher: Fetcher, url: str, policy: FetchPolicy = OPEN) -> bytes:
    """What a visit gives; the deadline is far, on whatever clock."""
    got = bytearray()
    length = await visit(fetcher, url, got.extend, param=PARAM, policy=policy, deadline=1e12)
    assert length == len(got)
    return bytes(got)


async def unreachable(fetcher: Fetcher, url: str, policy: FetchPolicy = OPEN) -> ImageUrlUnreachable:
    """The error of a visit, which has given no byte of a picture."""
    got = bytearray()
    with pytest.raises(ImageUrlUnreachable) as raised:
        await visit(fetcher, url, got.extend, param=PARAM, policy=policy, deadline=1e12)
    return raised.value


def reason(error: ImageUrlUnreachable) -> str:
    """The code in the log."""
    return error.detail.partition(":")[0]
