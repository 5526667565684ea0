"""The JSON Schemas of the operator's answers, and what may stand in the queries."""

from __future__ import annotations

from typing import Any

from gateway.admin.jobs import STATES
from gateway.admin.usage import FORMATS, GROUPS

_NUMBER_OR_NULL = {"type": ["number", "null"]}
_SUMS: dict[str, Any] = {
    "requests": {
        "type": "integer",
        "description": "Authenticated POSTs for pictures, dry runs left out; of a provider, those of which it made "
        "most pictures, or which failed there last.",
    },
    "images": {"type": "integer", "description": "Pictures in answers; an answer given again counts none."},
    "errors": {"type": "integer", "description": "Requests with a status of 400 or more; 499: the client left."},
    "upstream_calls": {"type": "integer", "description": "Submissions that were sent to providers."},
    "cost_usd": {"type": "number", "description": "What providers are known to have charged, to the micro-dollar."},
    "unknown_cost_calls": {
        "type": "integer",
        "description": "Calls that have ended and were charged, or may have been, at a price that nobody knows.",
    },
    "megapixels": {"type": "number", "description": "Millions of pixels of those pictures."},
    "bytes_out": {"type": "integer", "description": "Bytes of answers' bodies."},
    "p50_seconds": {**_NUMBER_OR_NULL, "description": "Of requests; grouped by provider, of calls."},
    "p95_seconds": _NUMBER_OR_NULL,
}

USAGE: dict[str, Any] = {
    "type": "object",
    "required": ["from", "to", "group_by", "rows", "totals"],
    "properties": {
        "from": {"type": "string", "format": "date-time"},
        "to": {"type": "string", "format": "date-time", "description": "Not part of the span."},
        "group_by": {"enum": list(GROUPS)},
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["group", *_SUMS],
                "properties": {
                    "group": {
                        "type": "string",
                        "description": "A day or hour of UTC, a name or a status; empty for what has none.",
                    },
                    **_SUMS,
                },
            },
        },
        "totals": {"type": "object", "required": list(_SUMS), "properties": _SUMS},
    },
}

_MOMENT = "A date, which is its midnight in UTC, a date and a time, or Unix seconds."
USAGE_QUERY: list[dict[str, Any]] = [
    {
        "name": "from",
        "in": "query",
        "schema": {"type": "string"},
        "description": f"{_MOMENT} Default: so that `to` is in the 30th day.",
    },
    {
        "name": "to",
        "in": "query",
        "schema": {"type": "string"},
        "description": f"{_MOMENT} Not part of the span. Default: now.",
    },
    {"name": "group_by", "in": "query", "schema": {"enum": list(GROUPS), "default": GROUPS[0]}},
    {
        "name": "format",
        "in": "query",
        "schema": {"enum": list(FORMATS), "default": FORMATS[0]},
        "description": "csv: the rows as text/csv, a header first.",
    },
]

_PROVIDER: dict[str, Any] = {
    "type": {"type": "string"},
    "status": {
        "enum": ["ok", "degraded", "open", "unconfigured"],
        "description": "open: the circuits of all its models are; degraded: one is not closed, or under nine in ten "
        "calls of the last five minutes went well; unconfigured: it has no key.",
    },
    "circuit": {"enum": ["closed", "open", "half_open"], "description": "The worst of its models'."},
    "in_flight": {"type": "integer", "description": "Submissions under way, in all processes of this gateway."},
    "queued": {"type": "integer", "description": "Submissions that wait for their turn, in all of them."},
    "success_rate_5m": {
        **_NUMBER_OR_NULL,
        "description": "The share of calls that went well, of those in the last five minutes, in all processes, that "
        "say something of the provider; null where there was none.",
    },
    "p50_seconds": {**_NUMBER_OR_NULL, "description": "Of those calls' pictures, up to the latest 500 of a process."},
    "p95_seconds": _NUMBER_OR_NULL,
    "last_error": {
        "type": ["object", "null"],
        "properties": {
            "at": {"type": "integer", "description": "Unix seconds."},
            "code": {"type": "string", "description": "As in metadata.attempts."},
        },
    },
    "models": {
        "type": "array",
        "items": {"type": "string"},
        "description": "The configured models with a route to it.",
    },
}

HEALTH: dict[str, Any] = {
    "type": "object",
    "required": ["status", "uptime_seconds", "version", "state", "storage", "providers"],
    "properties": {
        "status": {
            "enum": ["ok", "degraded", "down"],
            "description": "down: no picture can be made; degraded: a model cannot, or a provider has trouble.",
        },
        "uptime_seconds": {"type": "number", "description": "Of the process that answers."},
        "version": {"type": "string"},
        "state": {
            "type": "object",
            "properties": {
                "kind": {"type": "string"},
                "ok": {"type": "boolean"},
                "latency_ms": {"type": "number", "description": "Until a record could be made."},
            },
        },
        "storage": {
            "type": "object",
            "properties": {
                "kind": {"type": "string"},
                "ok": {"type": "boolean"},
                "free_bytes": {"type": ["integer", "null"], "description": "null: nothing limits them, or unknown."},
            },
        },
        "providers": {
            "type": "object",
            "additionalProperties": {"type": "object", "required": list(_PROVIDER), "properties": _PROVIDER},
        },
    },
}

JOBS: dict[str, Any] = {
    "type": "object",
    "required": ["jobs"],
    "properties": {
        "jobs": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "generation_id": {"type": "string"},
                    "request_id": {"type": "string"},
                    "provider": {"type": "string"},
                    "model": {"type": "string", "description": "The configured model."},
                    "provider_model": {"type": "string", "description": "The provider's own id."},
                    "key": {"type": ["string", "null"]},
                    "operation": {"enum": ["generate", "edit"]},
                    "images": {"type": "integer", "description": "Pictures that it asks for."},
                    "state": {"enum": list(STATES)},
                    "job": {"type": ["string", "null"], "description": "The provider's id of it, once accepted."},
                    "created": {"type": "integer", "description": "Unix seconds."},
                    "age_seconds": {"type": "number"},
                    "planned_cost_usd": {**_NUMBER_OR_NULL, "description": "null: the price is unknown."},
                },
            },
        }
    },
}
JOBS_QUERY: list[dict[str, Any]] = [{"name": "state", "in": "query", "schema": {"enum": list(STATES)}}]
