"""Golden files under tests/wire: read and compared, or with IMAGEGATE_GOLDEN=write written anew (`make golden`)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normalization.vocabulary import Picture
from providers.base import FilePart, Hosted, Inline, WireRequest

WIRE = Path(__file__).parent.parent / "wire"


def load(provider: str, name: str) -> Any:
    return json.loads((WIRE / provider / f"{name}.json").read_text(encoding="utf-8"))


def check(provider: str, name: str, value: Any) -> None:
    """Compare `value` with the golden file, or write it there."""
    path = WIRE / provider / f"{name}.json"
    written = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("IMAGEGATE_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written, encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(written), f"{path.name}: see `make golden`"


def sent(request: WireRequest) -> dict[str, Any]:
    """A request as a golden file holds it: pictures by their fingerprints, a form as its parts in order."""
    body = request.json if request.form is None else list(request.form)
    return {"method": request.method, "path": request.path, "headers": dict(request.headers), "body": _shown(body)}


def _shown(value: Any) -> Any:
    if isinstance(value, Picture):
        return value.entry()
    if isinstance(value, Inline):
        return {"prefix": value.prefix, **_shown(value.picture)}
    if isinstance(value, Hosted):
        return {"hosted": _shown(value.picture)}
    if isinstance(value, FilePart):
        head = {"name": value.name, "filename": value.filename, "type": value.content_type}
        return {**head, **_shown(value.picture)}
    if isinstance(value, Mapping):
        return {name: _shown(inner) for name, inner in value.items()}
    return [_shown(inner) for inner in value] if isinstance(value, list | tuple) else value
