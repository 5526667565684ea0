"""The entries of `providers:` and `models:`: who can make pictures, and by which names callers ask for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from gateway.config.fields import (
    Amount,
    BaseUrl,
    Count,
    Factor,
    Headers,
    MaybeSecret,
    Seconds,
    Section,
    Switch,
    Text,
    refused,
)
from normalization.parameters import PARAMETERS
from normalization.rules import INPUT_MEGAPIXELS_MOST, Price
from normalization.schema import json_schema

COMMON_KEYS = (
    "type",
    "base_url",
    "api_key",
    "timeout_seconds",
    "max_concurrent",
    "requests_per_minute",
    "headers",
)
POLLED_KEYS = ("poll_seconds",)
TYPE_KEYS: Mapping[str, tuple[str, ...]] = {
    "apiframe": ("webhooks",),
    "openai": ("rename", "drop", "extras", "edits", "profile"),
    "flux_worker": ("base_urls",),
}

_SLUG = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

RESERVED_NAMES = frozenset({"image", "video", "audio", "max"})
"""Names that `provider_options` of a request uses for something else than a configured provider."""

DEFAULTABLE = {
    parameter.name: parameter
    for parameter in PARAMETERS
    if parameter.name
    not in ("model", "prompt", "response_format", "stream", "partial_images", "user", "safety_identifier")
}
"""Parameters that a route may give a default: those about the picture, not about who asks, how
many or how it travels."""


def _provider_name(name: str) -> str:
    """One that fits before the slash of `PROVIDER/MODEL`, into a metric's label and under `provider_options`."""
    if name in RESERVED_NAMES:
        raise refused(
            "the name means something else in provider_options", f"any but {', '.join(sorted(RESERVED_NAMES))}"
        )
    if not _SLUG.fullmatch(name):
        raise refused(
            "not a provider's name", "up to 64 letters, digits, dots, dashes and underscores, a letter or digit first"
        )
    return name


_NAME_PATTERN = f"^(?!(?:{'|'.join(sorted(RESERVED_NAMES))})$){_SLUG.pattern}$"
ProviderName = Annotated[str, AfterValidator(_provider_name), Field(json_schema_extra={"pattern": _NAME_PATTERN})]

_ACCEPTED_PRICE = "a number of US dollars, at least 0"


def _dollars(value: Any) -> Any:
    """Through text, so that 0.07 is seven cents and not the nearest binary fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise refused("not a price", _ACCEPTED_PRICE)
    return str(value)


def _at_least_nothing(value: Decimal) -> Decimal:
    if value < 0:
        raise refused(f"{value} is below 0", _ACCEPTED_PRICE)
    return value


Dollars = Annotated[
    Decimal,
    BeforeValidator(_dollars),
    AfterValidator(_at_least_nothing),
    Field(allow_inf_nan=False),
    WithJsonSchema({"type": "number", "minimum": 0}),
]


class PollSeconds(Section):
    """When an unfinished job is asked after: `first`, then each wait `factor` times the one before, up to `max`."""

    first: Seconds = Field(1.0, description="Seconds before the first look at a job.")
    factor: Factor = Field(1.5, description="Each wait is this many times the one before.")
    max: Seconds = Field(5.0, description="Longest wait, in seconds.")

    @model_validator(mode="after")
    def _grows(self) -> PollSeconds:
        if self.max < self.first:
            raise refused("max is shorter than first", "first <= max, in seconds")
        return self


class ProviderEntry(Section):
    """One provider. Which keys apply depends on its type; others are refused as unknown."""

    type: str = Field(description="The kind of provider.")
    base_url: BaseUrl | None = Field(None, description="Its address; null = its public one, where it has one.")
    base_urls: tuple[BaseUrl, ...] = Field((), description="Addresses of several workers, instead of base_url.")
    api_key: MaybeSecret = Field(None, description="The key that the provider gave you.")
    timeout_seconds: Seconds | None = Field(
        None, description="How long its answer may take; null = limits.read_seconds."
    )
    max_concurrent: Count | None = Field(
        None, description="Submissions at once; null = 500, for flux_worker 4 for each address that takes work."
    )
    requests_per_minute: Count | None = Field(
        None,
        description="Requests a minute, polls counted; null = what the provider is known to tolerate, for apiframe 6 a "
        "second, else no limit.",
    )
    headers: Headers = Field(
        default_factory=dict, repr=False, description="Further headers for this provider. Treated as secrets."
    )
    poll_seconds: PollSeconds | None = Field(
        None,
        description="When unfinished jobs are asked after; null = first 1.0, factor 1.5, max 5.0, "
        "with webhooks first 10, factor 1.5, max 30.",
    )
    webhooks: Switch = Field(
        False,
        description="Ask to be told at server.public_url when a job has ended, rather than look at it often.",
    )
    rename: dict[str, Text] = Field(default_factory=dict, description="Our parameter's name to this provider's.")
    drop: tuple[Text, ...] = Field((), description="Parameters that are never sent to this provider.")
    extras: Literal["forward", "drop"] | None = Field(
        None, description="What becomes of parameters that the gateway does not know; null = as the profile says."
    )
    edits: Literal["multipart", "json"] = Field("multipart", description="How edits are sent.")
    profile: Literal["gpt-image", "generic"] | None = Field(
        None, description="Which profile its models follow; null = by the model's id."
    )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Base URLs without a trailing slash; empty where there is no wire."""
        return self.base_urls or ((self.base_url,) if self.base_url else ())


