"""One value of one parameter: from what the caller wrote to what it means, or an error that says what is accepted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from normalization.errors import InvalidType, InvalidValue
from normalization.geometry import SIDE_MOST
from normalization.parameters import NUMERAL, PIXELS, Kind, Parameter
from normalization.vocabulary import Ratio, Size, Tier

SHOWN_MOST = 100
"""Characters of a caller's text that an error message repeats."""

DEPTH_MOST = 64
"""How deep a passed-through value may be nested: what every JSON parser behind us can still read."""

NUMBER_MOST = 10**100
"""Beyond it a number is absurd whatever it is for, and some arithmetic overflows."""

_SIZE = re.compile(f"({PIXELS})x({PIXELS})")
_RATIO = re.compile(f"({NUMERAL}):({NUMERAL})")
_TIER = re.compile(f"({NUMERAL})(K| MP)?")
_WHOLE = re.compile(r"(-?[0-9]{1,100})(?:\.0{0,100})?")
_NUMBER = re.compile(r"-?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100})(?:[eE][+-]?[0-9]{1,5})?")
_BOOLEANS = {"true": True, "false": False}


def named(label: str) -> str:
    """A key that the caller chose, safe to show: printable, no lone surrogates, at most `SHOWN_MOST` characters."""
    cut = label[:SHOWN_MOST]
    return _cut(cut if cut.isprintable() else repr(cut)[1:-1])


def shown(value: Any) -> str:
    """A value for an error message, at most `SHOWN_MOST` characters, whatever its size or depth."""
    if isinstance(value, str):
        return _cut(repr(value[:SHOWN_MOST]))
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, int) and value.bit_length() > 256:
        return "an integer of more than 77 digits"
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_MOST else f"{text[: SHOWN_MOST - 1]}…"


def invalid_value(label: str, value: Any, accepts: str) -> InvalidValue:
    return InvalidValue(f"Invalid value for {named(label)}: {shown(value)}. Accepted: {accepts}.", param=named(label))


def invalid_type(label: str, value: Any, accepts: str) -> InvalidType:
    return InvalidType(f"Invalid type for {named(label)}: {shown(value)}. Accepted: {accepts}.", param=named(label))


def read_value(parameter: Parameter, value: Any, label: str) -> Any:
    """What `value` means; None where it says nothing (`auto`, or an empty string that may be empty).

    Strings give str, numbers int or float, `size` Size or Ratio, `aspect_ratio` Ratio or its word, `resolution` Tier.
    `label` is the path under which the caller wrote it. Raises InvalidType or InvalidValue naming it.
    """
    return _READERS[parameter.kind](parameter, value, label)


def check_plain(value: Any, label: str) -> None:
    """Refuse, in a value that is passed on unread, what no upstream could be sent as JSON: nesting deeper than
    `DEPTH_MOST`, lone surrogates, NaN, infinities, and integers beyond 64 bits. Raises InvalidValue naming `label`."""
    _check_text(label, label)
    level: list[Any] = [value]
    depth = 0
    while level:
        inner: list[Any] = []
        for item in level:
            _check_scalar(item, label)
            if isinstance(item, Mapping | list | tuple) and depth == DEPTH_MOST:
                raise invalid_value(label, value, f"a value nested at most {DEPTH_MOST} deep")
            if isinstance(item, Mapping):
                inner += [*item, *item.values()]
            elif isinstance(item, list | tuple):
                inner += item
        level, depth = inner, depth + 1


def _check_scalar(item: Any, label: str) -> None:
    if isinstance(item, str):
        _check_text(item, label)
    elif isinstance(item, float) and not math.isfinite(item):
        raise invalid_value(label, item, "finite numbers")
    elif isinstance(item, int) and not -(2**63) <= item < 2**64:
        raise invalid_value(label, item, "integers of at most 64 bits")


