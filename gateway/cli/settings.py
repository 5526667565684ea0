"""The configuration that a command works with: a file, or the embedded default."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.config.embedded import embedded
from gateway.config.load import load
from gateway.config.model import Settings


def settings_for(config: Path | None, *, data_dir: Path | None = None) -> Settings:
    """Settings of `config`, or the embedded default; `data_dir` in place of theirs. Raises ConfigurationError."""
    if config is None:
        return embedded(os.environ, data_dir)
    settings = load(config, os.environ)
    if data_dir is None:
        return settings
    return settings.model_copy(update={"server": settings.server.model_copy(update={"data_dir": data_dir})})
