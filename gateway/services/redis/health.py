"""What is to be said of a Redis server before anything is trusted to it, by what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

LEAST = (6, 2)
"""Older ones are not tested with."""

_MENDED = {(6, 2): (6, 2, 20), (7, 2): (7, 2, 11), (7, 4): (7, 4, 6), (8, 0): (8, 0, 4), (8, 2): (8, 2, 2)}
_MENDED_VALKEY = {(7, 2): (7, 2, 11), (8, 0): (8, 0, 6), (8, 1): (8, 1, 4)}
"""The first of each series without the flaw in Lua of October 2025 (CVE-2025-49844), by its makers' announcements."""


def fields_of(info: bytes) -> dict[str, str]:
    """The fields of an answer to INFO."""
    lines = (line.strip() for line in info.decode("utf-8", "replace").splitlines())
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def warnings_of(info: Mapping[str, str]) -> list[str]:
    """A line for each thing that an operator should change."""
    said = []
    valkey = info.get("server_name") == "valkey"
    kind = "Valkey" if valkey else "Redis"
    written = info.get("valkey_version" if valkey else "redis_version", "")
    version = _numbers(written)
    if version and version < LEAST:
        said.append(f"{kind} {written} is older than 6.2, the oldest that is tested with")
    elif version and not _mended(version, _MENDED_VALKEY if valkey else _MENDED):
        said.append(
            f"{kind} {written} has a flaw by which whoever may run scripts can take over the server (CVE-2025-49844), "
            "unless whoever packaged it has mended it; see docs/operations.md"
        )
    policy = info.get("maxmemory_policy")
    if policy not in (None, "noeviction"):
        said.append(f"Redis throws records away when its memory is full: set maxmemory-policy to noeviction ({policy})")
    if info.get("aof_enabled") == "0":
        said.append("Redis loses what it was told last when it ends: set appendonly to yes")
    return said


def _mended(version: tuple[int, ...], mended: Mapping[tuple[int, int], tuple[int, ...]]) -> bool:
    series = (version[0], version[1])
    if series in mended:
        return version >= mended[series]
    return version >= max(mended.values())


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
