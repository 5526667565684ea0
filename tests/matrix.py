"""Every provider and model, met by every value of every parameter: the cases, and the gateway that they go through.

For each kind of provider one covering design, of which the model is a factor: each model meets every value, and every
pair of values meets on one of the models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from providers.base import Options
from providers.registry import PROVIDERS
from tests.journeys import SECRET, Journey
from tests.pairing import Row, covering
from tests.served import served, settings_of
from tests.simulators import (
    Simulator,
    apiframe_simulator,
    max_simulator,
    modelverse_simulator,
    onemin_simulator,
    openai_simulator,
)
from tests.simulators.pages import UNLISTED

SIMULATE: Mapping[str, Callable[[], AbstractContextManager[Any]]] = {
    "flux_worker": lambda: max_simulator(model=None),
    "apiframe": lambda: apiframe_simulator(looks_until_done=0),
    "openai": openai_simulator,
    "onemin": onemin_simulator,
    "modelverse": modelverse_simulator,
}
"""The simulators; sketch is its own."""

UNKNOWN: Mapping[str, tuple[str, ...]] = {
    "sketch": ("another-sketch",),
    "flux_worker": (UNLISTED,),
    "apiframe": (UNLISTED, "flux-unlisted"),
    "openai": ("any-model",),
    "onemin": (UNLISTED,),
    "modelverse": (UNLISTED,),
}
"""Model ids that no adapter knows, for each of the profiles that it has for such."""

Said = Mapping[str, Any]

VALUES: Mapping[str, Mapping[str, Said]] = {
    "shape": {
        "unsaid": {},
        "auto": {"size": "auto"},
        "square": {"size": "1024x1024"},
        "off-grid": {"size": "1000x777"},
        "dot": {"size": "1x1"},
        "wide": {"size": "21:9"},
        "landscape": {"size": "16:9"},
        "sides": {"width": 400, "height": 300},
        "quarter": {"aspect_ratio": "4:5", "resolution": "0.5K"},
        "double": {"aspect_ratio": "2:3", "resolution": "2 MP"},
    },
    "output_format": {
        "unsaid": {},
        **{name: {"output_format": name} for name in ("png", "jpeg", "webp", "avif", "gif")},
    },
    "n": {"one": {"n": 1}, "three": {"n": 3}, "beyond": {}},
    "response_format": {"unsaid": {}, "url": {"response_format": "url"}, "b64_json": {"response_format": "b64_json"}},
    "output_compression": {"unsaid": {}, "60": {"output_compression": 60}, "100": {"output_compression": 100}},
    "seed": {"unsaid": {}, "fixed": {"seed": 7}, "random": {"seed": -1}},
    "steps": {"unsaid": {}, "few": {"steps": 1}, "many": {"steps": 30}},
    "guidance": {"unsaid": {}, "usual": {"guidance": 3.5}, "strong": {"guidance": 30}},
    "quality": {"unsaid": {}, **{name: {"quality": name} for name in ("low", "hd", "max", "auto")}},
    "negative_prompt": {"unsaid": {}, "said": {"negative_prompt": "dogs"}},
    "safety_tolerance": {"unsaid": {}, "loose": {"safety_tolerance": "6"}, "strict": {"safety_tolerance": 0}},
    "background": {"unsaid": {}, **{name: {"background": name} for name in ("transparent", "opaque", "auto")}},
    "prompt_upsampling": {"unsaid": {}, "said": {"prompt_upsampling": True}},
    "user": {"unsaid": {}, "said": {"user": "somebody"}},
    "extra": {"unsaid": {}, "said": {"sparkle": {"of": "an extra"}}},
}
"""For each factor its values, by name, as what the client says. `beyond` is one picture more than one call makes."""


PROMISES = ("shape", "n", "output_format", "response_format")


@dataclass(frozen=True)
class Case:
    kind: str
    """Of the provider."""
    model: str
    """The provider's own id."""
    row: Row

    @property
    def name(self) -> str:
        """What the gateway's model is called."""
        return f"{self.kind}:{self.model}"

    @property
    def said(self) -> dict[str, Any]:
        """What the client says besides model and prompt."""
        said: dict[str, Any] = {}
        for factor, values in VALUES.items():
            said |= values[self.row[factor]]
        return said if "n" in said else {**said, "n": beyond_one_call(self.kind, self.model)}

    def __str__(self) -> str:
        """For a test's name: the promises alone, as the whole row would be longer than a line."""
        return "-".join((self.name, *(self.row[factor] for factor in PROMISES)))


def models_of(kind: str) -> tuple[str, ...]:
    """Every model that makes pictures from words alone."""
    adapter = PROVIDERS[kind](Options(name=kind))
    return tuple(
        model for model in (*adapter.known_models, *UNKNOWN[kind]) if "generate" in adapter.profile(model).operations
    )


def beyond_one_call(kind: str, model: str) -> int:
    """One more than a call's most, and no more than anybody may ask for."""
    return min(PROVIDERS[kind](Options(name=kind)).profile(model).count.most + 1, 10)


def factors_of(kind: str) -> dict[str, tuple[str, ...]]:
    return {"model": models_of(kind), **{factor: tuple(values) for factor, values in VALUES.items()}}


def design_of(kind: str) -> list[Row]:
    """One picture, where nothing is left to find out about several."""
    return covering(factors_of(kind), usual={"n": "one"})


def cases() -> list[Case]:
    return [Case(kind, row["model"], row) for kind in PROVIDERS for row in design_of(kind)]


@contextmanager
def every_provider(folder: Path) -> Iterator[Mapping[str, Journey]]:
    """One gateway with every model of `models_of`, called as `Case.name` has it, and a journey to it for each kind."""
    with ExitStack() as stack:
        simulators: dict[str, Simulator] = {kind: stack.enter_context(start()) for kind, start in SIMULATE.items()}
        providers: dict[str, Any] = {
            kind: {"type": kind, "base_url": each.base_url, "api_key": SECRET, "requests_per_minute": 1_000_000}
            for kind, each in simulators.items()
        }
        providers["apiframe"]["poll_seconds"] = {"first": 0.01, "factor": 1.0, "max": 0.01}
        config = {
            "auth": {"mode": "none"},
            "network": {"allow_private": ["127.0.0.0/8"]},
            "providers": {**providers, "sketch": {"type": "sketch"}},
            "models": {
                Case(kind, model, {}).name: {"routes": [{"provider": kind, "model": model}]}
                for kind in PROVIDERS
                for model in models_of(kind)
            },
            "default_model": Case("sketch", "sketch", {}).name,
        }
        base_url = stack.enter_context(served(settings_of(folder, config)))
        yield {kind: Journey(base_url, simulators.get(kind)) for kind in PROVIDERS}
