"""What tests of several rooms of the gateway are given. What is slow to import is imported where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.gateway.together import Busy
from tests.simulators.base import running

if TYPE_CHECKING:
    from tests.faults.proxy import Proxy
    from tests.redis_server import RedisServer


@pytest.fixture
def upstream() -> Iterator[Busy]:
    """A provider that is busy until it is set free."""
    with running(Busy()) as simulator:
        try:
            yield simulator
        finally:
            simulator.free.set()


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[str]:
    """The address of a server of S3 with one bucket."""
    from tests.gateway.buckets import s3_server

    with s3_server() as address:
        yield address


@pytest.fixture
def s3(bucket_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The way to that server, which the environment names."""
    from tests.faults.proxy import fault_proxy
    from tests.gateway.buckets import environment, purpose

    with fault_proxy(bucket_server, purpose) as proxy:
        for name, value in environment(proxy.origin).items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture(scope="module")
def own() -> Iterator[RedisServer]:
    """A Redis server that a module's tests may stop."""
    from tests.redis_server import redis_server

    with redis_server() as server:
        yield server
