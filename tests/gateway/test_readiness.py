"""/readyz says no where a picture could not be bought or kept, and /admin/health says why."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from gateway.services.attempts_sqlite import FILE
from tests.redis_server import RedisServer
from tests.served import served, settings_of

MODELS = {
    "providers": {"draw": {"type": "sketch"}},
    "models": {"m": {"routes": [{"provider": "draw", "model": "sketch"}]}},
}


def test_a_gateway_that_cannot_keep_records_is_not_ready(tmp_path: Path) -> None:
    with served(settings_of(tmp_path, {"auth": {"mode": "none"}, **MODELS})) as base_url:
        origin = base_url.removesuffix("/v1")
        assert httpx.get(f"{origin}/readyz").status_code == 200
        with closing(sqlite3.connect(tmp_path / "data" / FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = httpx.get(f"{origin}/readyz", timeout=20)
            other.execute("ROLLBACK")
        assert refused.status_code == 503
        assert "records" in refused.text
        assert httpx.get(f"{origin}/readyz", timeout=20).status_code == 200


@pytest.mark.needs("redis-server")
def test_a_gateway_whose_redis_is_away_is_ready_and_degraded(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    try:
        config = {
            "auth": {"mode": "none"},
            "state": {"url": server.url()},
            "storage": {"signing_key": "signs-the-pictures-of-this-test"},
            **MODELS,
        }
        with served(settings_of(tmp_path, config)) as base_url:
            origin = base_url.removesuffix("/v1")
            there = httpx.get(f"{origin}/admin/health").json()
            assert (there["status"], there["state"]["kind"], there["state"]["ok"]) == ("ok", "redis", True)
            server.stop()
            until = time.monotonic() + 20
            while (away := httpx.get(f"{origin}/admin/health").json())["state"]["ok"]:
                assert time.monotonic() < until
            assert away["status"] == "degraded"
            assert httpx.get(f"{origin}/readyz").status_code == 200
    finally:
        server.stop()
