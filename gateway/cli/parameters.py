"""Parameters on the command line: `size=1000x777 seed=7 provider_options.gpu.cfg_normalization=true`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from normalization.errors import ConfigurationError


def read_pairs(pairs: Iterable[str]) -> dict[str, Any]:
    """The request body that `key=value` words describe. A dotted key reaches into an object; a value that reads as JSON
    object, array or literal is one, anything else is text (numbers in text are read by the gateway). Raises
    ConfigurationError for a word without `=`."""
    body: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"{pair!r} is not a parameter; write KEY=VALUE, such as size=1024x1024")
        *parents, last = key.split(".")
        place = body
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise ConfigurationError(f"{key}: {parent} has a value of its own already")
            place = inner
        place[last] = _value(value)
    return body


def _value(text: str) -> Any:
    if text[:1] in ("{", "[") or text in ("true", "false", "null"):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
    return text