class PriceEntry(Section):
    """What a route costs, in US dollars; several parts add up."""

    usd_per_image: Dollars | None = Field(None, description="US dollars for each picture.")
    usd_per_megapixel: Dollars | None = Field(
        None, description="US dollars for each megapixel, counted up to the next whole one for each picture."
    )
    usd_per_request: Dollars | None = Field(None, description="US dollars for each submission.")
    usd_per_input_image: Dollars | None = Field(
        None, description="US dollars for each input picture, counted again for each submission that it goes with."
    )
    usd_per_input_megapixel: Dollars | None = Field(
        None,
        description="US dollars for each megapixel of the input pictures, counted up to the next whole one for each "
        f"picture, and up to {INPUT_MEGAPIXELS_MOST}.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> PriceEntry:
        if self.value == Price():
            raise refused("a price without a number", ", ".join(PriceEntry.model_fields))
        return self

    @property
    def value(self) -> Price:
        return Price(**{name: getattr(self, name) for name in PriceEntry.model_fields})


class RouteEntry(Section):
    """One way to make a model's pictures."""

    provider: Text = Field(description="A name under providers.")
    model: Text = Field(description="The provider's own model id.")
    price: PriceEntry | None = Field(
        None,
        description="What it costs; null = the provider's public price where it is known. sketch and flux_worker cost "
        "nothing unless a price is given.",
    )
    weight: Amount = Field(1.0, description="Share of the requests under strategy: weighted.")
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="Parameters of the request that are used where the client says nothing.",
        json_schema_extra={
            "properties": {
                name: part
                for name, part in json_schema("edit", only=DEFAULTABLE)["properties"].items()
                if name in DEFAULTABLE
            },
            "additionalProperties": False,
        },
    )
    on_unknown: Literal["fail", "fallback"] = Field(
        "fail", description="Whether the next route is tried when nobody knows if this one did the work."
    )
    timeout_seconds: Seconds | None = Field(None, description="How long the answer may take; null = the provider's.")

    @field_validator("defaults")
    @classmethod
    def _said(cls, defaults: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in defaults.items() if value is not None}


class ModelEntry(Section):
    """One model as callers see it."""

    aliases: tuple[Text, ...] = Field((), description="Further names, exact or globs such as gpt-image-*.")
    strategy: Literal["priority", "weighted", "fastest", "cheapest"] = Field(
        "priority", description="Which route is tried first; priority = in the order written."
    )
    fallback: Literal["paid", "free"] = Field(
        "paid", description="Whether a route without a price may fall to one with a price; free = it may not."
    )
    routes: tuple[RouteEntry, ...] = Field(min_length=1, description="Where its pictures are made.")
