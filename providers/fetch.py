"""The one way to fetch a URL that somebody else named: a provider's result, a user's input picture.

Such a URL may try to reach what only this machine can (the loopback address, the private network, a cloud's metadata
service), to learn from errors and delays what is there, or to keep the gateway busy. So: the host is resolved once, all
its addresses must pass `addresses.standing`, the connection goes to one of exactly those and nowhere else, every
redirect starts over, nothing that authenticates is sent, and size, time and pace are bounded. The URL is parsed once,
and the parsed value is both what is checked and what is connected to. Whatever fails takes as long as whatever else.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from providers.addresses import METADATA_NAMES, Address, Network, host_of, standing
from providers.bodies import Gathering, Passing, Sink, TooLarge
from providers.fetch_policy import FetchPolicy as FetchPolicy
from providers.resolver import Resolve, SystemResolver, addresses_of
from providers.transport import HEADER_BYTES_MOST, USER_AGENT, causes_of, never_twice, trust
from providers.urls import Code, origin, parse
from providers.urls import Unfetchable as Unfetchable
from providers.urls import data_uri as data_uri

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

CONNECT_SECONDS_MOST = 5.0
PACE_GRACE_SECONDS = 5.0
"""A body may begin slowly; from then on its average pace counts."""

PUBLIC_PORTS = frozenset({80, 443})
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_ANYWHERE: tuple[Network, ...] = (ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("::/0"))


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a URL gave: its bytes (none where a sink took them), how many, and the host that served them in the end."""

    data: bytes
    length: int
    host: str


def least_seconds() -> float:
    """What a failure takes at least, and beyond its policy's own least: what is refused at once and what is tried and
    fails should not differ, and what timers and closing cost should not show."""
    return 0.05 + secrets.randbelow(50_000) / 1_000_000


