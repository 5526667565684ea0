"""JSON Schemas of /v1/responses, for /openapi.json."""

from __future__ import annotations

from typing import Any

from normalization.schema import json_schema

_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_NUMBER = {"type": "number"}
_WHOLE = {"type": "integer"}
_MAYBE_WHOLE = {"type": ["integer", "null"]}
_FLAG = {"type": "boolean"}
_OBJECT = {"type": "object"}
_MAYBE_OBJECT = {"type": ["object", "null"]}
_BASE64 = {"type": ["string", "null"], "contentEncoding": "base64"}

_TOOL_FIELDS = (
    "background",
    "input_fidelity",
    "model",
    "moderation",
    "output_compression",
    "output_format",
    "partial_images",
    "quality",
    "size",
)


def request() -> dict[str, Any]:
    """What POST /v1/responses takes. Every parameter of a generation stands at top level too, but for the prompt."""
    fields = {name: schema for name, schema in json_schema()["properties"].items() if name != "prompt"}
    tool = {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": _TEXT,
            "action": {"enum": ["generate", "edit", "auto"]},
            "input_image_mask": {"type": "object", "properties": {"image_url": _TEXT}},
            **{name: fields[name] for name in _TOOL_FIELDS},
        },
    }
    own = {
        "input": {"oneOf": [_TEXT, {"type": "array", "items": _ITEM}], "description": "What the picture shows."},
        "instructions": {"type": ["string", "array", "null"], "description": "Accepted, and no part of the prompt."},
        "metadata": {"type": ["object", "null"], "additionalProperties": _TEXT},
        "previous_response_id": {**_MAYBE_TEXT, "description": "The response whose pictures are edited."},
        "store": {"type": ["boolean", "null"], "default": True},
        "tools": {
            "type": "array",
            "items": tool,
            "description": "With type image_generation the answer is an image_generation_call, else a message.",
        },
        "tool_choice": {"type": ["string", "object", "null"]},
    }
    return {"type": "object", "required": ["input"], "properties": {**fields, **own}}


_PART = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"enum": ["input_text", "input_image"]}, "text": _TEXT, "image_url": _TEXT},
}
_ITEM = {
    "type": "object",
    "properties": {
        "type": _TEXT,
        "role": {"enum": ["user", "assistant", "system", "developer"]},
        "content": {"oneOf": [_TEXT, {"type": "array", "items": _PART}]},
        "id": _TEXT,
        "result": _BASE64,
    },
}

_SHOWN = {
    "type": "object",
    "required": ["type", "format"],
    "properties": {
        "type": {"const": "output_image"},
        "format": _TEXT,
        "image_data": _BASE64,
        "image_url": {"type": "string", "format": "uri"},
        "seed": _WHOLE,
        "revised_prompt": _TEXT,
    },
}
_MESSAGE = {
    "type": "object",
    "required": ["id", "type", "role", "status", "content"],
    "properties": {
        "id": _TEXT,
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "status": {"enum": ["in_progress", "completed", "incomplete"]},
        "content": {"type": "array", "items": _SHOWN},
    },
}
_CALL = {
    "type": "object",
    "required": ["id", "type", "status", "result"],
    "properties": {
        "id": _TEXT,
        "type": {"const": "image_generation_call"},
        "status": {"enum": ["in_progress", "generating", "completed", "failed"]},
        "action": {"enum": ["generate", "edit"]},
        "background": _TEXT,
        "output_format": _TEXT,
        "quality": _TEXT,
        "size": _TEXT,
        "revised_prompt": _TEXT,
        "result": _BASE64,
        "seed": _WHOLE,
        "error": _OBJECT,
    },
}

_RESOURCE: dict[str, Any] = {
    "id": _TEXT,
    "object": {"const": "response"},
    "created_at": _WHOLE,
    "completed_at": _MAYBE_WHOLE,
    "status": {"enum": ["in_progress", "completed", "failed"]},
    "incomplete_details": _MAYBE_OBJECT,
    "model": _TEXT,
    "previous_response_id": _MAYBE_TEXT,
    "instructions": {"type": ["string", "array", "null"]},
    "output": {"type": "array", "items": {"oneOf": [_MESSAGE, _CALL]}},
    "error": _MAYBE_OBJECT,
    "tools": {"type": "array", "items": _OBJECT},
    "tool_choice": {"type": ["string", "object"]},
    "truncation": _TEXT,
    "parallel_tool_calls": _FLAG,
    "text": _OBJECT,
    "top_p": _NUMBER,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "top_logprobs": _WHOLE,
    "temperature": _NUMBER,
    "reasoning": _MAYBE_OBJECT,
    "user": _MAYBE_TEXT,
    "usage": _MAYBE_OBJECT,
    "max_output_tokens": _MAYBE_WHOLE,
    "max_tool_calls": _MAYBE_WHOLE,
    "store": _FLAG,
    "background": _FLAG,
    "service_tier": _TEXT,
    "metadata": {"type": "object", "additionalProperties": _TEXT},
    "safety_identifier": _MAYBE_TEXT,
    "prompt_cache_key": _MAYBE_TEXT,
}

RESOURCE: dict[str, Any] = {
    "type": "object",
    "required": list(_RESOURCE),
    "properties": {
        **_RESOURCE,
        "tool_usage": _OBJECT,
        "imagegate": {"type": "object", "description": "Provider, attempts, cost and the normalization receipt."},
    },
}
"""A response as POST answers and GET repeats it."""

DELETED: dict[str, Any] = {
    "type": "object",
    "required": ["id", "object", "deleted"],
    "properties": {"id": _TEXT, "object": {"const": "response"}, "deleted": {"const": True}},
}
