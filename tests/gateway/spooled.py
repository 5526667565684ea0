"""What this process has in spools."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="open files are read from /proc")


def open_in(data_dir: Path) -> list[str]:
    """The spooled files of a data directory that are open: each takes its bytes on disk for as long as it is."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [name for name in found if name.startswith(f"{data_dir / 'spool'}/")]
