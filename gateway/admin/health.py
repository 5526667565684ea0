"""GET /admin/health: the state of everything that a picture needs, in one look. No provider is asked."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse

from gateway.backends import Backend
from gateway.config.report import lacks_key
from gateway.container import Services
from gateway.services.breakers import Standing, State
from gateway.services.windows import Calls, percentile, together
from normalization.errors import OperatorError

POOR: Final = 0.9
"""A provider with a smaller share of calls that went well is degraded."""
PING_SECONDS: Final = 5.0
"""After it the state and the storage count as gone."""
SURVEY: Final = "load"
"""The inquiry after each provider's load and its calls in another process."""

Status = Literal["ok", "degraded", "open", "unconfigured"]


@dataclass(frozen=True, slots=True)
class Load:
    """What one process, or several together, have to do with a provider."""

    in_flight: int = 0
    queued: int = 0
    calls: Calls = field(default_factory=Calls)


async def health(request: Request) -> JSONResponse:
    """Everything, with 200 whatever it is: `status` tells."""
    services: Services = request.app.state.services
    state, storage, loads = await asyncio.gather(_state(services), _storage(services), _loads(services))
    # A provider that a reload has brought meanwhile has done nothing yet.
    providers = {name: _provider(services, name, loads.get(name, Load())) for name in services.backends}
    return JSONResponse(
        {
            "status": _overall(services, providers, kept=state.kept and storage["ok"], shared=state.shared),
            "uptime_seconds": round(max(0.0, time.time() - services.created), 1),
            "version": version("imagegate"),
            "state": state.entry(),
            "storage": storage,
            "providers": providers,
        }
    )


def loads_of(services: Services) -> dict[str, Load]:
    """This process's load of each provider."""
    return {
        name: Load(backend.gate.in_flight, backend.gate.queued + backend.pace.queued, backend.window.calls())
        for name, backend in services.backends.items()
    }


def answer_surveys(services: Services) -> None:
    """Tell other processes this one's loads when they ask."""

    async def told(_: Any) -> dict[str, Any]:
        return {
            name: [load.in_flight, load.queued, load.calls.count, load.calls.well, load.calls.seconds]
            for name, load in loads_of(services).items()
        }

    services.sharing.answer(SURVEY, told)


async def _loads(services: Services) -> dict[str, Load]:
    """The loads of all processes together."""
    found: defaultdict[str, list[Load]] = defaultdict(list)
    for name, load in loads_of(services).items():
        found[name].append(load)
    for told in await services.sharing.survey(SURVEY):
        for name, (in_flight, queued, count, well, seconds) in told.items():
            found[name].append(Load(in_flight, queued, Calls(count, well, tuple(seconds))))
    return {
        name: Load(
            sum(each.in_flight for each in loads),
            sum(each.queued for each in loads),
            together(each.calls for each in loads),
        )
        for name, loads in found.items()
    }


@dataclass(frozen=True, slots=True)
class Records:
    """`kept`: a record could be made now. `shared`: other replicas would know of it; True where there are none."""

    kind: str
    kept: bool
    shared: bool
    seconds: float

    def entry(self) -> dict[str, Any]:
        return {"kind": self.kind, "ok": self.kept and self.shared, "latency_ms": round(self.seconds * 1000, 3)}


async def _state(services: Services) -> Records:
    began = time.monotonic()
    kept, redis = await _answers(services.state.attempts.ping()), services.redis
    seconds = time.monotonic() - began if redis is None else redis.latency
    return Records(services.state.kind, kept, redis is None or redis.available, seconds)


async def _storage(services: Services) -> dict[str, Any]:
    ok = await _answers(services.storage.check())
    free: int | None = None
    try:
        async with asyncio.timeout(PING_SECONDS):
            free = await services.storage.free_bytes()
    except (OperatorError, OSError, TimeoutError):
        ok = False
    kind = services.settings.storage.url.partition(":")[0]
    return {"kind": kind, "ok": ok, "free_bytes": free}


async def _answers(asked: Any) -> bool:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await asked
    except (OperatorError, OSError, TimeoutError):
        return False
    return True


def _provider(services: Services, name: str, load: Load) -> dict[str, Any]:
    backend = services.backends[name]
    standings = [backend.circuits.standing(model) for model in _own_models(services, name)]
    troubles = [each.last_error for each in standings if each.last_error is not None]
    last = max(troubles, key=lambda trouble: trouble.at, default=None)
    calls = load.calls
    rate = calls.well / calls.count if calls.count else None
    return {
        "type": services.settings.providers[name].type,
        "status": _status(services, backend, standings, rate),
        "circuit": worst(each.state for each in standings),
        "in_flight": load.in_flight,
        "queued": load.queued,
        "success_rate_5m": None if rate is None else round(rate, 4),
        "p50_seconds": _rounded(percentile(calls.seconds, 50)),
        "p95_seconds": _rounded(percentile(calls.seconds, 95)),
        "last_error": None if last is None else {"at": int(last.at), "code": last.outcome},
        "models": _models(services, name),
    }


def _status(services: Services, backend: Backend, standings: Sequence[Standing], rate: float | None) -> Status:
    if lacks_key(services.settings.providers[backend.name]):
        return "unconfigured"
    states = [each.state for each in standings]
    if states and all(state == "open" for state in states):
        return "open"
    if worst(states) != "closed" or (rate is not None and rate < POOR):
        return "degraded"
    return "ok"


def worst(states: Iterable[State]) -> State:
    """The state that a provider is in whose models' circuits are in these."""
    found = set(states)
    return "open" if "open" in found else "half_open" if "half_open" in found else "closed"


def _overall(services: Services, providers: Mapping[str, dict[str, Any]], *, kept: bool, shared: bool) -> str:
    """`down`: no picture can be made. `degraded`: some cannot, or not by whom they should, or other replicas do not
    know of it."""
    served = [
        any(_usable(services, providers, route.provider, route.model) for route in model.routes)
        for model in services.settings.models.values()
    ]
    if not kept or not any(served):
        return "down"
    troubled = any(each["status"] in ("degraded", "open") for each in providers.values())
    return "degraded" if troubled or not shared or not all(served) else "ok"


def _usable(services: Services, providers: Mapping[str, dict[str, Any]], name: str, model: str) -> bool:
    return providers[name]["status"] != "unconfigured" and services.backends[name].circuits.state(model) != "open"


def _own_models(services: Services, provider: str) -> list[str]:
    """The provider's own ids that models lead to."""
    routes = (route for model in services.settings.models.values() for route in model.routes)
    return list(dict.fromkeys(route.model for route in routes if route.provider == provider))


def _models(services: Services, provider: str) -> list[str]:
    """The configured models that have a route to the provider."""
    models = services.settings.models.items()
    return [name for name, model in models if any(route.provider == provider for route in model.routes)]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
