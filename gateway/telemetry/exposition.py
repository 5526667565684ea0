"""From what each process counts to one text: samples as they travel between processes, their sums, and the answer.

A process tells two things. What it counted lasts: the sums go on holding it when the process is gone, or they would
fall, which Prometheus takes for a restart. What it measured is of now, and goes with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder

from gateway.telemetry.families import BY_NAME, DECLARED

Values = dict[str, float]
"""Values by what they are of: the JSON of a sample's family, its own name and its labels."""
Reading = tuple[str, tuple[str, ...], float]
"""A gauge's name, the values of its labels, and its own."""


@dataclass(slots=True)
class Told:
    """What a process tells of itself."""

    lasting: Values = field(default_factory=dict)
    now: Values = field(default_factory=dict)

    @classmethod
    def of(cls, registry: CollectorRegistry, readings: Iterable[Reading]) -> Told:
        told = cls()
        for metric in registry.collect():
            for sample in metric.samples:
                if not sample.name.endswith("_created"):  # as many series again, of use to nobody
                    told.lasting[_key(_family(sample.name), sample.name, sample.labels)] = sample.value
        for name, values, value in readings:
            key = _key(name, name, dict(zip(BY_NAME[name].labels, values, strict=True)))
            told.now[key] = max(told.now.get(key, value), value)
        return told

    def entry(self) -> dict[str, Values]:
        """As it travels."""
        return {"lasting": self.lasting, "now": self.now}


def text(everybody: Iterable[Mapping[str, Values]], accept: str) -> tuple[bytes, str]:
    """What all processes tell, as one text in the form that the Accept header asks for, and its content type."""
    encode, content_type = choose_encoder(accept)
    return encode(_Sums(everybody)), content_type


class _Sums:
    """The processes' values, family by family, as `prometheus_client` writes them."""

    def __init__(self, everybody: Iterable[Mapping[str, Values]]) -> None:
        self._samples: dict[str, dict[str, float]] = defaultdict(dict)
        for told in everybody:
            for part in told.values():
                for key, value in part.items():
                    self._add(key, value)

    def _add(self, key: str, value: float) -> None:
        name = orjson.loads(key)[0]
        samples = self._samples[name]
        if key not in samples:
            samples[key] = value
        elif BY_NAME[name].highest:
            samples[key] = max(samples[key], value)
        else:
            samples[key] += value

    def collect(self) -> Iterator[Metric]:
        for family in DECLARED:
            metric = Metric(family.name.removesuffix("_total"), family.about, family.kind)
            for key, value in self._samples.get(family.name, {}).items():
                _, name, labels = orjson.loads(key)
                metric.add_sample(name, labels, value)
            yield metric


def _key(family: str, name: str, labels: Mapping[str, Any]) -> str:
    return orjson.dumps([family, name, labels]).decode()


def _family(sample: str) -> str:
    """The name of the family that a sample belongs to."""
    if sample in BY_NAME:
        return sample
    return sample.rsplit("_", 1)[0]
