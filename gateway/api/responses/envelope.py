"""The response resource: every key that Open Responses requires, what the client sent echoed where it belongs.

The keys and their empty values: https://www.openresponses.org/specification, schema ResponseResource.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.api.bodies import kind_of
from normalization.errors import ImagegateError, InvalidType, InvalidValue
from normalization.parameters import Parameter
from normalization.values import check_plain, named, read_value

Status = Literal["in_progress", "completed", "failed"]

SCALARS: tuple[tuple[Parameter, Any], ...] = (
    (Parameter("max_output_tokens", "integer", "Ignored.", least=1), None),
    (Parameter("max_tool_calls", "integer", "Ignored.", least=0), None),
    (Parameter("parallel_tool_calls", "boolean", "Ignored."), True),
    (Parameter("previous_response_id", "string", "The response whose pictures are edited.", least=1, most=256), None),
    (Parameter("prompt_cache_key", "string", "Ignored.", least=0, most=1024), None),
    (Parameter("store", "boolean", "Whether the response can be read again."), True),
    (Parameter("temperature", "number", "Ignored.", least=0), 1.0),
    (Parameter("top_p", "number", "Ignored.", least=0), 1.0),
    (Parameter("top_logprobs", "integer", "Ignored.", least=0), 0),
    (Parameter("frequency_penalty", "number", "Ignored."), 0.0),
    (Parameter("presence_penalty", "number", "Ignored."), 0.0),
    (Parameter("truncation", "choice", "Ignored.", choices=("auto", "disabled")), "disabled"),
    (Parameter("user", "string", "Who the picture is for.", least=0, most=512), None),
    (Parameter("safety_identifier", "string", "Who the picture is for.", least=0, most=512), None),
)
"""Fields that say nothing about a picture, or are read elsewhere too, with what their absence means."""

METADATA_PAIRS, METADATA_KEY, METADATA_VALUE = 16, 64, 512
"""Bounds of the client's own map (https://platform.openai.com/docs/api-reference/responses/create)."""

CHOICES = ("auto", "none", "required")


@dataclass(frozen=True, slots=True)
class Resource:
    """One response while it is made. `model` is what the client sent; `echo` its other fields, as read."""

    id: str
    created: int
    model: str
    echo: Mapping[str, Any]

    @property
    def store(self) -> bool:
        return bool(self.echo["store"])

    def written(self, status: Status, output: Sequence[Any] = (), **more: Any) -> dict[str, Any]:
        """The resource as JSON. `more` are further keys, or others' values."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": list(output),
            **self.echo,
            "background": False,
            "service_tier": "default",
            "usage": None,
            **more,
        }

    def failed(self, error: ImagegateError, output: Sequence[Any] = ()) -> dict[str, Any]:
        told = {"code": error.code, "message": error.message, "type": error.type, "param": error.param}
        return self.written("failed", output, error=told)


NO_USAGE: Mapping[str, Any] = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


def usage_of(counted: Mapping[str, Any]) -> dict[str, Any]:
    """The images API's usage as this API has it."""
    return {**NO_USAGE, **{name: counted[name] for name in ("input_tokens", "output_tokens", "total_tokens")}}


def read_echo(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a response repeats, checked. Raises InvalidType or InvalidValue naming the field."""
    echo: dict[str, Any] = {}
    for parameter, absent in SCALARS:
        raw = body.get(parameter.name)
        value = None if raw is None else read_value(parameter, raw, parameter.name)
        echo[parameter.name] = absent if value is None else value
    for name, (absent, accepts, fits) in HOLDERS.items():
        raw = body.get(name)
        if raw is not None and not fits(raw):
            raise InvalidType(f"{name}: {accepts} is expected, not {kind_of(raw)}", param=name)
        check_plain(raw, name)
        echo[name] = absent if raw is None else raw
    _check_metadata(echo["metadata"])
    _check_choice(echo["tool_choice"])
    for index, tool in enumerate(echo["tools"]):
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise InvalidType(f"tools[{index}]: an object with a type is expected", param=f"tools[{index}]")
    return echo


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


HOLDERS: Mapping[str, tuple[Any, str, Callable[[Any], bool]]] = {
    "instructions": (None, "a string or an array", _is(str, list)),
    "reasoning": (None, "an object", _is(dict)),
    "text": ({"format": {"type": "text"}}, "an object", _is(dict)),
    "metadata": ({}, "an object", _is(dict)),
    "tool_choice": ("auto", "a string or an object", _is(str, dict)),
    "tools": ([], "an array", _is(list)),
}
"""By name: what its absence means, what is accepted, and whether a value is that."""


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    if len(metadata) > METADATA_PAIRS:
        raise InvalidValue(
            f"metadata: {len(metadata)} pairs are too many; at most {METADATA_PAIRS} are accepted", param="metadata"
        )
    for key, value in metadata.items():
        label = named(f"metadata.{key}")
        if not isinstance(value, str):
            raise InvalidType(f"{label}: a string is expected, not {kind_of(value)}", param=label)
        if len(key) > METADATA_KEY or len(value) > METADATA_VALUE:
            raise InvalidValue(
                f"{label}: a key has at most {METADATA_KEY} characters, a value {METADATA_VALUE}", param=label
            )


def _check_choice(choice: Any) -> None:
    accepted = f"{', '.join(CHOICES)} or {{'type': 'image_generation'}}"
    if isinstance(choice, str) and choice not in CHOICES:
        raise InvalidValue(f"tool_choice: {choice[:100]!r} is unknown. Accepted: {accepted}.", param="tool_choice")
    if isinstance(choice, dict) and not isinstance(choice.get("type"), str):
        raise InvalidType(f"tool_choice.type: a string is expected. Accepted: {accepted}.", param="tool_choice")
