"""Who asks at the wrong address, or from a page that may not call, is told so as in every other error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.raw import PROVIDED
from tests.served import served, settings_of

CONFIG = {**PROVIDED, "auth": {"mode": "none"}, "server": {"cors_origins": ["https://app.example"]}}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(settings_of(tmp_path_factory.mktemp("origins"), CONFIG)) as base:
        yield base.removesuffix("/v1")


def error_of(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/images/generations/"),
        ("POST", "/v1/responses/"),
        ("GET", "/healthz/"),
        ("GET", "/v1/models/sketch/"),
        ("GET", "/admin/config/"),
    ],
)
def test_a_path_with_a_slash_too_many_is_not_there_and_leads_nowhere_else(origin: str, method: str, path: str) -> None:
    response = httpx.request(method, origin + path, json={} if method == "POST" else None)
    assert response.status_code == 404
    assert "location" not in response.headers
    assert error_of(response)["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("page", "method"), [("https://evil.example", "POST"), ("https://app.example", "PUT"), ("null", "GET")]
)
def test_a_page_that_may_not_call_is_told_which_may(origin: str, page: str, method: str) -> None:
    asked = {"origin": page, "access-control-request-method": method, "access-control-request-headers": "authorization"}
    response = httpx.options(f"{origin}/v1/images/generations", headers=asked)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["param"]) == ("invalid_value", None)
    assert page in error["message"]
    assert "server.cors_origins" in error["message"]
    assert "access-control-allow-origin" not in response.headers
    assert "Origin" in response.headers["vary"]
