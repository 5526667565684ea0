"""GET /openapi.json: the schema of every route, made from the routes and the parameter table."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.admin import schemas as admin
from gateway.api.authority import Guarded
from gateway.api.entry import THUMBNAIL, THUMBNAIL_SIDES
from gateway.api.responses import schemas
from normalization.schema import json_schema

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}

_IMAGES = {
    "type": "object",
    "required": ["created", "data", "usage", "metadata"],
    "properties": {
        "created": {"type": "integer", "description": "Unix seconds."},
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "url": {"type": "string", "format": "uri"},
                    "b64_json": {"type": "string", "contentEncoding": "base64"},
                    "thumbnail_b64_json": {"type": "string", "contentEncoding": "base64"},
                    "revised_prompt": {"type": "string"},
                    "seed": {"type": "integer"},
                },
            },
        },
        "size": {"type": "string"},
        "quality": {"type": "string"},
        "background": {"type": "string"},
        "output_format": {"type": "string"},
        "usage": {"type": "object"},
        "metadata": {"type": "object", "description": "Provider, attempts, cost and the normalization receipt."},
    },
}

_GENERATION = {
    "type": "object",
    "required": ["id", "status", "created", "request_id", "answer", "error", "attempts"],
    "properties": {
        "id": {"type": "string"},
        "status": {"enum": ["running", "succeeded", "failed", "unknown"]},
        "created": {"type": "integer", "description": "Unix seconds."},
        "request_id": {"type": "string"},
        "answer": {"type": ["object", "null"], "description": "The answer of the POST, its URLs signed anew."},
        "error": {"type": ["object", "null"]},
        "attempts": {"type": "array", "items": {"type": "object"}},
    },
}

_OBJECT = {"type": "object"}

_ESTIMATE = {
    "type": "object",
    "description": "With dryRun=true: what would be sent, to whom, and what it should cost.",
    "required": ["estimated", "model", "provider", "total_cost_micros", "currency", "components", "plan"],
    "properties": {
        "estimated": {"const": True},
        "model": {"type": "string"},
        "provider": {"type": "string"},
        "total_cost_micros": {"type": ["integer", "null"], "description": "null where nobody knows the price."},
        "currency": {"const": "USD"},
        "components": {"type": "array", "items": _OBJECT},
        "plan": {
            "type": "object",
            "required": ["provider", "model", "calls", "finish", "parameters", "lossless"],
            "properties": {
                "provider": {"type": "string"},
                "model": {"type": "string"},
                "calls": {"type": "array", "items": _OBJECT},
                "finish": {"type": "array", "items": _OBJECT},
                "parameters": {"type": "array", "items": _OBJECT},
                "lossless": {"type": "boolean"},
            },
        },
    },
}

_DRY_RUN = {
    "name": "dryRun",
    "in": "query",
    "schema": {"type": "boolean"},
    "description": "true: tell what would be sent and what it would cost, and send nothing.",
}
_STRICT = {
    "name": "x-imagegate-strict",
    "in": "header",
    "schema": {"type": "boolean"},
    "description": "true: refuse with 400 what would otherwise be degraded.",
}
_THUMBNAIL = {
    "name": THUMBNAIL,
    "in": "header",
    "schema": {"type": "integer", "minimum": THUMBNAIL_SIDES[0], "maximum": THUMBNAIL_SIDES[-1]},
    "description": "Send a WebP of each picture too, as thumbnail_b64_json: its longer side has so many pixels.",
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The request is carried out once; the same key gets the same answer again.",
}

_REFERENCE = {
    "oneOf": [
        {"type": "string", "description": "A URL, a data: URI or base64."},
        {"type": "object", "required": ["image_url"], "properties": {"image_url": {"type": "string"}}},
    ]
}
_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}


def _with_pictures(pictures: dict[str, Any], schema: str) -> dict[str, Any]:
    return {"allOf": [{"$ref": f"#/components/schemas/{schema}"}, {"type": "object", "properties": pictures}]}


_IN_JSON = {
    "images": {"type": "array", "minItems": 1, "maxItems": 16, "items": _REFERENCE},
    "image": {"oneOf": [_REFERENCE, {"type": "array", "items": _REFERENCE}]},
    "mask": _REFERENCE,
}
_IN_FORM = {
    "image": {**_FILE, "description": "The picture; several as image[] or image repeated."},
    "image[]": {"type": "array", "items": _FILE},
    "mask": {**_FILE, "description": "Transparent where the first picture is to be edited; of its size."},
}

_STREAM = {"text/event-stream": {"schema": {"type": "string", "description": "With stream: true."}}}

_BODIES: dict[str, dict[str, Any]] = {
    "generations": {"application/json": {"schema": {"$ref": "#/components/schemas/ImageRequest"}}},
    "edits": {
        "multipart/form-data": {"schema": _with_pictures(_IN_FORM, "EditRequest")},
        "application/json": {"schema": _with_pictures(_IN_JSON, "EditRequest")},
    },
    "variations": {"multipart/form-data": {"schema": {"type": "object", "properties": {"image": _FILE}}}},
    "create_response": {"application/json": {"schema": schemas.request()}},
    "webhook": {"application/json": {"schema": _OBJECT}},
}
"""By endpoint: what it takes."""

_IMAGES_API = frozenset({"generations", "edits", "variations"})
_MAKING = _IMAGES_API | {"create_response"}
"""Endpoints that make pictures: they stream, run dry and can be strict."""

_OTHERWISE = {
    "file": "image/*",
    "metrics": "text/plain",
    "playground": "text/html",
    "dashboard": "text/html",
    "web_file": "*/*",
}
"""What endpoints answer whose answer is no JSON."""

_QUERY: dict[str, list[dict[str, Any]]] = {
    "model": [{"name": "schema", "in": "query", "schema": {"type": "boolean"}}],
    "usage": admin.USAGE_QUERY,
    "jobs": admin.JOBS_QUERY,
}
"""By endpoint: what may stand in the query."""

_SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "key": [{"bearer": []}, {"apiKey": []}],
    "admin": [{"adminBearer": []}, {"adminKey": []}],
}
"""By authority: what a caller has to show; nothing where it is none of these."""

_OPERATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "generations": ("Make pictures from a prompt.", _IMAGES),
    "edits": ("Make pictures from pictures and a prompt.", _IMAGES),
    "variations": ("OpenAI's retired endpoint: an edit without a prompt, where a route needs none.", _IMAGES),
    "create_response": (
        "Pictures by the Responses API: OpenAI's tool image_generation, or Modular MAX's provider_options.",
        schemas.RESOURCE,
    ),
    "get_response": ("An answer that was kept.", schemas.RESOURCE),
    "delete_response": ("Forget an answer.", schemas.DELETED),
    "generation": ("What became of an earlier request: running, its answer, or its failure.", _GENERATION),
    "models": ("Every model and exact alias, with what it can do.", _OBJECT),
    "model": ("One model by name or alias.", _OBJECT),
    "live": ("The process answers.", _OBJECT),
    "ready": ("The gateway takes work.", _OBJECT),
    "metrics": ("Everything that is counted and measured, for Prometheus.", _OBJECT),
    "health": ("How the gateway and each of its providers do; no provider is asked.", admin.HEALTH),
    "usage": ("What was asked for, what it came to and what it cost.", admin.USAGE),
    "config": ("The configuration in force, secrets as set or unset.", _OBJECT),
    "jobs": ("Submissions whose outcome is still to come.", admin.JOBS),
    "document": ("This document.", _OBJECT),
    "file": ("A hosted picture, by its signed URL.", _OBJECT),
    "playground": ("The page that makes pictures.", _OBJECT),
    "dashboard": ("The operator's page.", _OBJECT),
    "web_file": ("A file of the pages.", _OBJECT),
    "webhook": ("A provider's notice that a job has ended, signed by it.", _OBJECT),
}
"""By endpoint: summary, the answer's schema."""


