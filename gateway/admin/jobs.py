"""GET /admin/jobs: submissions whose outcome is still to come."""

from __future__ import annotations

import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse

from gateway.admin.entering import entered
from gateway.container import Services
from gateway.services.attempts import Attempt
from normalization.errors import InvalidValue

STATES: Final = ("sending", "accepted")


async def jobs(request: Request) -> JSONResponse:
    """All of them, or those in one `state`, oldest first. Raises InvalidValue."""
    services: Services = request.app.state.services
    state = request.query_params.get("state") or None
    if state is not None and state not in STATES:
        raise InvalidValue(f"state: {state[:100]!r} is none of {', '.join(STATES)}", param="state")
    now = time.time()
    await entered(services)
    found = await services.state.ledger.unsettled(state)
    return JSONResponse({"jobs": [_job(attempt, now) for attempt in found]})


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
