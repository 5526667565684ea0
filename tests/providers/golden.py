"""Golden files under tests/wire: read and compared, or with IMAGEGATE_GOLDEN=write written anew (`make golden`)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

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
