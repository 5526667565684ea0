"""Form fields with brackets in their names, as official clients write nested values into a multipart body:
`provider_options[image][steps]=4`, `tags[]=a`. Source: the serializers of OpenAI's Python and JavaScript clients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from normalization.errors import InvalidValue

DEPTH_MOST = 8

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?")
_WORDS = {"true": True, "false": False, "null": None}


def nested(fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The object that a form's text fields describe. At the top level values stay text; inside brackets, where nobody
    knows what a value should be, what is written like a number, true, false or null is that. Empty text says nothing;
    of a name that comes twice the last counts.

    Raises InvalidValue for names that contradict each other.
    """
    body: dict[str, Any] = {}
    for name, value in fields:
        found = _NAME.fullmatch(name)
        if found is None:
            body[name] = value
            continue
        path = _PART.findall(found[2])
        if not path:
            if value or name == "prompt":
                body[name] = value
            continue
        if len(path) > DEPTH_MOST:
            raise InvalidValue(f"{name[:100]}: at most {DEPTH_MOST} brackets are accepted", param=name[:100])
        _put(body, [found[1], *path], scalar(value), name)
    return body


def scalar(text: str) -> Any:
    """What a value inside brackets was before it was written as text."""
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _put(body: dict[str, Any], path: list[str], value: Any, name: str) -> None:
    holder: Any = body
    for part, following in zip(path, [*path[1:], None], strict=True):
        inner: Any = value if following is None else [] if following == "" else {}
        if isinstance(holder, list) and part == "":
            holder.append(inner)
        elif isinstance(holder, dict) and part != "":
            inner = inner if following is None else holder.get(part, inner)
            holder[part] = inner
        else:
            raise InvalidValue(f"{name[:100]} contradicts another field of the form", param=name[:100])
        holder = inner
