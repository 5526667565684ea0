"""Every metric: its name, its labels, and how the values of several processes become one.

No value that a client writes is ever a label: models are configured names, endpoints are route templates, and all other
words come from short lists of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "histogram", "gauge"]

SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Bounds for whatever waits for a picture to be made."""
WORK_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds for work on a picture that is there."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `name` is what it is asked for by; a histogram's samples add `_bucket`, `_sum` and `_count`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    about: str
    bounds: tuple[float, ...] = ()
    highest: bool = False
    """A gauge of which the highest value of all processes is told; of others the sum is."""


def _counter(name: str, labels: tuple[str, ...], about: str) -> Family:
    return Family(name, "counter", labels, about)


def _gauge(name: str, labels: tuple[str, ...], about: str, *, highest: bool = False) -> Family:
    return Family(name, "gauge", labels, about, highest=highest)


REQUESTS: Final = _counter(
    "imagegate_requests_total", ("endpoint", "model", "status"), "Requests answered; 499: the client left before."
)
REQUEST_SECONDS: Final = Family(
    "imagegate_request_seconds",
    "histogram",
    ("endpoint", "model"),
    "Seconds from a request's head to the last byte of its answer.",
    SECONDS,
)
UPSTREAM_CALLS: Final = _counter(
    "imagegate_upstream_calls_total", ("provider", "model", "outcome"), "Submissions to providers, by their end."
)
UPSTREAM_SECONDS: Final = Family(
    "imagegate_upstream_seconds",
    "histogram",
    ("provider", "model"),
    "Seconds from a submission to its finished pictures, or to its failure.",
    SECONDS,
)
NOT_BEGUN: Final = _counter(
    "imagegate_calls_not_begun_total", ("provider", "reason"), "Submissions that never began: queue, disk or state."
)
IMAGES: Final = _counter("imagegate_images_total", ("provider", "model", "format"), "Finished pictures.")
COST: Final = _counter(
    "imagegate_cost_usd_total", ("provider", "model", "key"), "US dollars charged, as far as prices are known."
)
UNKNOWN_COST: Final = _counter(
    "imagegate_unknown_cost_total",
    ("provider", "model"),
    "Submissions that were charged, or may have been, at a price that nobody knows.",
)
DEGRADED: Final = _counter(
    "imagegate_degraded_total", ("parameter", "behavior"), "Parameters that were not served precisely as asked."
)
CONVERT_SECONDS: Final = Family(
    "imagegate_convert_seconds",
    "histogram",
    ("from", "to"),
    "Seconds to check and finish a provider's picture, waiting for the codecs included.",
    WORK_SECONDS,
)
IN_FLIGHT: Final = _gauge("imagegate_in_flight", ("provider",), "Submissions at a provider now.")
QUEUE_DEPTH: Final = _gauge("imagegate_queue_depth", ("provider",), "Submissions that wait for their turn.")
CIRCUIT_STATE: Final = _gauge(
    "imagegate_circuit_state", ("provider", "model"), "0 closed, 1 half open, 2 open.", highest=True
)
GENERATIONS: Final = _gauge("imagegate_generations_in_progress", (), "Generations under way, waited for or not.")
PICTURE_BYTES: Final = _gauge("imagegate_picture_memory_bytes", (), "Bytes of pictures counted in memory.")
PICTURES_WAITING: Final = _gauge("imagegate_picture_memory_waiting", (), "Replies and requests waiting for memory.")
CODEC_QUEUE: Final = _gauge("imagegate_codec_queue_depth", (), "Pictures that wait for a codec process.")
CODEC_PROCESSES: Final = _gauge("imagegate_codec_processes", (), "Codec processes that are alive.")
UNWRITTEN: Final = _gauge(
    "imagegate_unwritten_records",
    (),
    "Records of paid work that are not on disk yet, or not told to Redis yet; stays above 0 where that fails.",
)
WORKERS: Final = _gauge("imagegate_workers", (), "Processes that serve.")
BUILD_INFO: Final = _gauge(
    "imagegate_build_info", ("version", "python"), "Always 1; the labels tell what runs.", highest=True
)

DECLARED: Final = (
    REQUESTS,
    REQUEST_SECONDS,
    UPSTREAM_CALLS,
    UPSTREAM_SECONDS,
    NOT_BEGUN,
    IMAGES,
    COST,
    UNKNOWN_COST,
    DEGRADED,
    CONVERT_SECONDS,
    IN_FLIGHT,
    QUEUE_DEPTH,
    CIRCUIT_STATE,
    GENERATIONS,
    PICTURE_BYTES,
    PICTURES_WAITING,
    CODEC_QUEUE,
    CODEC_PROCESSES,
    UNWRITTEN,
    WORKERS,
    BUILD_INFO,
)
BY_NAME: Final = {family.name: family for family in DECLARED}
