"""What a start loads: libraries that only some configurations use wait until one does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LOADED = """
import sys
import gateway.cli
first = set(sys.modules)
from gateway.app import create_app
print(*(name for name in ("httpx", "PIL", "starlette", "structlog", "redis") if name in first), sep=",")
print(*(name for name in ("redis", "obstore", "opentelemetry", "PIL") if name in sys.modules), sep=",")
"""


def test_neither_the_command_line_nor_an_embedded_gateway_loads_what_it_may_not_need() -> None:
    done = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["", ""]
