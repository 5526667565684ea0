"""Whose address a connection or a request counts for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Networks = Sequence[IPv4Network | IPv6Network]

PREFIX = 64
"""Bits of an IPv6 address that tell who it is: whoever has one address there has the other 2**64 as well."""


def parsed(text: str) -> IPv4Address | IPv6Address | None:
    """The address, an IPv4 one also where it is written as IPv6 (::ffff:192.0.2.1); None where it is none."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


@lru_cache(maxsize=4096)
def counted(text: str) -> str:
    """What stands for the address where connections or failures are counted: an IPv6 address's network of 64 bits."""
    found = parsed(text)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), PREFIX), strict=False))
    return text if found is None else str(found)


def among(text: str, networks: Networks) -> bool:
    """Whether the address lies in one of the networks."""
    found = parsed(text)
    return found is not None and any(found in network for network in networks)


def client_address(peer: str, forwarded: Sequence[str], proxies: Networks) -> str:
    """The client's address: the peer's own, or where the peer is one of `proxies` the last in `forwarded` that is none
    of them. `forwarded`: every X-Forwarded-For of the request in order, for some proxies add one of their own behind
    the client's. What stands further left was written by the client, and proves nothing."""
    if not proxies or not among(peer, proxies):
        return peer
    found = peer
    for entry in reversed(",".join(forwarded).split(",")):
        address = _without_port(entry.strip())
        if parsed(address) is None:
            break
        found = address
        if not among(address, proxies):
            break
    return found


def _without_port(entry: str) -> str:
    """Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
