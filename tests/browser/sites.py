"""A gateway with pages on a real socket, in front of the simulators, for tests that drive a browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.served import served, settings_of
from tests.simulators.base import Simulator
from tests.simulators.fleet import configuration, fleet

LAUNCH = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""How Chromium is started: asking nobody but us, and in a container too."""

WAIT_MILLISECONDS = 15_000


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway by its origin ("http://127.0.0.1:PORT"), and the simulators behind it by their names."""

    origin: str
    simulators: Mapping[str, Simulator]

    @property
    def api(self) -> str:
        return f"{self.origin}/v1"


@contextmanager
def site_in(folder: Path, more: Mapping[str, Any] | None = None) -> Iterator[Site]:
    """A gateway with every simulated provider and `sketch`, whose models are those of the demonstration; `more` goes
    over its configuration, key by key at the top."""
    with fleet(fixed_ports=False) as simulators:
        config = {**configuration(simulators, folder), "default_model": "sketch", **(more or {})}
        with served(settings_of(folder, config, {"SIMULATED_KEY": "a-simulated-key"})) as base_url:
            yield Site(base_url.removesuffix("/v1"), simulators)
