"""Importing a package without what it would drag along."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(name: str) -> Iterator[None]:
    """Importing `name` fails within, as if it were not installed, unless it has been imported already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # this is how Python spells "not to be imported"
    try:
        yield
    finally:
        del sys.modules[name]
