"""Who is asking: keys, and the address under which the client knows us."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from starlette.requests import Request

from gateway.config.model import KeyEntry, Settings
from gateway.services.budgets import Allotment
from gateway.services.sharing import Alone, Sharing
from gateway.serving.addresses import among, client_address, counted
from normalization.errors import AdminRequired, InvalidApiKey

HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a request. `name` None = nobody had to say who they are."""

    name: str | None = None
    models: tuple[str, ...] = ("*",)
    allotment: Allotment | None = None
    """Its budget; None = it may spend what it likes."""
    unpriced: bool = True
    """It may use routes whose price nobody knows."""


class Keyring:
    """The configured keys, held as digests only."""

    def __init__(self, settings: Settings, sharing: Sharing | None = None) -> None:
        """`sharing`: where other processes serve with this one, and hear what is guessed there."""
        self._open = settings.auth.mode == "none"
        self._callers = [(key.digest.encode(), _caller(key)) for key in settings.auth.keys]
        admin = settings.auth.admin_digest
        self._admin = None if admin is None else admin.encode()
        self._private = settings.server.loopback and settings.auth.mode == "none"
        limits = settings.limits
        most, most_in_all = limits.auth_failures_per_minute, limits.auth_failures_per_minute_total
        self._guesses = (sharing or Alone()).guesses(most, most_in_all)
        self._proxies = settings.server.trusted_proxies

    def identify(self, request: Request) -> Caller:
        """The caller by `Authorization: Bearer` or `api-key`; a key in the query is no key.

        Raises InvalidApiKey, to be told after `pause`, or RateLimitExceeded.
        """
        if self._open:
            return Caller()
        digest, address = self._given(request)
        found = self._owner(digest)
        if found is None:
            self._guesses.failed(address)
            raise InvalidApiKey("the API key is not one of this gateway's")
        self._guesses.proved(address, digest)
        return found

    def admit_admin(self, request: Request) -> None:
        """Return where the request carries the admin's key; where there is none, on a gateway that asks nobody for a
        key and that only this machine can reach.

        Raises InvalidApiKey, to be told after `pause`, AdminRequired or RateLimitExceeded.
        """
        if self._admin is None:
            if self._private:
                return
            raise AdminRequired("this is for the operator, and auth.admin_key is not configured")
        digest, address = self._given(request)
        is_admin, client = hmac.compare_digest(self._admin, digest.encode()), self._owner(digest)
        if not is_admin and client is None:
            self._guesses.failed(address)
            raise InvalidApiKey("the API key is not this gateway's admin key")
        self._guesses.proved(address, digest)
        if not is_admin:
            raise AdminRequired("this is for the operator: it takes the key of auth.admin_key, not a client's")

    def _given(self, request: Request) -> tuple[str, str]:
        """The digest of the request's key, and where it comes from."""
        given = _key(request)
        if given is None:
            raise InvalidApiKey("no API key: send it as 'Authorization: Bearer KEY' or in the header 'api-key'")
        digest, address = _digest(given), self._address(request)
        self._guesses.check(address, digest)
        return digest, address

    def _owner(self, digest: str) -> Caller | None:
        written = digest.encode()
        found: Caller | None = None
        for known, caller in self._callers:  # every key is compared, so that the time tells nothing
            if hmac.compare_digest(known, written):
                found = caller
        return found

    @property
    def pause(self) -> float:
        """Seconds to wait before somebody is told that a key is wrong."""
        return self._guesses.pause

    def _address(self, request: Request) -> str:
        peer = request.client.host if request.client is not None else ""
        return counted(client_address(peer, request.headers.getlist("x-forwarded-for"), self._proxies))


def _caller(key: KeyEntry) -> Caller:
    budget = key.budget
    if budget is None:
        return Caller(key.name, key.models)
    return Caller(key.name, key.models, Allotment(budget.micros, budget.per), budget.unpriced == "allow")


def _key(request: Request) -> str | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return request.headers.get("api-key") or None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def base_url(request: Request, settings: Settings) -> str:
    """The address that hosted pictures are reached at: `server.public_url`, else the one the client used."""
    if settings.server.public_url:
        return settings.server.public_url.rstrip("/")
    scheme, host = request.scope.get("scheme", "http"), request.headers.get("host", "")
    told = _first(request.headers.get("x-forwarded-proto")), _first(request.headers.get("x-forwarded-host"))
    peer = request.client.host if request.client is not None else ""
    if any(told) and among(peer, settings.server.trusted_proxies):
        scheme, host = told[0] or scheme, told[1] or host
    if scheme not in ("http", "https"):
        scheme = "http"
    if not HOST.fullmatch(host):
        host = f"{settings.server.host}:{settings.server.port}"
    return f"{scheme}://{host}"


def _first(header: str | None) -> str:
    return header.split(",")[0].strip() if header else ""
