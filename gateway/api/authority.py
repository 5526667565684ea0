"""Who may call which route. A route that does not say so cannot be made, so none is open because somebody forgot it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, assert_never

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.api.account import account
from gateway.api.callers import Caller
from gateway.container import Services
from normalization.errors import InternalError, InvalidApiKey

Authority = Literal["anyone", "key", "admin", "signature", "provider"]
"""`anyone`; who has a client's key; who has the admin's key; who has a URL that we signed; a provider, whose signature
over its notice is looked at by the endpoint, as the URL's is."""

T = TypeVar("T")

_CONVERTED = re.compile(r"{(\w+):\w+}")


class Guarded(Route):
    """A route that declares who may call it. Whoever may not is refused before the endpoint hears of it."""

    def __init__(self, path: str, endpoint: Callable[..., Any], *, methods: list[str], authority: Authority) -> None:
        super().__init__(path, endpoint, methods=methods)
        self.authority = authority
        self.template = _CONVERTED.sub(r"{\1}", path)
        """The path as it is written for people, such as /v1/models/{model}."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises InvalidApiKey, AdminRequired or RateLimitExceeded."""
        request = Request(scope)
        account(request).endpoint = self.template
        # Of what is the admin's a stranger does not even hear which methods there are.
        if self.authority == "admin" or request.method in (self.methods or ()):
            await self._pass(request)
        await super().handle(scope, receive, send)

    async def _pass(self, request: Request) -> None:
        match self.authority:
            case "anyone" | "signature" | "provider":
                return
            case "key":
                caller = await _told(request, lambda services: services.keyring.identify(request))
                request.state.caller = caller
                noted = account(request)
                noted.known, noted.key_name = True, caller.name
            case "admin":
                await _told(request, lambda services: services.keyring.admit_admin(request))
                request.state.headers["cache-control"] = "no-store"
            case _:
                assert_never(self.authority)


async def _told(request: Request, ask: Callable[[Services], T]) -> T:
    """What the keyring says; a refusal of a key comes late where there are many of late."""
    services: Services = request.app.state.services
    try:
        return ask(services)
    except InvalidApiKey:
        await asyncio.sleep(services.keyring.pause)
        raise


def caller_of(request: Request) -> Caller:
    """Who calls a route for those with a key. Raises InternalError where the route is none of those."""
    found: Caller | None = getattr(request.state, "caller", None)
    if found is None:
        raise InternalError("a route that asks who calls must be declared with authority 'key'")
    return found


def refuse_undeclared(routes: Iterable[BaseRoute]) -> None:
    """Raises TypeError for a route that does not say who may call it."""
    for route in routes:
        if not isinstance(route, Guarded):
            raise TypeError(f"{route!r} does not declare who may call it; accepted: Guarded, with an authority")