def _check_text(text: str, label: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid_value(label, text, "Unicode text without lone surrogates") from None


def _string(parameter: Parameter, value: Any, label: str) -> str | None:
    if not isinstance(value, str):
        raise invalid_type(label, value, parameter.accepts)
    if not (parameter.least or 0) <= len(value) <= (parameter.most or math.inf):
        raise invalid_value(label, value, parameter.accepts)
    _check_text(value, label)
    return value or None


def _choice(parameter: Parameter, value: Any, label: str) -> str:
    if not isinstance(value, str):
        raise invalid_type(label, value, parameter.accepts)
    if value not in parameter.choices:
        raise invalid_value(label, value, parameter.accepts)
    return value


def _boolean(parameter: Parameter, value: Any, label: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    raise invalid_type(label, value, parameter.accepts)


def _finite(parameter: Parameter, value: Any, label: str) -> int | float:
    """A number, from a string too, whole ones exact. Booleans are no numbers, although Python counts them so."""
    number: Any = value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        whole = _WHOLE.fullmatch(value)
        number = float(value) if whole is None else int(whole[1])
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise invalid_type(label, value, parameter.accepts)
    if not abs(number) <= NUMBER_MOST:  # "not ... <=", for NaN compares as false
        raise invalid_value(label, value, parameter.accepts)
    return number


def _within(parameter: Parameter, number: float, value: Any, label: str) -> None:
    low = parameter.least is not None and (
        number < parameter.least or (parameter.least_excluded and number == parameter.least)
    )
    if low or (parameter.most is not None and number > parameter.most):
        raise invalid_value(label, value, parameter.accepts)


def _integer(parameter: Parameter, value: Any, label: str) -> int:
    number = _finite(parameter, value, label)
    if isinstance(number, float) and not number.is_integer():
        raise invalid_type(label, value, parameter.accepts)
    _within(parameter, number, value, label)
    return int(number)


def _number(parameter: Parameter, value: Any, label: str) -> float:
    number = _finite(parameter, value, label)
    _within(parameter, number, value, label)
    return float(number)


def _size(parameter: Parameter, value: Any, label: str) -> Size | Ratio | None:
    if not isinstance(value, str):
        raise invalid_type(label, value, parameter.accepts)
    if value == "auto":
        return None
    if pixels := _SIZE.fullmatch(value):
        size = Size(int(pixels[1]), int(pixels[2]))
        if max(size.width, size.height) > SIDE_MOST:
            raise invalid_value(label, value, parameter.accepts)
        return size
    return _ratio(parameter, value, label)


def _aspect_ratio(parameter: Parameter, value: Any, label: str) -> Ratio | str | None:
    if not isinstance(value, str):
        raise invalid_type(label, value, parameter.accepts)
    if value == "auto":
        return None
    return value if value in parameter.choices else _ratio(parameter, value, label)


def _ratio(parameter: Parameter, value: str, label: str) -> Ratio:
    """An exact ratio of whole numbers; no longer than the longest `WxH`, beyond which nobody can mean it."""
    terms = _RATIO.fullmatch(value)
    if terms is None:
        raise invalid_value(label, value, parameter.accepts)
    width, height = Fraction(terms[1]), Fraction(terms[2])
    if not (0 < width <= height * SIDE_MOST and height <= width * SIDE_MOST):
        raise invalid_value(label, value, parameter.accepts)
    ratio = width / height
    return Ratio(ratio.numerator, ratio.denominator)


def _resolution(parameter: Parameter, value: Any, label: str) -> Tier | None:
    if value == "auto":
        return None
    if not isinstance(value, str):
        number = _finite(parameter, value, label)
        _within(parameter, number, value, label)
        return Tier.megapixels(str(int(number)) if number == int(number) else repr(number))
    tier = _TIER.fullmatch(value)
    if tier is None or Fraction(tier[1]) == 0:
        raise invalid_value(label, value, parameter.accepts)
    return Tier.k(tier[1]) if tier[2] == "K" else Tier.megapixels(tier[1])


_READERS: Mapping[Kind, Callable[[Parameter, Any, str], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "choice": _choice,
    "size": _size,
    "aspect_ratio": _aspect_ratio,
    "resolution": _resolution,
}
