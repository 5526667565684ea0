"""A configured provider, ready to be called: its adapter, its address and key, its limits."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.config.entries import ProviderEntry
from gateway.config.model import Settings
from gateway.services.gates import Gate
from providers.base import Notifying, Options, Provider
from providers.registry import PROVIDERS
from providers.transport import Target

log = logging.getLogger("imagegate.backends")

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


RARE = Polling(first=10.0, factor=1.5, most=30.0)
"""With webhooks: a look only in case a notice is lost, so that many jobs stay far below a provider's request limit."""


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What proves that a notice is the provider's."""

    adapter: Notifying
    secret: str = field(repr=False)

    def job(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """The job that a notice is about; None where the provider did not send it."""
        return self.adapter.notice(headers, body, self.secret)


@dataclass(frozen=True, slots=True)
class Backend:
    """One entry of `providers:` in the configuration."""

    name: str
    adapter: Provider
    targets: tuple[Target, ...]
    gate: Gate
    polling: Polling = field(default_factory=Polling)
    turns: itertools.count[int] = field(default_factory=itertools.count)
    polling_told: Polling = field(default_factory=Polling)
    """As `polling`, once a webhook has told that the job has ended."""
    webhooks: Webhooks | None = None
    """None = the provider is not asked to tell when a job has ended."""

    def target(self) -> Target:
        """The address for the next submission, in turn."""
        return self.targets[next(self.turns) % len(self.targets)]


def origin(url: str) -> str:
    """scheme://host:port of a URL, the port always written."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def local(url: str) -> bool:
    """Whether an address is of this machine or of a private network, as far as it can be told without asking anybody:
    nobody on the internet could fetch anything there. A name without a dot is one of those, and so is no address."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))


def build_backends(settings: Settings, before: Mapping[str, Backend] | None = None) -> Mapping[str, Backend]:
    """Every configured provider by its name. A provider that was there `before` keeps its gate, and with it the
    count of what is in flight."""
    gates = {name: backend.gate for name, backend in (before or {}).items()}
    return {name: _build(name, entry, settings, gates.get(name)) for name, entry in settings.providers.items()}


def _webhook_url(name: str, entry: ProviderEntry, settings: Settings) -> str | None:
    """Where the provider may send notices. A public address that came with a reload holds only after a restart."""
    base = settings.server.public_url
    if not entry.webhooks or base is None:
        if entry.webhooks:
            log.warning("providers.%s.webhooks waits for a restart, as server.public_url does", name)
        return None
    return f"{base.rstrip('/')}/webhooks/{name}"


def _build(name: str, entry: ProviderEntry, settings: Settings, gate: Gate | None) -> Backend:
    webhook_url = _webhook_url(name, entry, settings)
    adapter = PROVIDERS[entry.type](
        Options(
            name=name,
            rename=entry.rename,
            drop=tuple(entry.drop),
            extras=entry.extras,
            edits=entry.edits,
            profile=entry.profile,
            webhook_url=webhook_url,
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
    said = entry.poll_seconds
    polling = None if said is None else Polling(said.first, said.factor, said.max)
    webhooks = None
    if webhook_url is not None and secret is not None and isinstance(adapter, Notifying):
        webhooks = Webhooks(adapter, secret)
    return Backend(
        name=name,
        adapter=adapter,
        targets=targets,
        gate=gate,
        polling=polling or (RARE if webhooks else Polling()),
        polling_told=polling or Polling(),
        webhooks=webhooks,
    )
