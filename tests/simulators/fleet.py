"""All simulators at once, and a configuration of a gateway in front of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.simulators.apiframe import ApiframeSimulator
from tests.simulators.base import Simulator, running
from tests.simulators.max import FLUX_2_DEV, MaxSimulator
from tests.simulators.modelverse import MODELS as MODELVERSE_MODELS
from tests.simulators.modelverse import ModelVerseSimulator
from tests.simulators.onemin import FLUX_2, OneMinSimulator
from tests.simulators.openai import OpenAISimulator

PORTS: Mapping[type[Simulator], int] = {
    MaxSimulator: 18801,
    ApiframeSimulator: 18802,
    OneMinSimulator: 18803,
    ModelVerseSimulator: 18804,
    OpenAISimulator: 18805,
}

PROVIDER_KEY = "${SIMULATED_KEY:-a-simulated-key}"


@contextmanager
def fleet(*, fixed_ports: bool = True) -> Iterator[Mapping[str, Simulator]]:
    """Every simulator, running, by its name; on the ports of `PORTS`, or where one is taken on any free one."""
    with ExitStack() as stack:
        started: dict[str, Simulator] = {}
        for kind, port in PORTS.items():
            try:
                started[kind.name] = stack.enter_context(running(kind(), port if fixed_ports else 0))
            except OSError:
                started[kind.name] = stack.enter_context(running(kind()))
        yield started


def configuration(simulators: Mapping[str, Simulator], folder: Path) -> dict[str, Any]:
    """A gateway without keys on the loopback, with a model for each provider and one that falls back."""

    def provider(kind: str, name: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "base_url": simulators[name].base_url, "api_key": PROVIDER_KEY, **more}

    onemin, modelverse = FLUX_2[0], MODELVERSE_MODELS[0]
    return {
        "server": {"data_dir": str(folder / "data")},
        "auth": {"mode": "none"},
        "network": {"allow_private": ["127.0.0.0/8"]},
        "providers": {
            "gpu": provider("flux_worker", "max"),
            "apiframe": provider("apiframe", "apiframe", poll_seconds={"first": 0.2, "factor": 1.5, "max": 1.0}),
            "onemin": provider("onemin", "onemin"),
            "modelverse": provider("modelverse", "modelverse"),
            "compatible": provider("openai", "openai"),
            "sketch": {"type": "sketch"},
        },
        "models": {
            "flux-2-max": {
                "aliases": ["flux.2-max", "gpt-image-*", "dall-e-*"],
                "routes": [
                    {"provider": "apiframe", "model": "flux-2-max", "price": {"usd_per_image": 0.07}},
                    {"provider": "onemin", "model": onemin, "price": {"usd_per_image": 0.08}},
                ],
            },
            "flux-2-dev": {"routes": [{"provider": "gpu", "model": FLUX_2_DEV}]},
            "flux-kontext-max": {"routes": [{"provider": "modelverse", "model": modelverse}]},
            "any-model": {"routes": [{"provider": "compatible", "model": "any-model"}]},
            "sketch": {"routes": [{"provider": "sketch", "model": "sketch"}]},
        },
        "default_model": "flux-2-max",
    }


def write_configuration(simulators: Mapping[str, Simulator], folder: Path) -> Path:
    path = folder / "imagegate.yaml"
    path.write_text(yaml.safe_dump(configuration(simulators, folder), sort_keys=False), encoding="utf-8")
    return path
