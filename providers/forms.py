"""JSON values as the text fields of a form, as OpenAI's own clients write them: `a[b]` for what is inside an object,
`a[]` for what is inside an array. Source: the serializers of OpenAI's Python and JavaScript clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def written(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields of an object; null is left out."""
    for name, value in body.items():
        yield from _fields(name, value)


def _fields(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _fields(f"{name}[{key}]", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _fields(f"{name}[]", inner)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif value is not None:
        yield name, str(value)
