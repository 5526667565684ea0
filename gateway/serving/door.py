"""How many connections are open, in all and from one address."""

from __future__ import annotations

from collections import Counter

from gateway.config.limits import Limits
from gateway.serving.addresses import Networks, among, counted, parsed
from normalization.errors import Overloaded

LINGERING_MOST = 256
"""Refused connections that are given time to read why; beyond it they are cut without a word."""


class Door:
    """Counts the connections of one process.

    Loopback and `proxies` stand for many clients, so neither is held to the limit of one address; they count in all.
    """

    def __init__(self, limits: Limits, proxies: Networks) -> None:
        self._limits = limits
        self._proxies = proxies
        self._addresses: Counter[str] = Counter()
        self.inside = 0
        self.lingering = 0

    def enter(self, peer: str | None) -> str | None:
        """Count a connection; what is returned is to be given to `leave`. Raises Overloaded at a limit."""
        limits = self._limits
        if self.inside >= limits.connections:
            raise Overloaded(f"{limits.connections} connections are open already (limits.connections)", retry_after=5)
        counts = self._counts(peer)
        if counts is not None:
            if self._addresses[counts] >= limits.connections_per_address:
                raise Overloaded(
                    f"{limits.connections_per_address} connections are open already from this address "
                    "(limits.connections_per_address)",
                    retry_after=5,
                )
            self._addresses[counts] += 1
        self.inside += 1
        return counts

    def leave(self, counts: str | None) -> None:
        """A counted connection is gone."""
        self.inside -= 1
        if counts is not None:
            self._addresses[counts] -= 1
            if self._addresses[counts] <= 0:
                del self._addresses[counts]

    def _counts(self, peer: str | None) -> str | None:
        found = None if peer is None else parsed(peer)
        if peer is None or found is None or found.is_loopback or among(peer, self._proxies):
            return None
        return counted(peer)
