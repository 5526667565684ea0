"""GET /metrics: what Prometheus reads of a worker."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from providers.flux_worker.worker.desk import Desk

SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)


class Metrics:
    """Counts answers, and reads the engine's standing whenever it is asked."""

    def __init__(self, desk: Desk) -> None:
        self._registry = CollectorRegistry()
        self._answers = Counter(
            "imagegate_worker_requests", "Answers to POST /v1/responses.", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "imagegate_worker_request_seconds",
            "From a request's first byte to the end of its answer.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._registry.register(_Standing(desk))

    def answered(self, status: int, seconds: float) -> None:
        """`status` 499: the client left."""
        self._answers.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The text in the form that the Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Standing(Collector):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("imagegate_worker_ready", "1 while it takes work.")
        ready.add_metric([], float(self._desk.why_not() is None))
        yield ready
        engine = self._desk.engine
        if engine is None:
            return
        now = engine.standing()
        pictures = CounterMetricFamily("imagegate_worker_pictures", "Pieces of work that ended.", labels=["end"])
        for end in ("made", "cancelled", "failed"):
            pictures.add_metric([end], getattr(now, end))
        yield pictures
        for name, told, value in (
            ("waiting", "Pieces of work in line.", now.waiting),
            ("running", "Pieces of work in the running batches.", now.running),
            ("batch_most", "Pieces of work that may share a step.", now.batch_most),
            ("memory_bytes", "The device's memory at its highest; 0 where that cannot be told.", now.memory_bytes),
            ("expected_seconds", "What a piece of work takes of late.", now.expected_seconds),
        ):
            gauge = GaugeMetricFamily(f"imagegate_worker_{name}", told)
            gauge.add_metric([], value)
            yield gauge