class Fetcher:
    """Fetches foreign URLs, each over a connection of its own that nothing else uses. An async context manager, or call
    `aclose`. `resolve` and `tls` replace the system's resolver and the trusted certificates; `floor` tells the least
    seconds that a failure takes beyond its policy's, and `sleep` passes them."""

    def __init__(
        self,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        floor: Callable[[], float] = least_seconds,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._system = SystemResolver()
        self._resolve: Resolve = resolve or self._system
        self._tls = tls or trust()
        self._floor = floor
        self._clock = clock
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self._system.close()

    async def fetch(self, url: str, *, policy: FetchPolicy, deadline: float, sink: Sink | None = None) -> Fetched:
        """The bytes behind `url`, until `deadline` (on `clock`, time.monotonic) at the latest. Raises Unfetchable.

        A `sink` gets them as they come, in the event loop, and they are kept nowhere else; it may have had some when
        the fetch fails. What the sink raises is raised as it is, at once.
        """
        try:
            return await self._follow(url, policy, min(deadline, self._clock() + policy.seconds_most), sink)
        except _Spilt as spilt:
            raise spilt.error from spilt.error.__cause__

    async def _follow(self, place: str, policy: FetchPolicy, deadline: float, sink: Sink | None) -> Fetched:
        here: URL | None = None
        trusted = True
        for left in range(policy.redirects_most, -1, -1):
            async with self._levelled(policy, deadline):
                here = _next(place, here)
                # What a stranger redirects to is the stranger's word, even if it is the trusted origin.
                trusted = (
                    trusted and policy.trusted_origin is not None and origin(here) == origin(policy.trusted_origin)
                )
                found = await self._visit(here, policy, trusted, deadline, sink)
                if isinstance(found, Fetched):
                    return found
                if not left:
                    raise _unfetchable("redirects", here, f"more than {policy.redirects_most}")
                place = found
        raise AssertionError("unreachable: the last visit returns or raises")

    @asynccontextmanager
    async def _levelled(self, policy: FetchPolicy, deadline: float) -> AsyncIterator[None]:
        """Let no failure out before the time by which everything within has failed. Counted from each place on the
        way, for a redirect could otherwise wait until the time was up before it led to the one in question."""
        began = self._clock()
        try:
            yield
        except Unfetchable:
            until = min(began + policy.failure_seconds_least, max(began, deadline)) + self._floor()
            await self._sleep(max(0.0, until - self._clock()))
            raise

    async def _visit(
        self, url: URL, policy: FetchPolicy, trusted: bool, deadline: float, sink: Sink | None
    ) -> Fetched | str:
        """What `url` holds, or where it redirects to."""
        if url.scheme == "http" and not (policy.allow_http or trusted):
            raise _unfetchable("scheme", url, "only https is allowed")
        began = self._clock()
        with _told(url):
            async with asyncio.timeout(max(0.0, deadline - began)):
                addresses = await self._admit(url, policy, trusted)
                left = began + policy.reach_seconds_most - self._clock()
                async with (
                    self._session(addresses, left) as session,
                    session.get(url, allow_redirects=False) as response,
                ):
                    if response.status in REDIRECTS:
                        return _location(response)
                    _accept(response)
                    return await _read(response, policy, sink)

    async def _admit(self, url: URL, policy: FetchPolicy, trusted: bool) -> tuple[Address, ...]:
        """The addresses of the URL's host, to every one of which it may lead."""
        addresses = await self._addresses(url, policy, trusted)
        opened = _ANYWHERE if trusted else policy.allow_private
        for address in addresses:
            stands = standing(address, opened)
            if stands == "blocked":
                raise _unfetchable("blocked", url, "an address that foreign URLs may not lead to")
            if stands == "public" and url.port not in PUBLIC_PORTS:
                raise _unfetchable("blocked", url, "a port other than 80 and 443")
        return addresses

    async def _addresses(self, url: URL, policy: FetchPolicy, trusted: bool) -> tuple[Address, ...]:
        host: Address | str = (url.raw_host or "").lower()
        try:
            host = host_of(url.raw_host or "")
        except ValueError as error:
            # An operator may have named a host as no public one can be, with an underscore for instance.
            if not trusted:
                raise _unfetchable("host", url, "neither a name nor an address in plain form") from error
        if not isinstance(host, str):
            return (host,)
        if host in METADATA_NAMES:
            raise _unfetchable("blocked", url, "a metadata service")
        try:
            seconds = min(policy.resolve_seconds_most, policy.reach_seconds_most)
            return await addresses_of(host, self._resolve, seconds)
        except (OSError, ValueError) as error:
            raise _unfetchable("dns", url, type(error).__name__) from error

    def _session(self, addresses: tuple[Address, ...], seconds: float) -> aiohttp.ClientSession:
        # One for each visit: with no pool, no connection checked for one name can ever serve another.
        seconds = max(seconds, 0.001)  # 0 would mean no limit
        return aiohttp.ClientSession(
            connector=PinnedConnector(addresses, self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": USER_AGENT},
            timeout=aiohttp.ClientTimeout(total=None, connect=seconds, sock_connect=min(seconds, CONNECT_SECONDS_MOST)),
            middlewares=(never_twice,),
            max_line_size=HEADER_BYTES_MOST,
            max_field_size=HEADER_BYTES_MOST,
        )


class _Spilt(Exception):
    """A sink failed. Wrapped, for a full disk is an OSError as a broken connection is, and no fault of the URL."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Unpinned(OSError):
    """A connection was about to go, or has gone, to an address that was not checked."""


class PinnedConnector(aiohttp.TCPConnector):
    """Connects to one of `addresses` and to nothing else: names resolve to them, every socket is checked before it
    connects (aiohttp asks no resolver when the host is an address), and its peer before a request is written."""

    def __init__(self, addresses: tuple[Address, ...], tls: ssl.SSLContext) -> None:
        self._addresses = frozenset(addresses)
        super().__init__(
            resolver=_Pinned(addresses), use_dns_cache=False, force_close=True, ssl=tls, socket_factory=self._socket
        )

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        self._check(info[4][0])
        return socket.socket(info[0], info[1], info[2])

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        peer = connection.transport.get_extra_info("peername") if connection.transport else None
        try:
            if peer is None:
                raise ConnectionResetError("the peer is gone already")
            self._check(peer[0])
        except OSError:
            connection.close()
            raise
        return connection

    def _check(self, address: str | int) -> None:
        if ipaddress.ip_address(address) not in self._addresses:
            raise Unpinned("not an address that was checked")


class _Pinned(AbstractResolver):
    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=0,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


def _next(place: str, here: URL | None) -> URL:
    there = parse(place, here)
    if here is not None and here.scheme == "https" and there.scheme == "http":
        raise _unfetchable("scheme", there, "redirected from https to http")
    return there


def _location(response: aiohttp.ClientResponse) -> str:
    places = response.headers.getall("Location", [])
    if len(places) != 1:
        raise _unfetchable("redirects", response.url, f"{len(places)} places to go", response.status)
    return places[0]


def _accept(response: aiohttp.ClientResponse) -> None:
    if response.status != 200:
        raise _unfetchable("status", response.url, f"status {response.status}", response.status)
    for name, plain in (("Content-Encoding", "identity"), ("Transfer-Encoding", "chunked")):
        if any(value.strip().lower() not in ("", plain) for value in response.headers.getall(name, [])):
            raise _unfetchable("encoding", response.url, f"a {name} other than {plain}", response.status)


def _into(sink: Sink) -> Sink:
    def pour(chunk: bytes) -> None:
        try:
            sink(chunk)
        except Exception as error:
            raise _Spilt(error) from error

    return pour


async def _read(response: aiohttp.ClientResponse, policy: FetchPolicy, sink: Sink | None) -> Fetched:
    declared, most, rate = response.content_length, policy.bytes_most, policy.min_rate
    began = asyncio.get_running_loop().time()
    try:
        body = Gathering(declared, most) if sink is None else Passing(declared, most, _into(sink))
        async with asyncio.timeout_at(began + PACE_GRACE_SECONDS if rate else None) as pace:
            async for chunk in response.content.iter_any():
                body.add(chunk)
                if rate:
                    # What has come so far is used up, at the least pace allowed, at this time.
                    pace.reschedule(began + max(PACE_GRACE_SECONDS, body.received / rate))
    except TooLarge:
        raise _unfetchable("too_large", response.url, f"more than {most} bytes") from None
    except TimeoutError:
        raise _unfetchable("slow", response.url, f"less than {rate:g} bytes a second") from None
    return Fetched(body.body(), body.received, (response.url.raw_host or "").lower())


@contextmanager
def _told(url: URL) -> Iterator[None]:
    """Make whatever breaks a visit Unfetchable. Only class names go into the log: messages carry URLs."""
    try:
        yield
    except Unfetchable:
        raise
    except TimeoutError as error:
        raise _unfetchable("timeout", url, type(error).__name__) from error
    except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
        causes = list(causes_of(error))
        code: Code = "blocked" if any(isinstance(cause, Unpinned) for cause in causes) else "refused"
        raise _unfetchable(code, url, " ".join(dict.fromkeys(type(cause).__name__ for cause in causes))) from error


def _unfetchable(code: Code, url: URL, why: str, status: int | None = None) -> Unfetchable:
    # Enough to find in the log what one host did, not enough to read the host.
    host = hashlib.sha256((url.raw_host or "").lower().encode()).hexdigest()[:12]
    return Unfetchable(code, f"{why} (host {host})", status=status)
