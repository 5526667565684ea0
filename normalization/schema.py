"""The JSON Schema of a picture request, made from the parameter table, so that it cannot promise anything else."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from normalization.parameters import IMAGE_OPTIONS, MATCH_INPUT, PARAMETERS, Parameter
from normalization.vocabulary import Operation


def json_schema(operation: Operation = "generate", *, only: Collection[str] | None = None) -> dict[str, Any]:
    """JSON Schema (2020-12) of the body of images/generations, or of what an edit has besides its pictures.

    `only` keeps the properties named, so that a model can show what it knows. What passes the schema is read without
    an error, except where two parameters contradict each other.
    """
    kept = [each for each in PARAMETERS if only is None or each.name in {"prompt", *only}]
    properties = {each.name: _property(each, operation) for each in kept}
    if only is None:
        properties |= _synonyms(properties) | {"provider_options": _provider_options(operation)}
    return {
        "type": "object",
        "description": "null means not said; numbers and booleans may also be given as strings. "
        "Further keys are passed on to providers that tolerate them.",
        "properties": properties,
        "required": ["prompt"],
        "additionalProperties": True,
    }


def _synonyms(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {**properties[each.name], "description": f"The same as {each.name}."}
        for each in PARAMETERS
        for name in each.synonyms
    }


def _provider_options(operation: Operation) -> dict[str, Any]:
    image = {name: _property(parameter, operation) for name, parameter in IMAGE_OPTIONS.items()}
    return {
        "type": ["object", "null"],
        "description": "By configured provider: what reaches that provider only. `image` is Modular MAX's vocabulary.",
        "properties": {
            "image": {"type": ["object", "null"], "properties": image, "additionalProperties": False},
            "max": {"type": ["object", "null"], "description": "Accepted and ignored."},
        },
        "additionalProperties": {"type": ["object", "null"]},
    }


def _property(parameter: Parameter, operation: Operation) -> dict[str, Any]:
    schema = {"description": parameter.about, **_values(parameter, operation)}
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema if parameter.name == "prompt" else _or_null(schema)


def _values(parameter: Parameter, operation: Operation) -> dict[str, Any]:
    choices = [word for word in parameter.choices if operation == "edit" or word != MATCH_INPUT]
    match parameter.kind:
        case "choice":
            return {"type": "string", "enum": choices}
        case "string":
            return {"type": "string", "minLength": parameter.least, "maxLength": parameter.most}
        case "boolean":
            return {"type": "boolean"}
        case "size" | "aspect_ratio":
            return {"type": "string", "pattern": _pattern(parameter, choices)}
        case "resolution":
            return {"type": ["string", "number"], "pattern": _pattern(parameter, choices), **_bounds(parameter)}
        case kind:
            as_text = {} if parameter.pattern is None else {"pattern": _pattern(parameter, choices)}
            return {"type": [kind, *(["string"] if as_text else [])], **as_text, **_bounds(parameter)}


def _pattern(parameter: Parameter, choices: list[str]) -> str:
    return f"^(?:{'|'.join([*choices, parameter.pattern or ''])})$"


def _bounds(parameter: Parameter) -> dict[str, Any]:
    least = "exclusiveMinimum" if parameter.least_excluded else "minimum"
    return {least: parameter.least} | ({} if parameter.most is None else {"maximum": parameter.most})


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    nullable = {**schema, "type": [*types, "null"]}
    return {**nullable, "enum": [*schema["enum"], None]} if "enum" in schema else nullable
