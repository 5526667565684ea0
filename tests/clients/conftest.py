"""Tests of a door that is not open yet are not collected."""

from __future__ import annotations

from tests.clients.doors import THROUGH

collect_ignore_glob = [
    f"test_{door}{ending}" for door, clients in THROUGH.items() if not clients for ending in (".py", "_by_*.py")
]
