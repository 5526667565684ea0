"""Who may call which route: every route, by whoever there is, under every way to configure keys."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from gateway import app as wiring
from gateway.api.account import Account
from gateway.api.authority import Guarded, caller_of, refuse_undeclared
from gateway.app import ROUTES, create_app
from gateway.config.model import Settings
from normalization.errors import InternalError
from tests.served import settings_of

pytestmark = pytest.mark.anyio

CLIENT, OTHER, ADMIN, WRONG = "client-key-1", "client-key-2", "the-admin-key", "nobodys-key"

IDENTITIES: dict[str, dict[str, Any]] = {
    "nobody": {},
    "a wrong key": {"headers": {"authorization": f"Bearer {WRONG}"}},
    "no scheme": {"headers": {"authorization": ADMIN}},
    "a client": {"headers": {"authorization": f"Bearer {CLIENT}"}},
    "another client": {"headers": {"api-key": OTHER}},
    "the admin": {"headers": {"authorization": f"Bearer {ADMIN}"}},
    "the admin by api-key": {"headers": {"api-key": ADMIN}},
    "the admin in the query": {"params": {"api-key": ADMIN, "api_key": ADMIN, "key": ADMIN, "admin_key": ADMIN}},
    "a client in the query": {"params": {"api-key": CLIENT, "api_key": CLIENT, "key": CLIENT}},
}
CLIENTS = ("a client", "another client")
ADMINS = ("the admin", "the admin by api-key")

KEYS = [{"name": "one", "key": CLIENT}, {"name": "two", "key": OTHER}]
MODES: dict[str, dict[str, Any]] = {
    "keys and an admin": {"auth": {"keys": KEYS, "admin_key": ADMIN}},
    "keys alone": {"auth": {"keys": KEYS}},
    "an admin alone": {"auth": {"mode": "none", "admin_key": ADMIN}},
    "open on loopback": {"auth": {"mode": "none"}},
    "open to the network": {"auth": {"mode": "none"}, "server": {"host": "0.0.0.0"}},
}


def expected(authority: str, mode: str, identity: str) -> int | None:
    """What the caller is told; None = it is let through."""
    if authority == "key" and mode in ("keys and an admin", "keys alone"):
        return None if identity in CLIENTS else 401
    if authority != "admin" or mode == "open on loopback":
        return None
    if mode in ("keys alone", "open to the network"):
        return 403
    if identity in ADMINS:
        return None
    return 403 if identity in CLIENTS and mode == "keys and an admin" else 401


def settings_for(folder: Path, mode: str) -> Settings:
    return settings_of(
        folder,
        {
            **MODES[mode],
            "limits": {"auth_failures_per_minute": 100_000, "auth_failures_per_minute_total": 100_000},
            "storage": {"url": "memory"},
            "providers": {"sketch": {"type": "sketch"}},
            "models": {"sketch": {"routes": [{"provider": "sketch", "model": "sketch"}]}},
        },
    )


@asynccontextmanager
async def gateway(settings: Settings, accounts: list[Account] | None = None) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    if accounts is not None:
        app.state.services.keepers.append(accounts.append)
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            yield client
    finally:
        await app.state.services.close()


def path_of(route: Guarded) -> str:
    return re.sub(r"{\w+}", "sketch", route.template)


@pytest.mark.parametrize("mode", MODES)
async def test_every_route_lets_in_whom_it_declares_and_nobody_else(tmp_path: Path, mode: str) -> None:
    accounts: list[Account] = []
    wrong = []
    async with gateway(settings_for(tmp_path, mode), accounts) as client:
        for route, (identity, shown) in itertools.product(ROUTES, IDENTITIES.items()):
            for method in sorted(route.methods or ()):
                response = await client.request(method, path_of(route), **shown)
                told = response.status_code if response.status_code in (401, 403) else None
                if told != expected(route.authority, mode, identity) or response.status_code >= 500:
                    wrong.append((method, route.path, identity, response.status_code))
                assert accounts[-1].endpoint == route.template
    assert wrong == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"])
async def test_no_other_method_slips_through_to_the_operators_endpoints(tmp_path: Path, mode: str, method: str) -> None:
    async with gateway(settings_for(tmp_path, mode)) as client:
        for route, (identity, shown) in itertools.product(ROUTES, IDENTITIES.items()):
            if route.authority == "admin":
                response = await client.request(method, path_of(route), **shown)
                let_in = 200 if method == "HEAD" else 405
                assert response.status_code == (expected("admin", mode, identity) or let_in), (route.path, identity)
                if method == "HEAD":
                    assert response.content == b""


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_not_there_is_not_found_by_anybody(tmp_path: Path, mode: str) -> None:
    async with gateway(settings_for(tmp_path, mode)) as client:
        for path, shown in itertools.product(("/admin", "/admin/", "/admin/keys", "/v2"), IDENTITIES.values()):
            assert (await client.get(path, **shown)).status_code == 404


async def test_refusals_say_what_is_wanted_and_name_no_key(tmp_path: Path) -> None:
    async with gateway(settings_for(tmp_path, "keys and an admin")) as client:
        for identity, status, code in (
            ("nobody", 401, "invalid_api_key"),
            ("a wrong key", 401, "invalid_api_key"),
            ("a client", 403, "admin_required"),
        ):
            response = await client.get("/admin/health", **IDENTITIES[identity])
            assert (response.status_code, response.json()["error"]["code"]) == (status, code)
            assert "-key-" not in response.text
            assert WRONG not in response.text
        told = await client.get("/v1/models", **IDENTITIES["the admin"])
        assert told.json()["error"]["code"] == "invalid_api_key", "the admin's key is no client's"


async def test_guessing_the_admins_key_is_counted_as_any_other(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "keys and an admin")
    limits = settings.limits.model_copy(update={"auth_failures_per_minute": 3})
    async with gateway(settings.model_copy(update={"limits": limits})) as client:
        assert (await client.get("/admin/config", **IDENTITIES["a client"])).status_code == 403
        statuses = [(await client.get("/admin/config", **IDENTITIES["a wrong key"])).status_code for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        assert (await client.get("/v1/models", **IDENTITIES["another client"])).status_code == 429
        # Nobody can shut out the operator for having tried it before.
        assert (await client.get("/admin/config", **IDENTITIES["a client"])).status_code == 403


async def test_a_reload_changes_the_admins_key(tmp_path: Path) -> None:
    app = create_app(settings_for(tmp_path, "keys alone"))
    services = app.state.services
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            assert (await client.get("/admin/config", **IDENTITIES["the admin"])).status_code == 403
            services.reload(settings_for(tmp_path, "keys and an admin"))
            assert (await client.get("/admin/config", **IDENTITIES["the admin"])).status_code == 200
    finally:
        await services.close()


async def nothing(_: Request) -> Response:
    return Response()


@pytest.mark.parametrize("route", [Route("/x", nothing), Mount("/y", routes=[Route("/x", nothing)])])
def test_a_gateway_with_a_route_that_says_nothing_does_not_start(
    tmp_path: Path, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TypeError, match="does not declare who may call it"):
        refuse_undeclared([*ROUTES, route])
    monkeypatch.setattr(wiring, "ROUTES", (*ROUTES, route))
    with pytest.raises(TypeError, match="does not declare"):
        create_app(settings_for(tmp_path, "open on loopback"))


def test_a_route_cannot_be_made_without_saying_who_may_call_it() -> None:
    with pytest.raises(TypeError, match="authority"):
        Guarded("/x", nothing, methods=["GET"])  # type: ignore[call-arg]


def test_an_endpoint_for_anyone_cannot_ask_who_calls() -> None:
    with pytest.raises(InternalError):
        caller_of(Request({"type": "http", "state": {}, "headers": []}))
