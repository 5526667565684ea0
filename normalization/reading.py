"""read(body) -> Reading: what a request's JSON object means, decided once at the door.

Nothing is guessed and nothing is lost: a value is read, refused by name, passed on as an extra, or reported as
superseded by a more specific one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from normalization.errors import InvalidValue, MissingParameter
from normalization.parameters import BY_NAME, FAMILY_OPTIONS, IMAGE_OPTIONS, MATCH_INPUT, PARAMETERS
from normalization.rules import MEANS_DEFAULT, RESERVED, ROWS, bare
from normalization.saying import IMAGE, Saying, read_sayings
from normalization.shaping import SHAPE, read_shape
from normalization.values import check_plain, invalid_type, named, read_value
from normalization.vocabulary import Format, ImageRequest, Operation, Superseded

SEEDS = 2**32
RANDOM_SEED = -1

FORMATS: Mapping[str, Format] = {**{form.value: form for form in Format}, "jpg": Format.JPEG}

DELIVERY = ("response_format", "stream", "partial_images")
"""What says how the answer travels."""

NEVER_DEFAULTED = frozenset({"model", "prompt", *DELIVERY})
"""What a route cannot have a default for: it is decided before a route is chosen."""

PLAIN = ("model", "n", *(name for name in ROWS if name != "seed"))
"""Attributes of the request that are a parameter's value as read."""

SILENCED_BY: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(SHAPE, SHAPE),
    "output_quality": ("output_compression",),
    "output_compression": ("output_quality",),
    "steps": ("quality",),
}
"""Which of the caller's words make a default meaningless, besides the same one: `steps` would overrule the caller's
`quality`, and half a shape of the operator's would distort the caller's."""

INSTEAD: Mapping[str, str] = {
    **{bare(name): f"use {parameter.name}" for name, parameter in BY_NAME.items()},
    **dict.fromkeys(("count", "numberofimages", "numoutputs", "samplecount"), "use n"),
    "megapixels": "use resolution",
    **dict.fromkeys(
        tuple(name for name in RESERVED if name.startswith(("image", "inputimage", "inputref", "mask"))),
        "pictures go to /v1/images/edits",
    ),
}
"""What to do instead of naming a reserved key, by its bare name."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A request, and how its answer travels. `response_format` None = not said."""

    request: ImageRequest
    response_format: Literal["url", "b64_json"] | None = None
    stream: bool = False
    partial_images: int = 0


def read(
    body: Mapping[str, Any],
    *,
    default_model: str,
    operation: Operation = "generate",
    default_format: Format = Format.PNG,
    providers: frozenset[str] = frozenset(),
    defaults: Mapping[str, Any] | None = None,
    prompt_required: bool = True,
) -> Reading:
    """What the body of images/generations means, or of an edit without its pictures.

    `default_model` and `default_format` are the endpoint's, `providers` the configured providers' names, `defaults` a
    route's canonical parameters, used where the caller says nothing. `null` is not said. Pure.

    Raises MissingParameter, InvalidType or InvalidValue, naming the parameter, its value and what is accepted.
    """
    if prompt_required and body.get("prompt") is None:
        raise MissingParameter(f"prompt is missing. Accepted: {BY_NAME['prompt'].accepts}.", param="prompt")
    options = _object(body.get("provider_options"), "provider_options")
    image = _image_options(options)
    said, superseded = read_sayings(body, image)
    told, lost = read_shape(said, operation)
    extra, repeated = _extra(body, image)
    used, shape = said, told
    if defaults:
        used = _with_defaults(said, _read_defaults(defaults), operation)
        shape = replace(read_shape(used, operation)[0], said=told.said)
    values: dict[str, Any] = {"prompt": "", "model": default_model, "output_format": default_format.value}
    values |= {name: saying.value for name, saying in used.items()}
    request = ImageRequest(
        operation=operation,
        shape=shape,
        output_format=FORMATS[values["output_format"]],
        encoder_quality=_encoder_quality(used)[0],
        seed=_seed(values.get("seed")),
        said={name: saying.raw for name, saying in said.items()},
        superseded=(*superseded, *lost, *_encoder_quality(said)[1], *repeated),
        extra=extra,
        provider_options=_provider_options(options, providers),
        **{name: values[name] for name in PLAIN if name in values},
    )
    return Reading(request, **{name: values[name] for name in DELIVERY if name in values})


def check_defaults(defaults: Mapping[str, Any]) -> None:
    """Raise the error that a route's `defaults` would raise at each request. What only an edit has is accepted."""
    read_shape(_read_defaults(defaults), "edit")


