"""What the caller said of each parameter, under whatever name: read, and reduced to the one that counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def read_sayings(body: Mapping[str, Any], image: Mapping[str, Any]) -> tuple[dict[str, Saying], list[Superseded]]:
    """Every parameter that `body` or `provider_options.image` says, by canonical name, in the table's order.

    The canonical name wins over its synonyms and the top level over the options; of what lost, that which differs.
    `null` and empty text where text may be empty are not said. Raises InvalidType or InvalidValue, also for what lost.
    """
    sayings: dict[str, Saying] = {}
    lost: list[Superseded] = []
    for parameter in PARAMETERS:
        for saying in _sayings(parameter, body, image):
            ruling = sayings.setdefault(parameter.name, saying)
            if saying.value != ruling.value:
                lost.append(Superseded(saying.label, saying.raw, ruling.label))
    return sayings, lost


def _sayings(parameter: Parameter, body: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[Saying]:
    places = [(name, body.get(name)) for name in parameter.names]
    if parameter.image_option is not None:
        places.append((f"{IMAGE}.{parameter.image_option}", image.get(parameter.image_option)))
    for label, raw in places:
        if raw is None:
            continue
        value = read_value(parameter, raw, label)
        if value is not None or parameter.kind != "string":
            yield Saying(label, raw, value)
