"""GET /admin/jobs: submissions whose outcome is still to come."""

from __future__ import annotations

import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse

from gateway.admin.entering import entered
from gateway.container import Services
from gateway.services.attempts import Attempt
from normalization.errors import InvalidValue, OperatorError

STATES: Final = ("sending", "accepted")
JOBS: Final = "jobs"
"""The inquiry after what another replica has under way."""
TOLD_MOST = 1000
"""Submissions that a replica tells others of, the oldest: Redis is to carry no more at once."""


async def jobs(request: Request) -> JSONResponse:
    """All of them, or those in one `state`, oldest first; of all replicas that answer. Raises InvalidValue."""
    services: Services = request.app.state.services
    state = request.query_params.get("state") or None
    if state is not None and state not in STATES:
        raise InvalidValue(f"state: {state[:100]!r} is none of {', '.join(STATES)}", param="state")
    await entered(services)
    found = {job["id"]: job for replica in await _elsewhere(services) for job in replica}
    found |= {job["id"]: job for job in await _here(services)}
    listed = sorted(found.values(), key=lambda job: str(job["id"]))
    return JSONResponse({"jobs": [job for job in listed if state in (None, job["state"])]})


def answer_jobs(services: Services) -> None:
    """Tell other replicas what is under way here when they ask."""

    async def told(_: Any) -> list[dict[str, Any]] | None:
        try:
            return (await _here(services))[:TOLD_MOST]
        except OperatorError:  # whoever asks is told by the others
            return None

    services.sharing.answer(JOBS, told)


async def _here(services: Services) -> list[dict[str, Any]]:
    """What all processes on this data directory have under way, oldest first."""
    now = time.time()
    return [_job(attempt, now) for attempt in await services.state.ledger.unsettled()]


async def _elsewhere(services: Services) -> list[Any]:
    """What the other replicas have under way; of one machine's workers each would tell the same."""
    return [] if services.redis is None else await services.sharing.survey(JOBS)


def _job(attempt: Attempt, now: float) -> dict[str, Any]:
    new = attempt.submission
    planned = new.planned_cost_micros
    return {
        "id": new.id,
        "generation_id": new.generation_id,
        "request_id": new.request_id,
        "provider": new.provider,
        "model": new.requested_model,
        "provider_model": new.model,
        "key": new.key_name,
        "operation": new.operation,
        "images": new.images,
        "state": attempt.state,
        "job": attempt.job,
        "created": int(new.created),
        "age_seconds": round(max(0.0, now - new.created), 1),
        "planned_cost_usd": None if planned is None else planned / 1_000_000,
    }
