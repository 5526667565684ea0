"""What is looked up when somebody asks. Nothing here is counted up and down, so nothing can drift."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from gateway.telemetry import families
from gateway.telemetry.exposition import Reading

if TYPE_CHECKING:
    from gateway.container import Services

CIRCUIT: Final = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


def readings(services: Services) -> Iterator[Reading]:
    """Every gauge of this process, once its services have started."""
    for name, backend in services.backends.items():
        yield families.IN_FLIGHT.name, (name,), backend.gate.in_flight
        yield families.QUEUE_DEPTH.name, (name,), backend.gate.queued + backend.pace.queued
    for model, entry in services.settings.models.items():
        for route in entry.routes:
            state = services.backends[route.provider].circuits.state(route.model)
            yield families.CIRCUIT_STATE.name, (route.provider, model), CIRCUIT[state]
    yield families.GENERATIONS.name, (), len(services.jobs)
    yield families.PICTURE_BYTES.name, (), services.weights.held
    yield families.PICTURES_WAITING.name, (), services.weights.waiting
    yield families.CODEC_QUEUE.name, (), services.pool.queued
    yield families.CODEC_PROCESSES.name, (), len(services.pool.pids)
    yield families.UNWRITTEN.name, (), services.state.attempts.unwritten
    yield families.WORKERS.name, (), 1
    yield families.BUILD_INFO.name, (_version(), platform.python_version()), 1


@cache
def _version() -> str:
    try:
        return version("imagegate")
    except PackageNotFoundError:
        return "unknown"
