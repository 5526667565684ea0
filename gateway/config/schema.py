"""The JSON Schema of the configuration file (draft 2020-12), for editors and for `imagegate schema`.

It describes the file before variables are filled in: wherever a number, a word of a few or true and false may stand,
a text with a variable may stand too, and `null` wherever a key may be left out.
"""

from __future__ import annotations

from typing import Any

from gateway.config.entries import ProviderEntry
from gateway.config.model import Settings
from gateway.config.references import Registry, keys_of, registry

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VARIABLE = {"$ref": "#/$defs/Variable"}

Schema = dict[str, Any]


def schema(adapters: Registry | None = None) -> Schema:
    """The schema as JSON data. `adapters` stands in for the registry, whose types it names."""
    known = registry() if adapters is None else adapters
    made = Settings.model_json_schema()
    definitions: Schema = made.pop("$defs")
    parts = {name: _relaxed(part) for name, part in definitions.items()}
    parts["ProviderEntry"] = _provider(parts["ProviderEntry"], known)
    parts["Variable"] = {
        "type": "string",
        "pattern": r"\$\{|^os\.environ/",
        "description": "A text with variables: ${VAR}, ${VAR:-default} or os.environ/VAR.",
    }
    return {
        "$schema": DIALECT,
        "title": "imagegate configuration",
        **{name: value for name, value in _relaxed(made).items() if name != "title"},
        "$defs": dict(sorted(parts.items())),
    }


def _relaxed(section: Schema) -> Schema:
    """A section with what the reader accepts beyond the library's schema."""
    required = section.get("required", ())
    properties = {name: _property(part, optional=name not in required) for name, part in section["properties"].items()}
    return {**{key: value for key, value in section.items() if key != "title"}, "properties": properties}


def _property(part: Schema, *, optional: bool) -> Schema:
    said = {key: part[key] for key in ("description", "default") if key in part}
    inner = {key: value for key, value in part.items() if key not in (*said, "title")}
    ways = list(inner["anyOf"]) if "anyOf" in inner else [inner]
    ways = [{**way, "additionalProperties": False} if "patternProperties" in way else way for way in ways]
    if any("enum" in way or way.get("type") in ("integer", "number", "boolean") for way in ways):
        ways.append(VARIABLE)
    if optional and {"type": "null"} not in ways:
        ways.append({"type": "null"})
    return {**said, **(ways[0] if len(ways) == 1 else {"anyOf": ways})}


def _provider(flat: Schema, adapters: Registry) -> Schema:
    """One branch for each type, with the keys that this type has."""
    return {
        "description": ProviderEntry.__doc__,
        "oneOf": [
            {
                "type": "object",
                "title": kind,
                "properties": {
                    key: {"const": kind, "description": "The kind of provider."}
                    if key == "type"
                    else flat["properties"][key]
                    for key in keys_of(kind, adapters)
                },
                "required": ["type"]
                if adapters[kind].base_url is not None or kind == "flux_worker"
                else ["type", "base_url"],
                "additionalProperties": False,
            }
            for kind in adapters
        ],
    }