def _read_defaults(defaults: Mapping[str, Any]) -> dict[str, Saying]:
    for name in defaults:
        if name not in BY_NAME or BY_NAME[name].name in NEVER_DEFAULTED:
            known = ", ".join(each.name for each in PARAMETERS if each.name not in NEVER_DEFAULTED)
            raise InvalidValue(f"{named(name)} cannot have a default. Accepted: {known}.", param=named(name))
    return read_sayings(defaults, {})[0]


def _with_defaults(
    said: Mapping[str, Saying], defaults: Mapping[str, Saying], operation: Operation
) -> dict[str, Saying]:
    """What was said, filled up where the caller is silent. A default that only an edit can have waits for one."""
    speaking = {name for name, saying in said.items() if not _means_default(name, saying.value)}
    used = {name: saying for name, saying in said.items() if name not in SHAPE or name in speaking}
    for name, saying in defaults.items():
        silenced = name in used or not speaking.isdisjoint(SILENCED_BY.get(name, ()))
        idle = name == "aspect_ratio" and saying.value == MATCH_INPUT and operation != "edit"
        if not silenced and not idle:
            used[name] = saying
    return used


def _means_default(name: str, value: Any) -> bool:
    return value is None or value in MEANS_DEFAULT.get(name, ())


def _seed(value: int | None) -> int | None:
    return None if value is None or value == RANDOM_SEED else value % SEEDS


def _encoder_quality(sayings: Mapping[str, Saying]) -> tuple[int | None, list[Superseded]]:
    """`output_quality`, else `output_compression`: the same thing, 100 = best; and the latter where it differs."""
    quality, compression = sayings.get("output_quality"), sayings.get("output_compression")
    if quality is None or compression is None:
        ruling = quality or compression
        return (None if ruling is None else ruling.value), []
    differs = compression.value != quality.value
    return quality.value, [Superseded(compression.label, compression.raw, quality.label)] if differs else []


def _object(value: Any, label: str) -> Mapping[str, Any]:
    """A JSON object without its nulls; None is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid_type(label, value, "an object")
    return {key: item for key, item in value.items() if item is not None}


def _image_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    image = _object(options.get("image"), IMAGE)
    for key in image:
        if key not in IMAGE_OPTIONS:
            label = named(f"{IMAGE}.{key}")
            raise InvalidValue(f"{label} is not known. Accepted: {', '.join(IMAGE_OPTIONS)}.", param=label)
    return image


def _extra(body: Mapping[str, Any], image: Mapping[str, Any]) -> tuple[dict[str, Any], list[Superseded]]:
    """What we have no parameter for, and what was said of it twice and differently: the top level wins."""
    extra: dict[str, Any] = {}
    for key, value in body.items():
        if value is None or key in BY_NAME or key == "provider_options":
            continue
        _refuse_reserved(key, key)
        check_plain(value, key)
        extra[key] = value
    repeated = []
    for option in FAMILY_OPTIONS:
        raw = image.get(option.name)
        label = f"{IMAGE}.{option.name}"
        value = None if raw is None else read_value(option, raw, label)
        if value is not None and extra.setdefault(option.name, value) != value:
            repeated.append(Superseded(label, raw, option.name))
    return extra, repeated


def _refuse_reserved(key: str, label: str) -> None:
    """The value is not repeated in the error: it may be a credential."""
    if bare(key) in RESERVED:
        instead = INSTEAD.get(bare(key), "leave it out")
        raise InvalidValue(
            f"{named(label)} cannot be passed on, as the gateway itself sets or bills by it: {instead}.",
            param=named(label),
        )


def _provider_options(options: Mapping[str, Any], providers: frozenset[str]) -> dict[str, Mapping[str, Any]]:
    """By provider. `image` is read elsewhere; `max` would choose among endpoints that a gateway does not have."""
    chosen: dict[str, Mapping[str, Any]] = {}
    for name, value in options.items():
        label = f"provider_options.{name}"
        if name not in providers | {"image", "max"}:
            accepted = ", ".join(sorted(providers | {"image", "max"}))
            raise InvalidValue(
                f"{named(label)} is not a configured provider. Accepted: {accepted}.", param=named(label)
            )
        given = _object(value, label)
        if name in providers:
            for key, item in given.items():
                _refuse_reserved(key, f"{label}.{key}")
                check_plain(item, f"{label}.{key}")
            chosen[name] = given
    return chosen
