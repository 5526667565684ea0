"""What would be sent, to whom, and what it should cost: a plan as JSON."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from gateway.ordering import Prepared
from gateway.outcome import Candidate
from providers.base import WireRequest


def dry_run(prepared: Prepared) -> dict[str, Any]:
    """What would be sent, to whom, and what it should cost."""
    candidate = prepared.candidates[0]
    plan = candidate.plan
    entries = [*plan.applied, *prepared.delivery]
    return {
        "estimated": True,
        "model": prepared.resolved.model,
        "provider": plan.provider,
        "total_cost_micros": plan.cost_micros,
        "currency": "USD",
        "components": None if plan.components is None else [part.entry() for part in plan.components],
        "plan": {
            "provider": plan.provider,
            "model": plan.model,
            "calls": calls(candidate),
            "finish": plan.finish.steps(),
            "parameters": [entry.entry() for entry in entries],
            "lossless": plan.lossless,
        },
    }


def calls(candidate: Candidate) -> list[dict[str, Any]]:
    """The requests of a plan, as they will be sent; credentials and headers are left out."""
    shown = []
    base = urlsplit(candidate.backend.targets[0].base_url).path.rstrip("/")
    for call in candidate.plan.calls:
        first = candidate.backend.adapter.submit(call, "dry-run")
        if isinstance(first, WireRequest):
            shown.append({"method": first.method, "path": f"{base}{first.path}", "body": first.json})
        else:
            shown.append({"method": "DRAW", "path": first.function, "body": first.arguments})
    return shown
