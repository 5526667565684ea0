"""Whom a request goes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to call: a provider's base URL, the headers that authenticate to it (kept out of the repr), and its limits.

    `connect_timeout` spans DNS, TCP and TLS; `write_timeout` is the longest pause while sending, `read_timeout` while
    waiting for and reading the reply; all in seconds.
    """

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_timeout: float = 5.0
    read_timeout: float = 300.0
    write_timeout: float = 30.0
    reply_bytes_most: int = 256 * 1024 * 1024
