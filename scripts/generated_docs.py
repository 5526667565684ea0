"""The parts of the documentation that are written by the code they describe, so that they cannot lie.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->` in its file. `make docs` writes them,
`make check` fails where one is out of step. A new part is one function and one line of `PARTS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.config.entries import ModelEntry, PriceEntry, ProviderEntry, RouteEntry
from gateway.config.limits import NOT_YET, Limits
from gateway.config.logs import Logs
from gateway.config.model import Auth, Budget, KeyEntry, Normalization, Outbound, Server, State, Storage
from gateway.telemetry.families import DECLARED
from normalization.capabilities import behaviors
from normalization.errors import ConfigurationError, ImagegateError
from normalization.parameters import PARAMETERS, Parameter
from normalization.rules import Price
from normalization.table import named_ratio, table_size
from normalization.vocabulary import Tier
from providers.base import Options
from providers.prices import CATALOGUE
from providers.registry import PROVIDERS
from scripts.files import ROOT
from scripts.markdown import table
from scripts.provider_docs import overview, providers


def descendants(base: type[ImagegateError]) -> list[type[ImagegateError]]:
    """Every subclass that has none of its own, or one that answers alike and differs in what may be done then, in the
    order in which they are written."""

    def answer(error: type[ImagegateError]) -> tuple[int, str, str]:
        return error.status, error.type, error.code

    found: list[type[ImagegateError]] = []
    for child in base.__subclasses__():
        below = descendants(child)
        alike = [each for each in below if answer(each) == answer(child)]
        itself = not below or any(
            (each.should_retry, each.charge) != (child.should_retry, child.charge) for each in alike
        )
        found += [*([child] if itself else []), *below]
    return found


def errors() -> str:
    def retry(error: type[ImagegateError]) -> str | None:
        return None if error.should_retry is None else str(error.should_retry).lower()

    answered = [error for error in descendants(ImagegateError) if error is not ConfigurationError]
    return table(
        ("status", "type", "code", "x-should-retry", "may have been charged"),
        (
            (error.status, f"`{error.type}`", f"`{error.code}`", retry(error), error.charge.replace("none", "no"))
            for error in answered
        ),
    )


def verbs() -> str:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([a-z-]+):.*## (.*)", line) for line in lines]
    return table(("verb", "does"), ((f"`make {match[1]}`", match[2]) for match in found if match))


def parameters() -> str:
    def names(parameter: Parameter) -> str:
        also = "".join(f", `{name}`" for name in parameter.synonyms)
        return f"`{parameter.name}`{also}"

    return table(
        ("parameter", "accepted", "what it is"),
        ((names(each), each.accepts, each.about) for each in PARAMETERS),
    )


def sizes() -> str:
    ratios = ("1:1", "5:4", "4:5", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16")
    tiers = ("0.5", "1", "2", "4")
    return table(
        ("ratio", *(f"{tier}K" for tier in tiers)),
        ((ratio, *(table_size(named_ratio(ratio), Tier.k(tier)) for tier in tiers)) for ratio in ratios),
    )


def metrics() -> str:
    return table(
        ("metric", "kind", "labels", "meaning"),
        (
            (f"`{each.name}`", each.kind, " ".join(f"`{label}`" for label in each.labels), each.about)
            for each in DECLARED
        ),
    )


SECTIONS: Mapping[str, type[BaseModel]] = {
    "server": Server,
    "auth": Auth,
    "auth.keys[]": KeyEntry,
    "auth.keys[].budget": Budget,
    "state": State,
    "storage": Storage,
    "network": Outbound,
    "normalization": Normalization,
    "logs": Logs,
    "providers.NAME": ProviderEntry,
    "models.NAME": ModelEntry,
    "models.NAME.routes[]": RouteEntry,
    "models.NAME.routes[].price": PriceEntry,
}


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or value in ((), {}):
        return ""
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value, default=str)}`".replace(
        '`"', "`"
    ).replace('"`', "`")


def settings() -> str:
    return table(
        ("key", "default", "meaning"),
        (
            (f"`{section}.{name}`", _default(field), field.description)
            for section, model in SECTIONS.items()
            for name, field in model.model_fields.items()
        ),
    )


def limits() -> str:
    return table(
        ("key", "default", "meaning"),
        (
            (f"`limits.{name}`", _default(field), field.description)
            for name, field in Limits.model_fields.items()
            if name not in NOT_YET
        ),
    )


SHOWN = (
    ("sketch", "sketch"),
    ("flux_worker", "black-forest-labs/FLUX.2-dev"),
    ("apiframe", "flux-2-max"),
    ("onemin", "black-forest-labs/flux-2-max"),
    ("modelverse", "black-forest-labs/flux-kontext-max/text-to-image"),
    ("openai", "gpt-image-2"),
    ("openai", "any other"),
)
"""The profiles of the matrix: one of each kind of provider, as a type and a model id."""


def matrix() -> str:
    profiles = [PROVIDERS[kind](Options(name=kind)).profile(model) for kind, model in SHOWN]
    columns = [behaviors(profile) for profile in profiles]
    heads = ("parameter", *(f"{kind}<br>{model.split('/')[-1]}" for kind, model in SHOWN))
    rows: list[tuple[object, ...]] = [(f"`{name}`", *(column[name] for column in columns)) for name in columns[0]]
    rows.append(("pictures a call", *(profile.count.most for profile in profiles)))
    rows.append(("formats", *(" ".join(profile.output.names) for profile in profiles)))
    return table(heads, rows)


def prices() -> str:
    def dollars(price: Price | None) -> str:
        parts = {} if price is None else price.parts
        return ", ".join(f"`{name}: {usd}`" for name, usd in parts.items()) or "unknown"

    return table(
        ("provider type", "model", "the page says", "price", "read", "source"),
        (
            (f"`{kind}`", f"`{model}`", each.said, dollars(each.price), each.read, f"[page]({each.source})")
            for (kind, model), each in CATALOGUE.items()
        ),
    )


@dataclass(frozen=True, slots=True)
class Part:
    """`file` is relative to the repository."""

    file: str
    name: str
    write: Callable[[], str]


PARTS: tuple[Part, ...] = (
    Part("docs/api.md", "errors", errors),
    Part("docs/api.md", "parameters", parameters),
    Part("docs/configuration.md", "settings", settings),
    Part("docs/configuration.md", "limits", limits),
    Part("docs/operations.md", "metrics", metrics),
    Part("docs/prices.md", "prices", prices),
    Part("docs/contributing.md", "verbs", verbs),
    Part("docs/normalization.md", "sizes", sizes),
    Part("docs/normalization.md", "matrix", matrix),
    Part("docs/providers.md", "overview", overview),
    Part("docs/providers.md", "providers", providers),
    Part("README.md", "providers", lambda: overview("docs/providers.md")),
)
