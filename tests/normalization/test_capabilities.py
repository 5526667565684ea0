"""What a model says it can do is what its profile does, and a model of several routes says the best of each."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from normalization.capabilities import behaviors, capabilities, priced, union
from normalization.geometry import Offers
from normalization.planner import plan
from normalization.rules import FREE, ROWS, Count, Output, Price, Profile, Way, one_of, same, unsupported
from normalization.vocabulary import Behavior, Format
from tests.normalization.asking import request
from tests.normalization.offers import ALL_OFFERS, BOUNDED, BY_16, EXACT, FEW, SEVEN, TIERED
from tests.normalization.profiles import BATCHES, PROFILES, RATIO_ONLY, SEEDLESS, WORKER, rows

SHAPE = ("size", "width", "height", "aspect_ratio", "resolution")


def test_a_workers_capabilities_in_full() -> None:
    assert capabilities(WORKER) == {
        "operations": ["generate", "edit"],
        "sizes": {"kind": "grid", "multiple": 16, "least": 128, "most": 2048},
        "aspect_ratios": ["1:1", "5:4", "4:5", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16", "21:9", "9:21"],
        "resolutions": ["0.5K", "1K", "2K"],
        "n_native": 4,
        "formats_native": ["png", "jpeg"],
        "input_images_max": 1,
        "mask": None,
        "seed": True,
        "streaming_partials": False,
        "parameters": {
            "aspect_ratio": "converted",
            "background": "emulated",
            "enable_safety_checker": "emulated",
            "guidance": "renamed",
            "height": "converted",
            "input_fidelity": "dropped",
            "moderation": "dropped",
            "n": "renamed",
            "negative_prompt": "converted",
            "output_compression": "emulated",
            "output_format": "renamed",
            "output_quality": "emulated",
            "prompt": "renamed",
            "prompt_upsampling": "dropped",
            "quality": "renamed",
            "resolution": "converted",
            "response_format": "emulated",
            "safety_identifier": "emulated",
            "safety_tolerance": "dropped",
            "seed": "passthrough",
            "size": "converted",
            "steps": "renamed",
            "strength": "renamed",
            "style": "dropped",
            "sync_mode": "emulated",
            "user": "passthrough",
            "width": "converted",
        },
        "price": {"usd_per_megapixel": 0.01},
    }


@pytest.mark.parametrize(
    ("offers", "sizes", "ratios", "tiers"),
    [
        (
            Offers(grid=EXACT),
            {"kind": "exact", "multiple": 1, "least": 1, "most": 14142},
            11,
            ["0.5K", "1K", "2K", "4K"],
        ),
        (
            Offers(grid=BOUNDED),
            {
                "kind": "grid",
                "multiple": 16,
                "least": 16,
                "most": 3840,
                "pixels_least": 655_360,
                "pixels_most": 8_294_400,
                "ratio_most": 3,
            },
            11,
            ["0.5K", "1K", "2K"],
        ),
        (
            Offers(sizes=FEW),
            {"kind": "grid", "sizes": ["1024x1024", "1536x1024", "1024x1536", "512x512"]},
            4,
            ["1K"],
        ),
        (Offers(ratios=SEVEN), {"kind": "ratio"}, 7, []),
        (Offers(ratios=TIERED), {"kind": "ratio"}, 9, ["0.5 MP", "1 MP", "4 MP"]),
        (Offers(), {"kind": "ratio"}, 0, []),
    ],
)
def test_what_shapes_are_offered(offers: Offers, sizes: dict[str, Any], ratios: int, tiers: list[str]) -> None:
    found = capabilities(replace(SEEDLESS, offers=offers))
    assert found["sizes"] == sizes
    assert len(found["aspect_ratios"]) == ratios
    assert found["resolutions"] == tiers


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        ("exact", ("converted", "passthrough", "passthrough", "converted", "converted")),
        ("by_16", ("converted", "converted", "converted", "converted", "converted")),
        ("few", ("converted", "converted", "converted", "converted", "converted")),
        ("seven", ("converted", "converted", "converted", "passthrough", "dropped")),
        ("tiered", ("converted", "converted", "converted", "converted", "converted")),
        ("none", ("emulated", "emulated", "emulated", "dropped", "dropped")),
    ],
)
def test_what_becomes_of_a_shape(offers: str, expected: tuple[str, ...]) -> None:
    found = behaviors(replace(SEEDLESS, offers=ALL_OFFERS[offers]))
    assert tuple(found[name] for name in SHAPE) == expected


@pytest.mark.parametrize(
    ("count", "behavior"), [(Count(), "emulated"), (Count("n", 4), "passthrough"), (Count("num_images", 4), "renamed")]
)
def test_what_becomes_of_the_count(count: Count, behavior: str) -> None:
    assert behaviors(replace(SEEDLESS, count=count))["n"] == behavior


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (Output(), ("emulated", "emulated", "emulated")),
        (Output("output_format", quality_to="output_quality"), ("passthrough", "passthrough", "renamed")),
        (Output("format", quality_to="q"), ("renamed", "renamed", "renamed")),
    ],
)
def test_what_becomes_of_the_format(output: Output, expected: tuple[str, ...]) -> None:
    found = behaviors(replace(SEEDLESS, output=output))
    assert tuple(found[name] for name in ("output_format", "output_quality", "output_compression")) == expected


def test_a_row_that_keeps_only_the_value_that_asks_for_nothing_is_told_as_dropped() -> None:
    nothing = (Way(Behavior.EMULATED, takes=lambda value: value == "auto"), *unsupported("no"))
    assert behaviors(replace(SEEDLESS, rows=rows(background=nothing)))["background"] == "dropped"


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_parameter_is_told_and_none_other(name: str) -> None:
    found = behaviors(PROFILES[name])
    assert set(found) == {
        *ROWS,
        *SHAPE,
        "n",
        "output_format",
        "output_quality",
        "output_compression",
        "response_format",
    }
    assert set(found.values()) <= set(Behavior)


@pytest.mark.parametrize("name", sorted(PROFILES))
@pytest.mark.parametrize(
    "said", [{"steps": 20}, {"seed": 7}, {"style": "vivid"}, {"guidance": 3}, {"user": "u"}, {"n": 1}]
)
def test_what_is_told_is_what_a_plan_does_with_an_ordinary_value(name: str, said: dict[str, Any]) -> None:
    profile = PROFILES[name]
    (parameter,) = said
    entry = next(each for each in plan(request(said), profile, name="p").applied if each.name == parameter)
    assert behaviors(profile)[parameter] == entry.behavior


@pytest.mark.parametrize(
    ("price", "told"),
    [
        (None, None),
        (FREE, {"usd_per_image": 0.0}),
        (Price(), {}),
        (
            Price(Decimal("0.04"), Decimal("0.01"), Decimal("0.001")),
            {"usd_per_image": 0.04, "usd_per_megapixel": 0.01, "usd_per_request": 0.001},
        ),
    ],
)
def test_a_price_is_told_part_by_part_and_an_unknown_one_is_null(price: Price | None, told: Any) -> None:
    assert priced(price) == told


def test_the_routes_price_is_told_over_the_profiles() -> None:
    assert capabilities(BATCHES, Price(usd_per_image=Decimal(1)))["price"] == {"usd_per_image": 1.0}
    assert capabilities(RATIO_ONLY)["price"] is None


def test_a_model_says_the_best_of_its_routes() -> None:
    worker, relay = (
        capabilities(WORKER),
        capabilities(RATIO_ONLY, edit=replace(RATIO_ONLY, operations=("edit",), input_images_max=8, mask="native")),
    )
    both = union([relay, worker])
    assert both["operations"] == ["generate", "edit"]
    assert both["sizes"] == worker["sizes"]
    assert both["aspect_ratios"][:7] == relay["aspect_ratios"]
    assert set(both["aspect_ratios"]) == {*relay["aspect_ratios"], *worker["aspect_ratios"]}
    assert both["resolutions"] == worker["resolutions"]
    assert (both["n_native"], both["input_images_max"], both["mask"], both["seed"]) == (4, 8, "native", True)
    assert both["formats_native"] == ["png", "jpeg"]
    assert both["streaming_partials"] is False
    showing = capabilities(replace(WORKER, shows_partials=True))
    assert union([capabilities(WORKER), showing])["streaming_partials"] is True
    assert both["price"] is None
    assert both["parameters"]["negative_prompt"] == "converted"
    assert both["parameters"]["aspect_ratio"] == "passthrough"
    assert both["parameters"]["style"] == "renamed"
    assert both["parameters"]["moderation"] == "dropped"


def test_whether_a_mask_keeps_the_rest_is_told_where_masks_are_taken() -> None:
    edit = replace(RATIO_ONLY, operations=("edit",), input_images_max=2)
    kept, asked, laid = (
        capabilities(RATIO_ONLY, edit=each)
        for each in (
            replace(edit, mask="emulated"),
            replace(edit, mask="native"),
            replace(edit, mask="native", mask_keeps=False),
        )
    )
    assert [(each["mask"], each["mask_exact"]) for each in (kept, asked, laid)] == [
        ("emulated", True),
        ("native", False),
        ("native", True),
    ]
    none = capabilities(RATIO_ONLY, edit=replace(edit, operations=(), mask="emulated"))
    assert "mask_exact" not in none
    assert "mask_exact" not in union([none])
    assert union([none, laid, kept])["mask_exact"] is True
    assert union([none, laid, asked])["mask_exact"] is False


def test_what_only_edits_have_is_told_by_the_profile_of_an_edit() -> None:
    edit = replace(RATIO_ONLY, operations=("edit",), input_images_max=2, mask="emulated", rows=rows(strength=same("s")))
    told = capabilities(RATIO_ONLY, edit=edit)
    assert told["operations"] == ["generate", "edit"]
    assert (told["input_images_max"], told["mask"]) == (2, "emulated")
    assert told["parameters"]["strength"] == "renamed"
    assert told["parameters"]["seed"] == capabilities(RATIO_ONLY)["parameters"]["seed"]
    nothing = capabilities(RATIO_ONLY, edit=replace(edit, operations=()))
    assert (nothing["operations"], nothing["input_images_max"], nothing["mask"]) == (["generate"], 0, None)


def test_a_model_of_one_route_says_what_the_route_says() -> None:
    alone = capabilities(RATIO_ONLY)
    assert union([alone]) == alone


def test_exact_pixels_are_the_widest_offer() -> None:
    told = [capabilities(replace(SEEDLESS, offers=Offers(grid=grid))) for grid in (BY_16, EXACT)]
    assert union(told)["sizes"]["kind"] == "exact"


def test_formats_are_told_by_our_names() -> None:
    profile: Profile = replace(SEEDLESS, output=Output("f", {Format.JPEG: "jpg", Format.WEBP: "webp"}))
    assert capabilities(profile)["formats_native"] == ["jpeg", "webp"]


def test_no_seed_is_told_where_seeds_are_drawn_by_the_provider() -> None:
    assert capabilities(SEEDLESS)["seed"] is False
    words = one_of("seed", {1: 1}, unsupported("one seed"))
    assert capabilities(replace(SEEDLESS, rows=rows(seed=words)))["seed"] is True
    assert capabilities(replace(SEEDLESS, rows=rows(seed=same("seed"))))["seed"] is True
