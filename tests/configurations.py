"""What tests of the configuration share: a good one to spoil, and what is said of a spoilt one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config import Settings, load
from normalization.errors import ConfigurationError
from tests.kinds import KINDS

GOOD = """\
providers:
  drawn: {type: sketch}
models:
  picture: {routes: [{provider: drawn, model: sketch}]}
"""
"""Four lines, so that what a test adds begins on line 5."""


def loaded(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in a text, by way of a file."""
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ or {}, adapters=KINDS)


def refusal(tmp_path: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
    """The lines in which a text is refused; the file is called c.yaml."""
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ or {}, adapters=KINDS)
    return caught.value.message.replace(f"{tmp_path}{os.sep}", "").splitlines()


def with_provider(entry: str) -> str:
    """The good configuration with another provider, on line 3."""
    return GOOD.replace("{type: sketch}", f"{{type: sketch}}\n  x: {entry}")


def with_model(entry: str) -> str:
    """The good configuration with another model, on line 5."""
    return f"{GOOD}  m: {entry}\n"


def with_route(entry: str) -> str:
    """The good configuration with another model of one route, on line 5."""
    return with_model(f"{{routes: [{entry}]}}")
