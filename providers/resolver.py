"""Names to addresses for URLs that somebody else named, apart from the resolving of the operator's own hosts."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from providers.addresses import Address

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""A host name to all its addresses, as text. Raises OSError when there are none."""

_THREADS = 16


class SystemResolver:
    """The system's resolver, in threads of its own: a hostile name server can hold a look-up for half a minute, and
    in the event loop's shared threads a handful of such names would stop the look-ups of providers."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="foreign-names")

    async def __call__(self, name: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, name)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


async def addresses_of(name: str, resolve: Resolve, seconds: float) -> tuple[Address, ...]:
    """All addresses of `name`, within `seconds`. Raises OSError when there are none or they take longer, ValueError
    when an answer is no address."""
    async with asyncio.timeout(seconds):
        answers = await resolve(name)
    if not answers:
        raise OSError("a name without addresses")
    return tuple(map(ipaddress.ip_address, answers))


def _look_up(name: str) -> list[str]:
    return [str(answer[4][0]) for answer in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
