"""A configured provider, ready to be called: its adapter, its address and key, its limits."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.config.entries import ProviderEntry
from gateway.config.limits import Limits
from gateway.config.model import Settings
from gateway.services.balance import Balance
from gateway.services.breakers import Breaking, Circuits
from gateway.services.gates import Gate
from gateway.services.pace import Pace
from gateway.services.retry_budget import RetryBudget
from gateway.services.sharing import Alone, Sharing
from gateway.services.speeds import Speeds
from gateway.services.windows import Window
from providers.base import Notifying, Options, Provider
from providers.registry import PROVIDERS
from providers.transport import Target

log = logging.getLogger("imagegate.backends")

CONCURRENT = 500
RPS_SECONDS = 10.0
"""A provider's own limit a second is kept over so many, so that a few requests at once need not wait."""
WORKER_CONCURRENT = 4


@dataclass(frozen=True, slots=True)
class Polling:
    """Seconds between looks at an unfinished job: `first`, then each `factor` times longer, up to `most`; once the job
    is `late` seconds old, `late_factor` times as long."""

    first: float = 1.0
    factor: float = 1.5
    most: float = 5.0
    late: float = math.inf
    late_factor: float = 1.0

    def after(self, looks: int, age: float = 0.0) -> float:
        """Seconds to wait before look number `looks`, counted from 0, at a job that was accepted `age` seconds ago."""
        usual = min(self.most, self.first * self.factor ** min(looks, 64))
        return usual * self.late_factor if age >= self.late else usual


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
    balance: Balance = field(default_factory=Balance)
    per_address: int | None = None
    """Calls at once for each address that takes work; None = the limit is of the provider as a whole."""
    polling_told: Polling = field(default_factory=Polling)
    """As `polling`, once a webhook has told that the job has ended."""
    webhooks: Webhooks | None = None
    """None = the provider is not asked to tell when a job has ended."""
    pace: Pace = field(default_factory=Pace)
    circuits: Circuits = field(default_factory=Circuits)
    speeds: Speeds = field(default_factory=Speeds)
    retry_budget: RetryBudget = field(default_factory=RetryBudget)
    window: Window = field(default_factory=Window)
    """How its calls from this process went lately."""
    models: frozenset[str] | None = None
    """Its own ids that are remembered; None = any."""

    def remembers(self, model: str) -> bool:
        """Whether it is kept in mind how calls for a model went. Not for an id that clients alone have named, of which
        there can be any number."""
        return self.models is None or model in self.models

    def target(self, address: str | None = None) -> Target:
        """Where the next submission goes: to the address with the least under way, of those that take work; or to the
        one that is `address`, where it is still configured."""
        named = {target.base_url: target for target in self.targets}
        if address in named:
            return named[address]
        chosen, configured = self.balance.choose(tuple(named))
        target = named[configured]
        return target if chosen == configured else replace(target, base_url=chosen)

    @property
    def addresses(self) -> list[str]:
        """Every address that there is to choose from."""
        return self.balance.expand([target.base_url for target in self.targets])

    @property
    def elsewhere(self) -> bool:
        """Whether one of several addresses takes work."""
        return self.balance.elsewhere([target.base_url for target in self.targets])


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


def build_backends(
    settings: Settings, before: Mapping[str, Backend] | None = None, sharing: Sharing | None = None
) -> Mapping[str, Backend]:
    """Every configured provider by its name. A provider that was there `before` keeps its gate, its pace and what is
    known of its health, but for what the new configuration may have mended. `sharing`: where other processes count with
    this one. Raises ConfigurationError where a kind of provider cannot do with its entry."""
    old = before or {}
    sharing = sharing or Alone()
    # First what may be refused: nothing that is in force is touched by a configuration that is not taken over.
    adapters = {
        name: adapter_of(name, entry, _webhook_url(name, entry, settings)) for name, entry in settings.providers.items()
    }
    made = {}
    for name, adapter in adapters.items():
        counts = _remembered(old[name]) if name in old else _counts(name, settings.limits, sharing)
        made[name] = _build(name, adapter, settings, counts)
    return made


@dataclass(frozen=True, slots=True)
class _Counts:
    """What counts on from one configuration to the next."""

    gate: Gate
    pace: Pace
    circuits: Circuits
    speeds: Speeds
    retry_budget: RetryBudget
    window: Window
    balance: Balance


