"""What is told of an earlier request: the same where replicas share the records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway import test_generations as embedded
from tests.gateway.copresent import with_redis
from tests.gateway.test_generations import *  # noqa: F403  (the same tests, under another configuration)
from tests.redis_server import RedisServer

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module", autouse=True)
def shared(redis: RedisServer) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "settings_of", with_redis(redis))
        yield
