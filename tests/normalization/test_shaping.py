"""size, width and height, aspect_ratio and resolution: which of them rules, and what becomes of the rest."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from normalization.errors import InvalidValue, MissingParameter
from normalization.reading import read
from normalization.vocabulary import MEGAPIXEL, Ratio, Size, Superseded, Tier
from tests.normalization.asking import image, refused, request


@pytest.mark.parametrize(
    ("body", "size", "ratio", "tier"),
    [
        ({"size": "1000x777"}, Size(1000, 777), None, None),
        ({"width": 640, "height": "480"}, Size(640, 480), None, None),
        ({"aspect_ratio": "custom", "width": 640, "height": 480}, Size(640, 480), None, None),
        ({"size": "16:9"}, None, Ratio(16, 9), None),
        ({"aspect_ratio": "2.39:1"}, None, Ratio(239, 100), None),
        ({"resolution": "2K"}, None, None, Tier.k("2")),
        ({"resolution": 2}, None, None, Tier(Fraction(2 * MEGAPIXEL), "2 MP")),
        ({"size": "16:9", "resolution": "2K"}, None, Ratio(16, 9), Tier.k("2")),
        ({"aspect_ratio": "1:1", "resolution": "2K"}, None, Ratio(1, 1), Tier.k("2")),
        ({"size": "auto"}, None, None, None),
        ({"aspect_ratio": "auto", "resolution": "auto", "size": "auto"}, None, None, None),
        ({"size": "auto", "aspect_ratio": "4:3"}, None, Ratio(4, 3), None),
        ({"size": "auto", "resolution": "4K"}, None, None, Tier.k("4")),
        ({"size": "auto", "width": 64, "height": 64, "aspect_ratio": "auto"}, Size(64, 64), None, None),
        ({"size": "1920x1080", "aspect_ratio": "16:9"}, Size(1920, 1080), None, None),
        ({"size": "1024x1024", "resolution": "1K", "width": 1024, "height": 1024}, Size(1024, 1024), None, None),
        ({"size": "16:9", "aspect_ratio": "32:18"}, None, Ratio(16, 9), None),
    ],
)
def test_a_shape_that_agrees_with_itself_is_said_in_full(
    body: dict[str, Any], size: Size | None, ratio: Ratio | None, tier: Tier | None
) -> None:
    found = request(body)
    shape = found.shape
    assert (shape.size, shape.ratio, shape.tier, shape.match_input) == (size, ratio, tier, False)
    order = [name for name in ("size", "aspect_ratio", "resolution", "width", "height") if name in body]
    assert shape.said == tuple((name, body[name]) for name in order)
    assert found.superseded == ()


@pytest.mark.parametrize(
    ("body", "said", "superseded"),
    [
        (
            {"size": "1000x777", "aspect_ratio": "16:9", "resolution": "2K", "width": 640, "height": 480},
            ["size"],
            [(name, "size") for name in ("aspect_ratio", "resolution", "width", "height")],
        ),
        ({"size": "640x777", "width": 640, "height": 480}, ["size", "width"], [("height", "size")]),
        (
            {"width": 640, "height": 480, "aspect_ratio": "1:1", "resolution": "4K"},
            ["width", "height"],
            [("aspect_ratio", "width and height"), ("resolution", "width and height")],
        ),
        ({"width": 640, "height": 480, "size": "16:9"}, ["width", "height"], [("size", "width and height")]),
        (
            {"size": "16:9", "aspect_ratio": "1:1", "resolution": "2K"},
            ["size", "resolution"],
            [("aspect_ratio", "size")],
        ),
        (
            {"size": "64x64", "aspect_ratio": "custom", "width": 32, "height": 32},
            ["size", "aspect_ratio"],
            [("width", "size"), ("height", "size")],
        ),
        (
            {"size": "64x64", "aspect_ratio": "auto", "resolution": "4K"},
            ["size", "aspect_ratio"],
            [("resolution", "size")],
        ),
    ],
)
def test_the_more_specific_shape_wins_and_the_rest_is_named(
    body: dict[str, Any], said: list[str], superseded: list[tuple[str, str]]
) -> None:
    found = request(body)
    assert found.shape.said == tuple((name, body[name]) for name in said)
    assert found.superseded == tuple(Superseded(name, body[name], by) for name, by in superseded)
    assert {name: found.said[name] for name in body} == body


def test_maxs_width_and_height_lose_to_a_size_at_top_level() -> None:
    found = request(image(width=640, height=480), size="64x64")
    assert found.shape.size == Size(64, 64)
    assert found.superseded == (
        Superseded("provider_options.image.width", 640, "size"),
        Superseded("provider_options.image.height", 480, "size"),
    )


@pytest.mark.parametrize(("one", "other"), [("width", "height"), ("height", "width")])
@pytest.mark.parametrize("beside", [{}, {"size": "64x64"}, {"aspect_ratio": "custom"}])
def test_one_side_alone_is_refused_naming_the_missing_one(one: str, other: str, beside: dict[str, Any]) -> None:
    refused(MissingParameter, other, one, other, body={one: 64, **beside})


@pytest.mark.parametrize("beside", [{}, {"size": "64x64"}])
def test_custom_needs_both_sides(beside: dict[str, Any]) -> None:
    refused(InvalidValue, "aspect_ratio", "custom", "width and height", body={"aspect_ratio": "custom", **beside})


def test_only_an_edit_has_an_input_to_match() -> None:
    refused(InvalidValue, "aspect_ratio", "match_input_image", body={"aspect_ratio": "match_input_image"})


@pytest.mark.parametrize(
    ("beside", "match_input", "lost"),
    [
        ({}, True, ()),
        ({"resolution": "2K"}, True, ()),
        ({"size": "1:1"}, False, ("size",)),
        ({"size": "64x64"}, False, ("size",)),
    ],
)
def test_an_edit_can_match_its_input(beside: dict[str, Any], match_input: bool, lost: tuple[str, ...]) -> None:
    body = {"prompt": "a fox", "aspect_ratio": "match_input_image", **beside}
    found = read(body, default_model="house", operation="edit").request
    assert found.shape.match_input is match_input
    assert tuple(each.by for each in found.superseded) == lost
