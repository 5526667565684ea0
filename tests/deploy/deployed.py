"""What the tests of deploy/ share: its files as data, and the verdict of `imagegate check` on a configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from gateway.config import Settings, load
from gateway.config.limits import Limits
from scripts.files import ROOT

DEPLOY = ROOT / "deploy"


def documents(name: str) -> list[Any]:
    """Every document of a YAML file."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def document(name: str) -> Any:
    """The one document of a YAML file."""
    (only,) = documents(name)
    return only


def judged(path: Path) -> Settings:
    """The settings in a configuration, each variable of it set to a text of its own."""
    names = set(re.findall(r"\$\{(\w+)", path.read_text(encoding="utf-8")))
    return load(path, {name: name.lower() for name in names})


def variables(path: Path) -> set[str]:
    """Variables that a configuration cannot do without, and those it can."""
    return set(re.findall(r"\$\{(\w+)", path.read_text(encoding="utf-8")))


def drained() -> float:
    """Seconds that a gateway may take to end."""
    limits = Limits()
    return limits.drain_unready_seconds + limits.drain_seconds


def pinned(image: str) -> bool:
    """Whether an image is named by a tag that is a version."""
    _, _, tag = image.rpartition(":")
    return bool(re.match(r"v?\d+\.\d+", tag)) and "/" not in tag
