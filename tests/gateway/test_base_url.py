"""Under which address a client is told to fetch its pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.requests import Request

from gateway.api.callers import base_url
from tests.raw import PROVIDED
from tests.served import settings_of

FORWARDED = {"host": "inside:8000", "x-forwarded-proto": "https", "x-forwarded-host": "pictures.example"}


def request(peer: str, headers: dict[str, str]) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "scheme": "http", "headers": raw, "client": (peer, 4711), "path": "/"})


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("10.0.0.1", "https://pictures.example"),
        ("::ffff:10.0.0.1", "https://pictures.example"),  # as a socket for both kinds of address tells it
        ("192.0.2.1", "http://inside:8000"),
        ("somewhere", "http://inside:8000"),
    ],
)
def test_only_a_trusted_proxy_says_where_pictures_are(peer: str, expected: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, {**PROVIDED, "server": {"trusted_proxies": ["10.0.0.0/8"]}})
    assert base_url(request(peer, FORWARDED), settings) == expected


@pytest.mark.parametrize("host", ['a"b', "a b", "a/b", "a@b", "", "x" * 300])
def test_what_is_no_host_becomes_no_address(host: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, PROVIDED)
    found = base_url(request("192.0.2.1", {"host": host}), settings)
    assert found == f"http://{settings.server.host}:{settings.server.port}"
