"""What would be sent, to whom, and what it should cost: a plan as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.ordering import Prepared
from gateway.outcome import Candidate
from normalization.vocabulary import Picture
from providers.base import FilePart, Hosted, Inline, Work


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
        "components": [part.entry() for part in plan.components or ()],
        "plan": {
            "provider": plan.provider,
            "model": plan.model,
            "calls": calls(candidate),
            "finish": plan.finish.steps(),
            "parameters": [entry.entry() for entry in entries],
            "lossless": plan.lossless and all(entry.note is None for entry in prepared.delivery),
        },
    }


def calls(candidate: Candidate) -> list[dict[str, Any]]:
    """The requests of a plan, as they will be sent; credentials and headers are left out."""
    shown = []
    base = urlsplit(candidate.backend.targets[0].base_url).path.rstrip("/")
    for call in candidate.plan.calls:
        first = candidate.backend.adapter.submit(call, "dry-run")
        if isinstance(first, Work):
            shown.append({"method": "DRAW", "path": first.function, "body": _shown(first.arguments)})
            continue
        for request in (first, first.then):
            if request is not None:
                body = request.json if request.form is None else _form(request.form)
                shown.append({"method": request.method, "path": f"{base}{request.path}", "body": _shown(body)})
    return shown


def _form(form: tuple[tuple[str, str] | FilePart, ...]) -> dict[str, Any]:
    """A form's fields and files by name; those of one name as a list."""
    body: dict[str, Any] = {}
    for part in form:
        name, value = (part.name, part.picture) if isinstance(part, FilePart) else part
        body[name] = (
            value if name not in body else [*([body[name]] if not isinstance(body[name], list) else body[name]), value]
        )
    return body


def _shown(value: Any) -> Any:
    """Pictures by their fingerprints."""
    if isinstance(value, Picture):
        return value.entry()
    if isinstance(value, Inline | Hosted):
        return value.picture.entry()
    if isinstance(value, Mapping):
        return {name: _shown(part) for name, part in value.items()}
    return [_shown(part) for part in value] if isinstance(value, list | tuple) else value
