"""What is divided between the workers, because each holds its part of it in its own hands."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config.limits import Limits
from gateway.config.model import Settings
from normalization.errors import ConfigurationError

DIVIDED = (
    "connections",
    "in_flight_picture_bytes",
    "codec_processes",
    "codec_queue",
)
"""Limits of the whole gateway of which each worker gets its share, at least 1."""


@dataclass(frozen=True, slots=True)
class Part:
    """Worker number `worker`, from 0, of `workers`. One that takes a dead one's place takes its number."""

    worker: int
    workers: int


def share_of(limits: Limits, part: Part) -> Limits:
    """A worker's limits; what does not divide evenly goes to the first."""
    shares = {}
    for name in DIVIDED:
        whole: int = getattr(limits, name)
        shares[name] = max(1, whole // part.workers + (part.worker < whole % part.workers))
    return limits.model_copy(update=shares)


def refuse_what_cannot_be_shared(settings: Settings, workers: int) -> None:
    """Raises ConfigurationError where several processes would each have their own of what must be one."""
    if workers > 1 and settings.storage.url == "memory":
        raise ConfigurationError(
            f"--workers: {workers} with storage.url: memory: a picture in the memory of one process cannot be had from "
            "another; accepted: 1 worker, or storage.url: file or a bucket"
        )


def overdrawn(settings: Settings, workers: int) -> str | None:
    """A warning where there are fewer codec processes than workers: none can do without."""
    processes = settings.limits.codec_processes
    if processes >= workers:
        return None
    return f"limits.codec_processes: {processes} for {workers} workers: each has one all the same, {workers} in all"
