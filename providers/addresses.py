"""Which hosts and addresses a URL that somebody else named may lead to. Pure: nothing here resolves or connects.

`ipaddress.is_global` is no guard: on some supported Python versions it calls NAT64's 64:ff9b::7f00:1 (127.0.0.1 in
disguise), multicast and the metadata services of two clouds global. So the table is our own: for IPv4 the special
purpose blocks of RFC 6890 and its successors, for IPv6 only global unicast (RFC 4291) less its special blocks.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Standing = Literal["public", "opened", "blocked"]
"""`opened`: not public, but within a network that the operator has opened."""

HOST_CHARACTERS_MOST = 253

METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # AWS, Google, Azure, OpenStack and most others
            "169.254.170.2",  # AWS container credentials
            "169.254.170.23",  # AWS EKS pod identity
            "169.254.0.23",  # Tencent
            "168.63.129.16",  # Azure's host, on a public-looking address
            "100.100.100.200",  # Alibaba
            "192.0.0.192",  # Oracle
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # AWS EKS pod identity
            "fd20:ce::254",  # Google
        ),
    )
)
"""Services that hand out a machine's credentials to whoever asks from that machine. Blocked whatever is opened."""

METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)

_IPV4_SPECIAL = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",
        ),
    )
)
_IPV6_UNICAST = IPv6Network("2000::/3")
_IPV6_SPECIAL = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))

_MAPPED = IPv6Network("::ffff:0:0/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def standing(address: Address, opened: Iterable[Network] = ()) -> Standing:
    """Whether a foreign URL may lead to `address`, given the networks that the operator has `opened`.

    An IPv4 address in IPv6's clothes (mapped, or NAT64, which is how an IPv6-only host sees every IPv4 one) stands as
    the IPv4 address does; the other disguises are blocked with their whole block.
    """
    inner = embedded(address) if isinstance(address, IPv6Address) else ()
    if getattr(address, "scope_id", None) is not None or not METADATA.isdisjoint((address, *inner)):
        return "blocked"
    reached: Address = inner[0] if inner and (address in _MAPPED or address in _NAT64) else address
    if any(address in network or reached in network for network in opened):
        return "opened"
    return "public" if _is_public(reached) else "blocked"


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _IPV4_SPECIAL)
    return address in _IPV6_UNICAST and not any(address in block for block in _IPV6_SPECIAL)


def embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that `address` may carry inside; empty for an ordinary IPv6 address."""
    bits = int(address)
    if any(address in block for block in (_MAPPED, _TRANSLATED, _COMPATIBLE, _NAT64)):
        return (_ipv4(bits),)
    if address in _SIX_TO_FOUR:
        return (_ipv4(bits >> 80),)
    if address in _TEREDO:
        return (_ipv4(bits >> 64), _ipv4(~bits))
    if address in _NAT64_LOCAL:
        # RFC 6052 section 2.2 places the address by the length of the prefix in use, which is the network's own
        # choice, and leaves bits 64 to 71 free; all four places are looked at.
        upper = (bits >> 64) & 0xFFFF
        lower = (bits >> 32) & 0xFFFFFF
        return (
            _ipv4(upper << 16 | lower >> 8),
            _ipv4((upper & 0xFF) << 24 | lower),
            _ipv4(bits >> 24),
            _ipv4(bits),
        )
    return ()


def _ipv4(bits: int) -> IPv4Address:
    return IPv4Address(bits & 0xFFFFFFFF)


def host_of(host: str) -> Address | str:
    """The address or the lower-case name that `host` spells, an IPv6 address without its brackets.

    Raises ValueError for whatever two parsers might read differently: a number that is not a dotted quad (resolvers
    take 2130706433, 0x7f000001, 0177.0.0.1, 127.1 and 0 for addresses), a name outside letters, digits and hyphens,
    a trailing dot, a zone id. Names beyond ASCII are expected in their IDNA form.
    """
    if ":" in host:
        address = IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError("an IPv6 address with a zone id is not accepted in a URL")
        return address
    name = host.lower()
    labels = name.split(".")
    if len(name) > HOST_CHARACTERS_MOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("a host is made of labels of ASCII letters, digits and hyphens, 253 characters at most")
    if _NUMBER.fullmatch(labels[-1]):
        return IPv4Address(name)
    return name