def _webhook_url(name: str, entry: ProviderEntry, settings: Settings) -> str | None:
    """Where the provider may send notices. A public address that came with a reload holds only after a restart."""
    base = settings.server.public_url
    if not entry.webhooks or base is None:
        if entry.webhooks:
            log.warning("providers.%s.webhooks waits for a restart, as server.public_url does", name)
        return None
    return f"{base.rstrip('/')}/webhooks/{name}"


def adapter_of(name: str, entry: ProviderEntry, webhook_url: str | None = None) -> Provider:
    """The adapter of a provider's entry. Raises ConfigurationError where its kind cannot do with the entry."""
    return PROVIDERS[entry.type](
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


def _build(name: str, adapter: Provider, settings: Settings, counts: _Counts) -> Backend:
    entry, limits = settings.providers[name], settings.limits
    secret = entry.api_key.get_secret_value() if entry.api_key is not None else None
    targets = _targets(entry, adapter, secret, limits)
    said = entry.poll_seconds
    polling = None if said is None else Polling(said.first, said.factor, said.max)
    webhooks = None
    if entry.webhooks and settings.server.public_url and secret is not None and isinstance(adapter, Notifying):
        webhooks = Webhooks(adapter, secret)
    usually = replace(polling or Polling(), late=limits.poll_late_seconds, late_factor=limits.poll_late_factor)
    worker = entry.type == "flux_worker"
    usual = WORKER_CONCURRENT * len(targets) if worker else CONCURRENT
    counts.balance.keep([target.base_url for target in targets])
    requests, seconds = paced(entry.requests_per_minute, adapter.traits.rps)
    counts.gate.resize(entry.max_concurrent or usual)
    counts.pace.change(requests, seconds, queue=limits.queue_length)
    return Backend(
        name=name,
        adapter=adapter,
        targets=targets,
        gate=counts.gate,
        polling=RARE if webhooks and polling is None else usually,
        polling_told=usually,
        webhooks=webhooks,
        pace=counts.pace,
        circuits=counts.circuits,
        speeds=counts.speeds,
        retry_budget=counts.retry_budget,
        window=counts.window,
        balance=counts.balance,
        per_address=WORKER_CONCURRENT if worker and entry.max_concurrent is None else None,
        models=_listed(name, adapter, settings),
    )


def _listed(name: str, adapter: Provider, settings: Settings) -> frozenset[str]:
    """The provider's own ids that somebody has written down: in a route, or in its adapter."""
    routes = (route for model in settings.models.values() for route in model.routes)
    return frozenset((*adapter.known_models, *(route.model for route in routes if route.provider == name)))


def _targets(entry: ProviderEntry, adapter: Provider, secret: str | None, limits: Limits) -> tuple[Target, ...]:
    headers = {**entry.headers, **adapter.headers(secret)}
    return tuple(
        Target(
            base_url=url,
            headers=headers,
            connect_timeout=limits.connect_seconds,
            read_timeout=entry.timeout_seconds or limits.read_seconds,
            write_timeout=limits.write_seconds,
            reply_bytes_most=limits.reply_bytes,
        )
        for url in entry.addresses or (adapter.base_url or "",)
    )


def paced(per_minute: int | None, per_second: float | None) -> tuple[int | None, float]:
    """So many requests in so many seconds: what the operator says, else what the provider tolerates, else no limit."""
    if per_minute is not None:
        return per_minute, 60.0
    if per_second is None:
        return None, 60.0
    most = int(per_second * RPS_SECONDS)
    return (most, RPS_SECONDS) if most else (1, 1.0 / per_second)


def _remembered(before: Backend) -> _Counts:
    """What is known of a provider outlives a reload, but a key or an empty account may have been mended."""
    before.circuits.forgive()
    return _Counts(
        before.gate, before.pace, before.circuits, before.speeds, before.retry_budget, before.window, before.balance
    )


def _counts(name: str, limits: Limits, sharing: Sharing) -> _Counts:
    breaking = Breaking(
        failures=limits.breaker_failures,
        percent=limits.breaker_percent,
        calls=limits.breaker_calls,
        window=limits.breaker_window_seconds,
        open_first=limits.breaker_open_seconds,
        open_most=limits.breaker_open_most_seconds,
    )
    return _Counts(
        gate=sharing.gate(name, CONCURRENT, queue=limits.queue_length),
        pace=sharing.pace(name, None, 60.0, queue=limits.queue_length),
        circuits=sharing.circuits(name, breaking),
        speeds=Speeds(),
        retry_budget=RetryBudget(limits.retry_budget_percent, limits.retry_budget_least),
        window=Window(),
        balance=Balance(),
    )
