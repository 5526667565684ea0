"""What an Idempotency-Key and a client's own retry promise: the same where replicas share the records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway import test_idempotency as embedded
from tests.gateway.copresent import with_redis
from tests.gateway.test_idempotency import *  # noqa: F403  (the same tests, under another configuration)
from tests.redis_server import RedisServer

# It ages the records by hand, in the file of one replica.
del test_a_key_is_forgotten_in_its_time_and_beyond_its_number  # noqa: F821

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module", autouse=True)
def shared(redis: RedisServer) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "settings_of", with_redis(redis))
        yield
