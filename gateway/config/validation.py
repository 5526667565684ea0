"""From plain data to Settings, or to every mistake in it, each in words of the file rather than of the library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.config.mistakes import Echo, Mistake, Path, one_of, unknown
from gateway.config.model import Settings
from gateway.config.references import Registry, references

_NOUNS = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "path": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}
_CONTAINERS = frozenset({"list", "tuple", "dict", "model"})


def validate(
    data: Mapping[str, Any], adapters: Registry, written: Mapping[Path, str] | None = None
) -> tuple[Settings | None, list[Mistake]]:
    """The settings, or None and what is wrong. `written` holds the texts in which variables were filled in: they are
    shown instead of what the variables hold."""
    echo = Echo(data, written or {})
    mistakes = list(references(echo, adapters))
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        reader = _Reader(echo)
        found = error.errors(include_url=False, include_context=True)
        return None, [*mistakes, *(mistake for each in found for mistake in reader.mistakes(each))]
    return (None, mistakes) if mistakes else (settings, [])


class _Reader:
    """Puts the library's findings into words, with what the schema accepts at that place."""

    def __init__(self, echo: Echo) -> None:
        self.echo = echo
        self.root = Settings.model_json_schema()

    def mistakes(self, error: ErrorDetails) -> Iterator[Mistake]:
        path: Path = tuple(part for part in error["loc"] if part != "[key]")
        kind = error["type"]
        if kind == "refused":
            yield Mistake(path, error["ctx"]["what"], error["ctx"]["accepted"])
        elif kind == "missing":
            yield Mistake(path, "missing", self.accepted(self.schema(path)))
        elif kind == "extra_forbidden":
            # Which keys a provider has depends on its type; `references` knows.
            known = list(self.schema(path[:-1]).get("properties", {}))
            if path[0] != "providers" or len(path) > 3 or not self.typed(path):
                yield Mistake(path, unknown("unknown key", str(path[-1]), known), one_of(known))
        elif kind != "too_short" or not self.echo.value(path):  # a list of unusable items is not an empty list
            yield Mistake(path, self.what(kind, path), self.accepted(self.schema(path)))

    def typed(self, path: Path) -> bool:
        return isinstance(self.echo.value((*path[:2], "type")), str)

    def what(self, kind: str, path: Path) -> str:
        noun = _NOUNS.get(kind.split("_")[0])
        if kind in ("too_short", "string_too_short"):
            return "nothing in it"
        if noun is not None and not kind.startswith("string_too"):
            return f"not {noun}" if kind.split("_")[0] in _CONTAINERS else f"{self.echo.of(path)} is not {noun}"
        return f"{self.echo.of(path)} is out of range" if "than" in kind else f"{self.echo.of(path)} is not accepted"

    def schema(self, path: Path) -> dict[str, Any]:
        """The part of the JSON Schema that describes `path`; empty where there is none."""
        found = self.root
        for part in path:
            found = self.resolved(found)
            if isinstance(part, int):
                found = found.get("items", {})
            else:
                named = (*found.get("patternProperties", {}).values(), found.get("additionalProperties") or {})
                found = found.get("properties", {}).get(part) or named[0]
        return self.resolved(found)

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        for part in schema.get("anyOf", ()):
            if part.get("type") != "null":
                return self.resolved(part)
        if "$ref" in schema:
            return dict(self.root["$defs"][schema["$ref"].rsplit("/", 1)[1]])
        return schema

    def accepted(self, schema: dict[str, Any]) -> str:
        """What a schema accepts, in words."""
        if "enum" in schema:
            return one_of(schema["enum"])
        match schema.get("type"):
            case "integer":
                return f"a whole number{_range(schema)}"
            case "number":
                return f"a number{_range(schema)}"
            case "boolean":
                return "true or false"
            case "array":
                return f"a list, each {self.accepted(self.resolved(schema['items']))}"
            case "object" if "properties" in schema:
                return f"a mapping of {one_of(schema['properties'])}"
            case "object":
                return "a mapping of names"
            case _:
                return "text"


def _range(schema: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    low = f"above {schema['exclusiveMinimum']:g}" if "exclusiveMinimum" in schema else ""
    low = low or (f"of at least {least:g}" if least is not None else "")
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return f" {low}, at most {most:.15g}" if low and most is not None else f" {low}" if low else ""
