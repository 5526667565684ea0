"""A gateway before a provider's simulator, and an official client of it: what the journeys share."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from PIL import Image

from tests.served import served, settings_of
from tests.simulators import (
    apiframe_simulator,
    max_simulator,
    modelverse_simulator,
    onemin_simulator,
    openai_simulator,
)

SECRET = "secret-provider-key"

HURRIED = {"retry_first_seconds": 0.01, "retry_most_seconds": 0.02, "retry_after_seconds": 0.5}
"""Limits under which repeats are made as ever, and nobody waits for them."""
STEADY = {"breaker_failures": 100_000, "breaker_calls": 100_000}
"""Limits under which trouble in one test shuts nothing off for the next."""

SIMULATORS: dict[str, tuple[str, str, Callable[[], AbstractContextManager[Any]]]] = {
    "flux_worker": ("flux_worker", "black-forest-labs/FLUX.2-dev", max_simulator),
    "apiframe": ("apiframe", "flux-2-max", apiframe_simulator),
    "openai": ("openai", "any-model", openai_simulator),
    "onemin": ("onemin", "black-forest-labs/flux-2-max", onemin_simulator),
    "modelverse": ("modelverse", "black-forest-labs/flux-kontext-max/text-to-image", modelverse_simulator),
}


class Journey:
    """A running gateway in front of one provider, and an official client of it."""

    def __init__(self, base_url: str, simulator: Any) -> None:
        self.base_url = base_url
        self.simulator = simulator
        self.client = openai.OpenAI(base_url=base_url, api_key="any", max_retries=0, timeout=60)

    def generate(self, **parameters: Any) -> Any:
        known = {"prompt", "model", "n", "size", "quality", "response_format", "output_format", "output_compression"}
        known |= {"background", "moderation", "style", "user"}
        extra = {name: value for name, value in parameters.items() if name not in known}
        given = {name: value for name, value in parameters.items() if name in known}
        return self.client.images.generate(**{"prompt": "a red fox", "model": "m", **given}, extra_body=extra)

    def pictures(self, answer: Any) -> list[Image.Image]:
        """Every delivered picture, opened and fully decoded."""
        return [opened(delivered(self, each)) for each in answer.data]


def delivered(journey: Journey, item: Any) -> bytes:
    if item.b64_json is not None:
        return base64.b64decode(item.b64_json, validate=True)
    return httpx.get(item.url, timeout=30).raise_for_status().content


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def refusal(journey: Journey, *, retries: int = 2, **parameters: Any) -> openai.APIStatusError:
    """The error that the official client raises, after checking that it gives nothing away.

    It makes its default number of `retries`, unless the answer says that they cannot help.
    """
    client = openai.OpenAI(base_url=journey.base_url, api_key="any", timeout=60, max_retries=retries)
    with client, pytest.raises(openai.APIStatusError) as caught:
        client.images.generate(prompt="a fox", model="m", size="256x256", **parameters)
    error = caught.value
    told = f"{error} {error.response.text} {error.response.headers}"
    assert SECRET not in told
    assert journey.simulator.base_url not in told
    assert "simulated trouble" not in told
    assert isinstance(error.body, dict)
    assert set(error.body) == {"message", "type", "param", "code"}
    assert error.response.headers["x-generation-id"].startswith("gen_")
    return error


@contextmanager
def journey_to(name: str, folder: Path, more: Mapping[str, Any] | None = None) -> Iterator[Journey]:
    """The model `m` at one kind of provider, configured as `p`; `more` goes over the configuration."""
    with ExitStack() as stack:
        entry: dict[str, Any] = {"type": name}
        model, simulator = "sketch", None
        if name != "sketch":
            kind, model, simulate = SIMULATORS[name]
            simulator = stack.enter_context(simulate())
            entry = {"type": kind, "base_url": simulator.base_url, "api_key": SECRET}
            if name == "apiframe":
                entry["poll_seconds"] = {"first": 0.02, "factor": 1.5, "max": 0.1}
        config = {
            "auth": {"mode": "none"},
            "network": {"allow_private": ["127.0.0.0/8"]},
            "providers": {"p": entry},
            "models": {"m": {"routes": [{"provider": "p", "model": model}]}},
            **(more or {}),
        }
        yield Journey(stack.enter_context(served(settings_of(folder, config))), simulator)
