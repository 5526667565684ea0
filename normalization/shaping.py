"""size, width and height, aspect_ratio and resolution: one value, and one answer to which of them rules.

Exact pixels win over wishes: `size` WxH, then `width` with `height`, then `size` W:H, then `aspect_ratio`.
`resolution` is the scale of a ratio, and means nothing beside exact pixels. Source: "Priority when combined" of
Lumenfall's model pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from normalization.errors import MissingParameter
from normalization.parameters import CUSTOM, MATCH_INPUT
from normalization.saying import Saying
from normalization.values import invalid_value
from normalization.vocabulary import Operation, Ratio, Shape, Size, Superseded, Tier

SHAPE = ("size", "aspect_ratio", "resolution", "width", "height")
"""The parameters that a shape is made of, in the order in which they are reported."""


def read_shape(sayings: Mapping[str, Saying], operation: Operation) -> tuple[Shape, list[Superseded]]:
    """The shape that rules, and what was said in vain. What merely repeats the ruling value is not in vain.

    Raises MissingParameter where width stands without height, InvalidValue for words that mean nothing here.
    """
    _check(sayings, operation)
    values = {name: sayings[name].value for name in SHAPE if name in sayings}
    size, by = _pixels(values)
    ruling = _wish(values) if size is None else Shape(size)
    told, lost = [], []
    for name, value in values.items():
        saying = sayings[name]
        if _holds(name, value, ruling):
            told.append((name, saying.raw))
        else:
            lost.append(Superseded(saying.label, saying.raw, by))
    return replace(ruling, said=tuple(told)), lost


def _check(sayings: Mapping[str, Saying], operation: Operation) -> None:
    for one, other in (("width", "height"), ("height", "width")):
        if one in sayings and other not in sayings:
            label = sayings[one].label
            missing = label.removesuffix(one) + other
            raise MissingParameter(f"{label} needs {missing} beside it: give both, or size.", param=missing)
    aspect = sayings.get("aspect_ratio")
    if aspect is None:
        return
    if aspect.value == CUSTOM and "width" not in sayings:
        raise invalid_value(aspect.label, CUSTOM, f"{CUSTOM} together with width and height, or W:H such as 16:9")
    if aspect.value == MATCH_INPUT and operation != "edit":
        raise invalid_value(aspect.label, MATCH_INPUT, "W:H such as 16:9, as there is no input image to match")


def _pixels(values: Mapping[str, Any]) -> tuple[Size | None, str]:
    """Exact pixels, and who rules: where nobody says pixels, a size can only be a ratio."""
    if isinstance(values.get("size"), Size):
        return values["size"], "size"
    if "width" in values:
        return Size(values["width"], values["height"]), "width and height"
    return None, "size"


def _wish(values: Mapping[str, Any]) -> Shape:
    aspect = values.get("aspect_ratio")
    ratio = values.get("size") or (aspect if isinstance(aspect, Ratio) else None)
    return Shape(ratio=ratio, tier=values.get("resolution"), match_input=ratio is None and aspect == MATCH_INPUT)


def _holds(name: str, value: Any, shape: Shape) -> bool:
    """Whether the caller gets `value`: it says nothing, or it rules, or what rules agrees with it."""
    if value is None or value == CUSTOM:
        return True
    size = shape.size
    match value:
        case Ratio():
            return value == (shape.ratio if size is None else size.ratio)
        case Tier():
            return size is None or value.area == size.pixels
        case int():
            return size is not None and value == (size.width if name == "width" else size.height)
        case Size():
            return value == size
        case _:
            return shape.match_input
