"""What is counted as it happens: requests when they are over, submissions when they are settled.

Each gateway has a registry of its own, so that several in one process do not count for each other. What can be looked
up is not counted here but read when somebody asks: see `gauges`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from gateway.api.account import UNKNOWN, Account
from gateway.config.entries import ModelEntry
from gateway.outcome import CallResult, Candidate, Order
from gateway.telemetry import families
from gateway.telemetry.families import DECLARED, Family
from normalization.errors import Charge
from normalization.parameters import BY_NAME
from normalization.vocabulary import Format
from providers.base import Fault

FAMILIES: Final = [(family.name, family.labels) for family in DECLARED]
"""Every metric there is: its name, and the names of its labels."""

NOBODY: Final = "none"
"""Whose cost it is where no key is asked for."""

PARAMETERS: Final = frozenset(BY_NAME) | {"image", "mask"}
EXTRA: Final = "extra"
"""A parameter that the gateway does not know: its name is the client's own."""

OTHER: Final = "other"
WORDS_MOST: Final = 100
"""Different words that a label whose words are not listed here may have."""

AWAITED: Final = (
    "ok",
    "outcome_unknown",
    "interrupted",
    "job_given_up",
    "job_lost",
    "generation_timeout",
    "upstream_auth",
    "upstream_config",
    "upstream_tls",
    "insufficient_provider_credit",
    *(f"unknown:{fault}" for fault in get_args(Fault)),
)
"""Ends of submissions that an alert should tell of the first time."""

M = TypeVar("M", bound=MetricWrapperBase)


class Children(dict[tuple[str, ...], M]):
    """A metric's children by their labels' values, each looked up in the metric once."""

    def __init__(self, metric: M) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, values: tuple[str, ...]) -> M:
        child = self[values] = self._metric.labels(*values)
        return child


class Words:
    """Lets so many different words through, and calls all others `other`: a label must not grow without bounds, not
    even by a mistake of ours."""

    def __init__(self, most: int = WORDS_MOST) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, word: str) -> str:
        if word in self._known:
            return word
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(word)
        return word


class Metrics:
    """Counts for one gateway. `models` are the configured names: no other is a label."""

    def __init__(self, models: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.models = frozenset(models)
        self._requests = self._counter(families.REQUESTS)
        self._request_seconds = self._histogram(families.REQUEST_SECONDS)
        self._calls = self._counter(families.UPSTREAM_CALLS)
        self._call_seconds = self._histogram(families.UPSTREAM_SECONDS)
        self._not_begun = self._counter(families.NOT_BEGUN)
        self._images = self._counter(families.IMAGES)
        self._cost = self._counter(families.COST)
        self._unknown_cost = self._counter(families.UNKNOWN_COST)
        self._degraded = self._counter(families.DEGRADED)
        self._convert_seconds = self._histogram(families.CONVERT_SECONDS)
        self._outcomes, self._endpoints = Words(), Words()

    def expect(self, models: Mapping[str, ModelEntry]) -> None:
        """Take over the configured models. What somebody may wait for begins at 0: Prometheus takes no first value for
        an increase."""
        self.models = frozenset(models)
        for model, entry in models.items():
            for route in entry.routes:
                for outcome in AWAITED:
                    self._calls[route.provider, model, self._outcomes(outcome)].inc(0)
                self._unknown_cost[route.provider, model].inc(0)

    def request(self, account: Account) -> None:
        """A request is over."""
        endpoint, model = self._endpoints(account.endpoint), self.model(account.model)
        self._requests[endpoint, model, str(account.status)].inc()
        self._request_seconds[endpoint, model].observe(account.seconds)
        for parameter, behavior in account.degraded:
            self._degraded[parameter if parameter in PARAMETERS else EXTRA, behavior].inc()

    def settled(self, order: Order, candidate: Candidate, result: CallResult) -> None:
        """A submission has ended."""
        provider, model = candidate.plan.provider, self.model(order.model)
        self._calls[provider, model, self._outcomes(result.record.outcome)].inc()
        self._call_seconds[provider, model].observe(result.record.seconds)
        for picture in result.pictures.values():
            self._images[provider, model, picture.format.value].inc()
        if result.charge == "none":
            return
        if result.cost_micros is None:
            self._unknown_cost[provider, model].inc()
        elif result.cost_micros:
            self._cost[provider, model, order.key_name or NOBODY].inc(result.cost_micros / 1_000_000)

    def given_up(self, provider: str, model: str, charge: Charge) -> None:
        """Nobody can follow a job any more that another process had submitted."""
        self._calls[provider, self.model(model), "job_given_up"].inc()
        if charge == "unknown":
            self._unknown_cost[provider, self.model(model)].inc()

    def not_begun(self, provider: str, reason: str) -> None:
        """A submission never began."""
        self._not_begun[provider, self._outcomes(reason)].inc()

    def converted(self, source: Format, target: Format, seconds: float) -> None:
        """A provider's picture has been finished."""
        self._convert_seconds[source.value, target.value].observe(seconds)

    def model(self, name: str) -> str:
        """A model's name as a label."""
        return name if name in self.models else UNKNOWN

    def _counter(self, family: Family) -> Children[Counter]:
        return Children(Counter(family.name, family.about, family.labels, registry=self.registry))

    def _histogram(self, family: Family) -> Children[Histogram]:
        return Children(
            Histogram(family.name, family.about, family.labels, registry=self.registry, buckets=family.bounds)
        )
