"""A configuration that is read anew and refused changes nothing of what is in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.backends import build_backends
from gateway.config.model import Settings
from normalization.errors import ConfigurationError
from tests.served import settings_of


def settings(folder: Path, concurrent: int, per_minute: int, **other: Any) -> Settings:
    entry = {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "k"}
    config = {
        "auth": {"mode": "none"},
        "providers": {
            "one": {**entry, "max_concurrent": concurrent, "requests_per_minute": per_minute},
            "other": {**entry, **other},
        },
        "models": {"m": {"routes": [{"provider": "one", "model": "x"}]}},
    }
    return settings_of(folder, config)


def test_gates_and_paces_stay_where_another_provider_is_refused(tmp_path: Path) -> None:
    running = build_backends(settings(tmp_path, 3, 30))
    one = running["one"]
    with pytest.raises(ConfigurationError, match=r"providers\.other\.rename: 'promt' is not a parameter"):
        build_backends(settings(tmp_path, 9, 90, rename={"promt": "text"}), running)
    assert (one.gate.limit, one.pace.limit) == (3, 30)
    taken = build_backends(settings(tmp_path, 9, 90), running)
    assert taken["one"].gate is one.gate
    assert (one.gate.limit, one.pace.limit) == (9, 90)
