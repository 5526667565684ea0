"""What fetching somebody else's URL may do and how long it may take, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from providers.addresses import Network


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What a fetch may do. `allow_private`: networks that a URL may lead to although they are not public, on any port
    (public addresses: 80 and 443 only). `trusted_origin`: scheme, host and port of a provider's base URL, as written by
    the operator; a URL may name it wherever it resolves. `min_rate`: bytes a second, after 5 seconds; 0 = any.

    `reach_seconds_most`: for each place on the way, to resolve and to connect, TLS included. Where it is also the
    `failure_seconds_least`, no clock tells what may not be reached from what is closed, silent or has no address.
    """

    bytes_most: int = 50 * 1024 * 1024
    seconds_most: float = 120.0
    redirects_most: int = 3
    allow_private: tuple[Network, ...] = ()
    trusted_origin: str | None = None
    allow_http: bool = True
    min_rate: float = 10 * 1024
    resolve_seconds_most: float = 3.0
    reach_seconds_most: float = 10.0
    failure_seconds_least: float = 0.0
