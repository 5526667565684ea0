"""What the caller said of each parameter, under whatever name: read, and reduced to the one that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from normalization.parameters import PARAMETERS, Parameter
from normalization.values import read_value
from normalization.vocabulary import Superseded

IMAGE = "provider_options.image"


@dataclass(frozen=True, slots=True)
class Saying:
    """One parameter as the caller wrote it (`label`, its path; `raw`) and what that means (`value`)."""

    label: str
    raw: Any
    value: Any


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a parameter can be said. Of two places of one parameter the lower `rank` wins."""

    rank: int
    label: str
    parameter: Parameter


_PLACES = tuple(
    _Place(rank, label, parameter)
    for rank, (label, parameter) in enumerate(
        (label, parameter)
        for parameter in PARAMETERS
        for label in (*parameter.names, parameter.image_option and f"{IMAGE}.{parameter.image_option}")
        if label is not None
    )
)
_AT_TOP = {place.label: place for place in _PLACES if place.label in place.parameter.names}
_IN_OPTIONS = {
    place.label.removeprefix(f"{IMAGE}."): place for place in _PLACES if place.label not in place.parameter.names
}


def read_sayings(body: Mapping[str, Any], image: Mapping[str, Any]) -> tuple[dict[str, Saying], list[Superseded]]:
    """Every parameter that `body` or `provider_options.image` says, by canonical name, in the table's order.

    The canonical name wins over its synonyms and the top level over the options; of what lost, that which differs.
    `null` and empty text where text may be empty are not said. Raises InvalidType or InvalidValue, also for what lost.
    """
    sayings: dict[str, Saying] = {}
    lost: list[Superseded] = []
    for place, raw in _said(body, image):
        parameter = place.parameter
        value = read_value(parameter, raw, place.label)
        if value is None and parameter.kind == "string":
            continue
        ruling = sayings.get(parameter.name)
        if ruling is None:
            sayings[parameter.name] = Saying(place.label, raw, value)
        elif value != ruling.value:
            lost.append(Superseded(place.label, raw, ruling.label))
    return sayings, lost


def _said(body: Mapping[str, Any], image: Mapping[str, Any]) -> list[tuple[_Place, Any]]:
    """What is said and where, by rank. A body holds few of the many names there are: the names are looked up in the
    table, not the table in the body."""
    said = [
        (places[name], raw)
        for places, told in ((_AT_TOP, body), (_IN_OPTIONS, image))
        for name, raw in told.items()
        if raw is not None and name in places
    ]
    said.sort(key=lambda each: each[0].rank)
    return said
