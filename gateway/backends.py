"""A configured provider, ready to be called: its adapter, its address and key, its limits."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.config.entries import ProviderEntry
from gateway.config.model import Settings
from gateway.services.gates import Gate
from providers.base import Options, Provider
from providers.registry import PROVIDERS
from providers.transport import Target

CONCURRENT = 500
WORKER_CONCURRENT = 4


@dataclass(frozen=True, slots=True)
class Polling:
    """Seconds between looks at an unfinished job: `first`, then each `factor` times longer, up to `most`."""

    first: float = 1.0
    factor: float = 1.5
    most: float = 5.0

    def after(self, looks: int) -> float:
        """Seconds to wait before look number `looks`, counted from 0."""
        return min(self.most, self.first * self.factor ** min(looks, 64))


@dataclass(frozen=True, slots=True)
class Backend:
    """One entry of `providers:` in the configuration."""

    name: str
    adapter: Provider
    targets: tuple[Target, ...]
    gate: Gate
    polling: Polling = field(default_factory=Polling)
    turns: itertools.count[int] = field(default_factory=itertools.count)

    def target(self) -> Target:
        """The address for the next submission, in turn."""
        return self.targets[next(self.turns) % len(self.targets)]


def origin(url: str) -> str:
    """scheme://host:port of a URL, the port always written."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def build_backends(settings: Settings, before: Mapping[str, Backend] | None = None) -> Mapping[str, Backend]:
    """Every configured provider by its name. A provider that was there `before` keeps its gate, and with it the
    count of what is in flight."""
    gates = {name: backend.gate for name, backend in (before or {}).items()}
    return {name: _build(name, entry, settings, gates.get(name)) for name, entry in settings.providers.items()}


def _build(name: str, entry: ProviderEntry, settings: Settings, gate: Gate | None) -> Backend:
    adapter = PROVIDERS[entry.type](
        Options(
            name=name,
            rename=entry.rename,
            drop=tuple(entry.drop),
            extras=entry.extras,
            edits=entry.edits,
            profile=entry.profile,
        )
    )
    secret = entry.api_key.get_secret_value() if entry.api_key is not None else None
    headers = {**entry.headers, **adapter.headers(secret)}
    urls = entry.addresses or (adapter.base_url or "",)
    targets = tuple(
        Target(
            base_url=url,
            headers=headers,
            connect_timeout=settings.limits.connect_seconds,
            read_timeout=entry.timeout_seconds or settings.limits.read_seconds,
            reply_bytes_most=settings.limits.reply_bytes,
        )
        for url in urls
    )
    usual = WORKER_CONCURRENT * len(targets) if entry.type == "flux_worker" else CONCURRENT
    limit = entry.max_concurrent or usual
    if gate is None:
        gate = Gate(limit)
    else:
        gate.resize(limit)
    polling = entry.poll_seconds
    return Backend(
        name=name,
        adapter=adapter,
        targets=targets,
        gate=gate,
        polling=Polling() if polling is None else Polling(polling.first, polling.factor, polling.max),
    )
