"""What the page of one model allows: its fields, each with the values that it takes.

Providers ignore fields that they have never heard of, and so do the simulators. A field that is another model's, such
as `steps` where this model has `num_inference_steps`, is refused here: the provider would ignore it as well, and the
caller would never learn that nothing was done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.simulators.base import require

UNLISTED = "acme/unlisted"
"""A model that is served although no page here describes it: it takes whatever comes, and makes a square."""


@dataclass(frozen=True)
class Takes:
    """The values of one field: whether a value is one of them, and what they are in words."""

    fits: Callable[[Any], bool]
    words: str


Page = Mapping[str, Takes]


def whole(least: int, most: float) -> Takes:
    return Takes(lambda value: type(value) is int and least <= value <= most, f"a whole number {least}-{most}")


def number(least: float, most: float) -> Takes:
    return Takes(lambda value: type(value) in (int, float) and least <= value <= most, f"a number {least}-{most}")


def one_of(*words: str) -> Takes:
    return Takes(lambda value: value in words, f"one of {', '.join(words)}")


def text(most: int = 32_000) -> Takes:
    return Takes(lambda value: isinstance(value, str) and 1 <= len(value) <= most, f"text of 1-{most} characters")


def ratio() -> Takes:
    return Takes(lambda value: re.fullmatch(r"\d+:\d+", str(value)) is not None, "two whole numbers, W:H")


def boolean() -> Takes:
    return Takes(lambda value: isinstance(value, bool), "true or false")


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and urlsplit(value).scheme in ("http", "https") and bool(urlsplit(value).hostname)


def address() -> Takes:
    """Where a picture is to be fetched from."""
    return Takes(_is_address, "an http or https URL")


def addresses(most: int) -> Takes:
    def fits(value: Any) -> bool:
        return isinstance(value, list) and 1 <= len(value) <= most and all(_is_address(each) for each in value)

    return Takes(fits, f"a list of 1-{most} http or https URLs")


def sides(least: int, most: int, *, multiple: int = 1) -> dict[str, Takes]:
    """`width` and `height`."""
    takes = Takes(
        lambda value: type(value) is int and least <= value <= most and value % multiple == 0,
        f"{least}-{most}, a multiple of {multiple}",
    )
    return {"width": takes, "height": takes}


def check(given: Mapping[str, Any], page: Page, pages: Mapping[str, Page]) -> None:
    """Refuse what the page does not allow, and what only other `pages` have. Raises Refused."""
    for name, value in given.items():
        takes = page.get(name)
        if takes is not None:
            require(takes.fits(value), f"{name} must be {takes.words}", param=name)
            continue
        others = [model for model, other in pages.items() if name in other]
        require(not others, f"{name} is a field of {', '.join(others)} and not of this model", param=name)


def pixels(size: str) -> tuple[int, int]:
    """`WxH` as numbers. Raises Refused."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    require(found is not None, f"invalid size {size}", param="size", code="invalid_value")
    assert found is not None
    return int(found[1]), int(found[2])


SMALL_GPT_SIZES = ("1024x1024", "1536x1024", "1024x1536")
"""All that GPT Image 1 makes."""


def large_gpt_size() -> Takes:
    """The sizes of GPT Image 2 and later."""

    def fits(value: Any) -> bool:
        found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", str(value))
        if found is None:
            return False
        width, height = int(found[1]), int(found[2])
        edges = max(width, height) <= min(3840, 3 * min(width, height))
        return edges and width % 16 == height % 16 == 0 and 655_360 <= width * height <= 8_294_400

    return Takes(fits, "WxH in multiples of 16, up to 3840, at most 3:1, 655360-8294400 pixels")
