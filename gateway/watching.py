"""Looks at the addresses of providers that tell at no cost whether they take work and what they can do.

Every few seconds, since a worker that is being loaded, drains or has died should get nothing, and its death should not
cost a request. The looks of one address never wait for another's.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.backends import Backend
from providers.base import Broken, Observed, WireRequest
from providers.target import Target
from providers.transport import Transport

log = logging.getLogger("imagegate.watching")

STEP_SECONDS, STEPS = 0.5, 10
"""Between one round of looks and the next there are so many steps: 5 seconds."""
PATIENCE_SECONDS = 3.0
"""A worker that has not answered by then gets no work until it does."""


@dataclass(frozen=True, slots=True)
class Watch:
    """`backends` gives those of the configuration that holds now."""

    transport: Transport
    backends: Callable[[], Mapping[str, Backend]]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            looked_at = self.backends()
            await self.round()
            for _ in range(STEPS):
                await asyncio.sleep(STEP_SECONDS)
                if self.backends() is not looked_at:  # adapters of a new configuration know nothing yet
                    break

    async def round(self) -> None:
        """One look at every address."""
        observed = [each for each in self.backends().values() if isinstance(each.adapter, Observed)]
        results = await asyncio.gather(*(self._backend(each) for each in observed), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                log.error("an unexpected error while looking at workers", exc_info=result)

    async def _backend(self, backend: Backend) -> None:
        await self._spread(backend)
        looks = [
            self._look(backend, replace(target, base_url=address))
            for target in backend.targets
            for address in backend.balance.expand((target.base_url,))
        ]
        await asyncio.gather(*looks)
        if backend.per_address is not None:
            ready = sum(map(backend.balance.takes_work, backend.addresses))
            limit = max(1, ready) * backend.per_address
            if backend.gate.limit != limit:
                backend.gate.resize(limit)

    async def _spread(self, backend: Backend) -> None:
        """Find out which addresses there are now. Of a name that nobody can tell, those stay that were known."""
        adapter, before = backend.adapter, backend.balance.spread
        assert isinstance(adapter, Observed)  # noqa: S101  (whoever looks has asked)
        names = [target.base_url for target in backend.targets]
        told = zip(names, await asyncio.gather(*map(behind, names)), strict=True)
        found = {name: before.get(name, ()) if hosts is None else hosts for name, hosts in told}
        spread = {name: hosts for name, hosts in found.items() if hosts}
        if spread != before:
            backend.balance.spread = spread
            backend.balance.keep(names)
        adapter.keep(backend.addresses)

    async def _look(self, backend: Backend, target: Target) -> None:
        adapter = backend.adapter
        assert isinstance(adapter, Observed)  # noqa: S101  (whoever looks has asked)
        target = replace(target, connect_timeout=PATIENCE_SECONDS, read_timeout=PATIENCE_SECONDS)
        request: WireRequest | None = adapter.look()
        ready = False
        while request is not None:
            answer = await self.transport.exchange(request, target, deadline=time.monotonic() + PATIENCE_SECONDS)
            if isinstance(answer, Broken):
                ready = False
                break
            seen = adapter.seen(target.base_url, answer, request)
            ready, request = seen.ready, seen.then
        if backend.balance.told(target.base_url, ready=ready):
            log.info("%s at %s %s", backend.name, target.base_url, "takes work" if ready else "takes no work")


async def behind(address: str) -> tuple[str, ...] | None:
    """The addresses behind a name that stands for several hosts, each with its IP in the name's place; none where there
    is one, or where the name is needed to tell who answers (https); None where nobody can tell now."""
    parts = urlsplit(address)
    if parts.scheme != "http" or parts.hostname is None or _is_address(parts.hostname):
        return ()
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter for a name that is none, such as one with two dots in a row
        return None
    hosts = sorted({str(info[4][0]) for info in found})
    return tuple(_with_host(address, host) for host in hosts) if len(hosts) > 1 else ()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _with_host(address: str, host: str) -> str:
    parts = urlsplit(address)
    port = "" if parts.port is None else f":{parts.port}"
    return parts._replace(netloc=(f"[{host}]" if ":" in host else host) + port).geturl()
