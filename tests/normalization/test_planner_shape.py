"""Planning a shape: what is sent for it, and what each of its parameters became."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from normalization.errors import InvalidValue
from normalization.geometry import Offers
from normalization.planner import plan
from normalization.rules import Profile
from normalization.vocabulary import MEGAPIXEL, Behavior, Size
from tests.normalization.asking import request
from tests.normalization.offers import FEW, TIERED
from tests.normalization.profiles import (
    PHOTO,
    RATIO_ONLY,
    SEEDLESS,
    WORKER,
    entry,
    planned,
)

NO_TIER = "the provider has no resolutions to choose from"
SIZED = replace(WORKER, offers=Offers(sizes=FEW))


@pytest.mark.parametrize(
    ("profile", "said", "expected"),
    [
        (RATIO_ONLY, {"size": "1024x1024"}, {"size": ("converted", "1:1", None)}),
        (RATIO_ONLY, {"size": "16:9"}, {"size": ("renamed", "16:9", None)}),
        (RATIO_ONLY, {"aspect_ratio": "16:9"}, {"aspect_ratio": ("passthrough", "16:9", None)}),
        (RATIO_ONLY, {"aspect_ratio": "32:18"}, {"aspect_ratio": ("converted", "16:9", None)}),
        (
            RATIO_ONLY,
            {"aspect_ratio": "4:3", "resolution": "2K"},
            {
                "aspect_ratio": ("converted", "5:4", "the provider's nearest ratio is 5:4"),
                "resolution": ("dropped", None, NO_TIER),
            },
        ),
        (
            RATIO_ONLY,
            {"resolution": "2K"},
            {"resolution": ("dropped", None, NO_TIER)},
        ),
        (
            RATIO_ONLY,
            {"size": "auto", "aspect_ratio": "auto"},
            {"size": ("converted", None, None), "aspect_ratio": ("converted", None, None)},
        ),
        (
            WORKER,
            {"width": "1024", "height": 768},
            {
                "width": ("passthrough", {"width": 1024, "height": 768}, None),
                "height": ("passthrough", {"width": 1024, "height": 768}, None),
            },
        ),
        (
            WORKER,
            {"width": 1000, "height": 768, "aspect_ratio": "custom"},
            {
                "width": ("converted", {"width": 1008, "height": 768}, None),
                "height": ("passthrough", {"width": 1008, "height": 768}, None),
                "aspect_ratio": ("converted", None, None),
            },
        ),
        (
            WORKER,
            {"size": "4096x4096", "resolution": "4K"},
            {
                "size": (
                    "converted",
                    {"width": 2048, "height": 2048},
                    "the provider makes at most 2048x2048 of this shape: the picture is enlarged",
                ),
                "resolution": (
                    "converted",
                    {"width": 2048, "height": 2048},
                    "the provider makes at most 2048x2048 of this shape: the picture is enlarged",
                ),
            },
        ),
        (
            WORKER,
            {"size": "16:9", "resolution": "4K"},
            {
                "size": ("converted", {"width": 2048, "height": 1152}, None),
                "resolution": ("converted", {"width": 2048, "height": 1152}, "the largest of this shape is 2048x1152"),
            },
        ),
        (
            replace(WORKER, offers=Offers(sizes=FEW)),
            {"size": "1024x1024"},
            {"size": ("passthrough", "1024x1024", None)},
        ),
        (
            replace(WORKER, offers=Offers(ratios=TIERED)),
            {"size": "16:9", "resolution": "1 MP"},
            {
                "size": ("renamed", {"ratio": "16:9", "resolution": "1 MP"}, None),
                "resolution": ("renamed", {"ratio": "16:9", "resolution": "1 MP"}, None),
            },
        ),
        (SEEDLESS, {"size": "640x480"}, {"size": ("emulated", None, None)}),
        (SEEDLESS, {"size": "16:9"}, {"size": ("dropped", None, "the provider does not let its shape be chosen")}),
        (
            SEEDLESS,
            {"resolution": "1K"},
            {"resolution": ("dropped", None, NO_TIER)},
        ),
    ],
)
def test_what_becomes_of_a_shape(profile: Profile, said: dict[str, Any], expected: dict[str, Any]) -> None:
    made = planned(profile, said)
    for name, (behavior, sent, note) in expected.items():
        assert entry(made, name) == (Behavior(behavior), sent, note), name


def test_a_wish_that_meets_its_tier_by_name_has_no_note() -> None:
    made = planned(replace(WORKER, offers=Offers(ratios=TIERED)), aspect_ratio="16:9", resolution="1K")
    assert entry(made, "resolution")[2] is None
    assert made.lossless


def test_superseded_parameters_are_noted_last() -> None:
    made = planned(
        WORKER, size="64x64", aspect_ratio="16:9", output_quality=90, output_compression=10, output_format="webp"
    )
    assert entry(made, "aspect_ratio") == (Behavior.DROPPED, None, "superseded by size")
    assert entry(made, "output_compression") == (Behavior.DROPPED, None, "superseded by output_quality")
    assert [each.name for each in made.applied[-2:]] == ["aspect_ratio", "output_compression"]
    assert not made.lossless


def test_what_only_repeats_the_ruling_value_has_an_entry_of_its_own_and_no_note() -> None:
    made = planned(
        WORKER, size="1024x1024", aspect_ratio="1:1", output_quality=90, output_compression=90, output_format="webp"
    )
    for name in ("size", "aspect_ratio", "output_quality", "output_compression"):
        assert entry(made, name)[2] is None
    assert made.lossless


def test_an_edit_that_matches_its_input_takes_the_first_pictures_ratio() -> None:
    asked = replace(request(), operation="edit", pictures=(PHOTO,))
    asked = replace(asked, shape=replace(asked.shape, match_input=True, said=(("aspect_ratio", "match_input_image"),)))
    asked = replace(asked, said={"aspect_ratio": "match_input_image"})
    made = plan(asked, RATIO_ONLY, name="relay")
    assert made.calls[0].payload["aspect_ratio"] == "3:2"
    assert entry(made, "aspect_ratio") == (Behavior.CONVERTED, "3:2", None)
    narrow = plan(replace(asked, pictures=(replace(PHOTO, size=Size(1000, 750)),)), RATIO_ONLY, name="relay")
    assert entry(narrow, "aspect_ratio")[2] == "the provider's nearest ratio is 5:4"


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"size": "8000x8000"}, "size"),
        ({"width": 8000, "height": 8000}, "width"),
        ({"size": "auto", "aspect_ratio": "custom", "width": 8000, "height": 8000}, "width"),
        ({"aspect_ratio": "1:1", "size": "8000x8000", "width": 8000, "height": 8000}, "size"),
    ],
)
def test_more_pixels_than_the_operator_allows_are_refused_naming_the_limit(said: dict[str, Any], param: str) -> None:
    with pytest.raises(
        InvalidValue, match=r"8000x8000 is 61.0 megapixels; .* at most 40 \(limits.output_mega"
    ) as error:
        planned(WORKER, said)
    assert error.value.param == param


def test_more_pixels_by_a_routes_default_are_refused_too() -> None:
    with pytest.raises(InvalidValue, match=r"^size: 8000x8000"):
        plan(request(defaults={"size": "8000x8000"}), WORKER, name="gpu")


def test_the_operators_limit_itself_is_allowed() -> None:
    asked = request(size="1024x1024")
    assert plan(asked, WORKER, name="gpu", output_pixels_most=MEGAPIXEL).finish.fit == Size(1024, 1024)
    with pytest.raises(InvalidValue, match=r"at most 0\.999"):
        plan(asked, WORKER, name="gpu", output_pixels_most=MEGAPIXEL - 1)