async def document(request: Request) -> Response:
    """The OpenAPI document of the application that answers."""
    routes = [route for route in request.app.routes if isinstance(route, Guarded)]
    return Response(orjson.dumps(build(routes)), media_type="application/json")


def build(routes: list[Guarded]) -> dict[str, Any]:
    """The document for a list of routes. Raises KeyError for an endpoint that nobody has described."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for method in sorted(route.methods or ()):
            if method == "HEAD":
                continue
            paths.setdefault(route.template, {})[method.lower()] = _operation(route, route.template, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "imagegate",
            "version": version("imagegate"),
            "description": "Image generation through many providers, behind OpenAI's interface.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, "ImageRequest": json_schema(), "EditRequest": json_schema("edit")},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
                "adminBearer": {"type": "http", "scheme": "bearer", "description": "The admin's key."},
                "adminKey": {"type": "apiKey", "in": "header", "name": "api-key", "description": "The admin's key."},
            },
        },
    }


def _operation(route: Guarded, path: str, method: str) -> dict[str, Any]:
    name = route.endpoint.__name__
    summary, schema = _OPERATIONS[name]
    parameters: list[dict[str, Any]] = [
        {"name": each, "in": "path", "required": True, "schema": {"type": "string"}}
        for each in re.findall(r"{(\w+)}", path)
    ]
    if name in _MAKING:
        schema = {"anyOf": [schema, _ESTIMATE]}
    content = {_OTHERWISE[name]: {}} if name in _OTHERWISE else {"application/json": {"schema": schema}}
    if name in _MAKING:
        content |= _STREAM
    if name == "usage":
        content["text/csv"] = {"schema": {"type": "string"}}
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}_{path.strip('/')}").strip("_"),
        "summary": summary,
        "responses": {
            "200": {"description": "Done.", "content": content},
            "default": {
                "description": "An error, in OpenAI's envelope.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
        "security": _SECURITY.get(route.authority, []),
    }
    if name in _BODIES:
        operation["requestBody"] = {"required": True, "content": _BODIES[name]}
    if name in _MAKING:
        parameters += [_DRY_RUN, _STRICT, _IDEMPOTENCY]
    if name in _IMAGES_API:
        parameters.append(_THUMBNAIL)
    parameters += _QUERY.get(name, [])
    if parameters:
        operation["parameters"] = parameters
    return operation
