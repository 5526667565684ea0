"""How input pictures travel to a provider, read off the first request that an adapter makes for an edit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from normalization.planner import plan
from normalization.reading import read
from normalization.vocabulary import Format, Held, Picture, Size
from providers.base import FilePart, Hosted, Inline, Provider, WireRequest, Work
from scripts.markdown import code

PICTURE = Picture(Held(b""), Format.PNG, Size(1024, 1024), "0" * 64)


def travelling(adapter: Provider, model: str, number: int) -> str:
    """Request line and fields of an edit of `number` pictures, such as "`POST /images/edits`, as files `image[]`"."""
    request = read({"prompt": "a red fox"}, default_model="m", operation="edit").request
    edit = replace(request, pictures=(PICTURE,) * number)
    sent = adapter.submit(plan(edit, adapter.profile(model, number), name=adapter.type).calls[0], "attempt")
    if isinstance(sent, Work):
        return "made here"
    line = f"`{sent.method} {sent.path}`"
    if sent.purpose == "upload":
        return f"uploaded first, one by one: {line}"
    ways = [f"{how} {code(dict.fromkeys(fields))}" for how, fields in _ways(sent).items()]
    return ", ".join([line, *ways])


def _ways(sent: WireRequest) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in sent.form or ():
        if isinstance(part, FilePart):
            found.setdefault("as a file", []).append(part.name)
    for path, value in _leaves(sent.json or {}):
        if isinstance(value, Hosted):
            found.setdefault("by an address here that is open for a while, in", []).append(path)
        elif isinstance(value, Inline):
            found.setdefault(f"as {'bare base64' if value.bare else 'a data URI'} in", []).append(path)
    return found


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted path; the places of a list share one."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner, f"{path}[]")
    else:
        yield path, value
