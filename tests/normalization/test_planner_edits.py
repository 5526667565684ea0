"""Planning edits: whose shape rules, what becomes of a mask, and who can take which pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from normalization.geometry import Offers, Ratios
from normalization.plan import Composite, Plan
from normalization.planner import obstacle, plan
from normalization.reading import read
from normalization.rules import Profile
from normalization.vocabulary import Behavior, Format, ImageRequest, Size, Tier
from tests.given import picture_of
from tests.normalization.offers import BY_16
from tests.normalization.profiles import RATIO_ONLY, SEEDLESS, WORKER, entry

PHOTO = picture_of(b"photo", Format.JPEG, Size(3000, 2000))
SMALL = picture_of(b"small", Format.PNG, Size(640, 400))
MASK = picture_of(b"mask", Format.PNG, Size(640, 400))

RATIOS = Ratios("aspect_ratio", ("1:1", "3:2", "16:9"), (Tier.megapixels("1"), Tier.megapixels("4")), "resolution")
MATCHING = Offers(ratios=RATIOS, matching={"aspect_ratio": "match_input_image"})


def editor(offers: Offers, **changes: Any) -> Profile:
    return replace(
        SEEDLESS, **{"offers": offers, "operations": ("edit",), "input_images_max": 2, "mask": "emulated", **changes}
    )


def asked(*pictures: Any, mask: Any = None, **said: Any) -> ImageRequest:
    read_in = read({"prompt": "a fox", **said}, default_model="house", operation="edit").request
    return replace(read_in, pictures=pictures or (SMALL,), mask=mask)


def edited(profile: Profile, *pictures: Any, mask: Any = None, **said: Any) -> Plan:
    return plan(asked(*pictures, mask=mask, **said), profile, name="p")


def sent(made: Plan) -> dict[str, Any]:
    return {name: value for name, value in made.calls[0].payload.items() if name not in ("prompt", "model")}


def test_without_a_shape_the_first_pictures_own_ratio_is_asked_for() -> None:
    assert sent(edited(editor(Offers(ratios=RATIOS)), PHOTO)) == {"aspect_ratio": "3:2"}
    made = edited(editor(Offers(grid=BY_16)), PHOTO)
    assert made.finish.fit == Size(1254, 836)


def test_a_provider_that_has_a_word_for_it_is_told_to_match() -> None:
    made = edited(editor(MATCHING))
    assert sent(made) == {"aspect_ratio": "match_input_image"}
    assert (made.yields, made.finish.fit, made.lossless) == (None, None, True)


def test_a_tier_goes_beside_the_word() -> None:
    made = edited(editor(MATCHING), resolution="2K")
    assert sent(made) == {"aspect_ratio": "match_input_image", "resolution": "4 MP"}
    assert entry(made, "resolution")[2] is None
    assert made.yields is None


def test_a_tier_that_has_no_word_is_dropped_or_asked_for_in_pixels() -> None:
    alone = replace(MATCHING, ratios=replace(RATIOS, tiers=(), tier_to=None))
    made = edited(editor(alone), resolution="2K")
    assert sent(made) == {"aspect_ratio": "match_input_image"}
    assert entry(made, "resolution")[0] is Behavior.DROPPED
    made = edited(editor(replace(alone, grid=BY_16)), resolution="0.5K")
    assert entry(made, "resolution")[2] is None
    assert made.finish.fit == Size(648, 405)


@pytest.mark.parametrize("said", [{"size": "1000x777"}, {"aspect_ratio": "16:9"}])
def test_a_shape_that_was_asked_for_rules(said: dict[str, Any]) -> None:
    made = edited(editor(MATCHING), **said)
    assert sent(made)["aspect_ratio"] in ("1:1", "3:2", "16:9")


def test_to_match_the_input_may_be_asked_for_by_name() -> None:
    made = edited(editor(MATCHING), aspect_ratio="match_input_image")
    assert entry(made, "aspect_ratio") == (Behavior.PASSTHROUGH, "match_input_image", None)
    made = edited(editor(Offers(matching={})), aspect_ratio="match_input_image")
    assert entry(made, "aspect_ratio") == (Behavior.EMULATED, None, None)
    made = edited(editor(Offers(ratios=RATIOS)), SMALL, aspect_ratio="match_input_image")
    assert entry(made, "aspect_ratio") == (Behavior.CONVERTED, "3:2", "the provider's nearest ratio is 3:2")


def test_a_mask_that_the_provider_takes_is_passed_on() -> None:
    made = edited(editor(MATCHING, mask="native"), mask=MASK)
    assert made.calls[0].mask is MASK
    assert made.finish.composite is None
    assert entry(made, "mask") == (Behavior.PASSTHROUGH, MASK.entry(), None)


def test_elsewhere_the_whole_picture_is_edited_and_laid_back() -> None:
    made = edited(editor(MATCHING), mask=MASK)
    assert made.calls[0].mask is None
    assert made.calls[0].pictures == (SMALL,)
    assert made.finish.composite == Composite(SMALL, MASK)
    assert (made.finish.fit, made.finish.slack) == (None, 0)
    assert entry(made, "mask") == (Behavior.EMULATED, None, None)
    assert made.finish.steps()[0] == {"step": "composite", "original": SMALL.entry(), "mask": MASK.entry()}


def test_what_has_to_be_enlarged_for_its_mask_is_noted() -> None:
    made = edited(editor(Offers(grid=BY_16)), PHOTO, mask=replace(MASK, size=PHOTO.size))
    assert made.calls[0].payload
    assert made.finish.composite is not None
    note = entry(made, "mask")[2]
    assert note is not None
    assert "enlarged" in note


def test_a_masked_edit_comes_as_png_whatever_is_delivered() -> None:
    profile = editor(Offers(grid=BY_16), output=WORKER.output)
    assert edited(profile, mask=MASK, output_format="jpeg").finish.source is Format.PNG
    assert edited(profile, SMALL, output_format="jpeg", size="640x400").finish.source is not None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"size": "320x200"}, (Behavior.EMULATED, None, None)),
        ({"size": "1280x800"}, (Behavior.EMULATED, None, "enlarged from the original's 640x400")),
        ({"size": "auto"}, (Behavior.CONVERTED, None, None)),
        ({"aspect_ratio": "match_input_image"}, (Behavior.CONVERTED, None, None)),
        ({"aspect_ratio": "16:9"}, (Behavior.DROPPED, None, "with a mask the picture keeps the shape of its original")),
        ({"resolution": "2K"}, (Behavior.DROPPED, None, "with a mask the picture keeps the shape of its original")),
    ],
)
def test_with_a_mask_only_exact_pixels_are_cut_from_the_original(said: dict[str, Any], expected: Any) -> None:
    made = edited(editor(Offers(grid=BY_16)), mask=MASK, **said)
    assert entry(made, next(iter(said))) == expected
    assert str(made.finish.fit or "auto") == said.get("size", "auto")


@pytest.mark.parametrize(
    ("request_", "profile", "words", "param"),
    [
        (asked(), RATIO_ONLY, "cannot edit", "image"),
        (asked(SMALL, SMALL, SMALL), editor(MATCHING), "at most 2 input pictures", "image"),
        (asked(mask=MASK), editor(MATCHING, mask=None), "takes no mask", "mask"),
        (replace(asked(), prompt=""), editor(MATCHING), "needs a prompt", "prompt"),
        (asked(), editor(MATCHING, prompt_max=2), "at most 2 characters", "prompt"),
    ],
)
def test_why_a_model_cannot_is_said(request_: ImageRequest, profile: Profile, words: str, param: str) -> None:
    found = obstacle(request_, profile)
    assert found is not None
    assert words in found.why
    assert found.param == param


def test_nothing_stands_in_the_way_of_what_a_model_can() -> None:
    assert obstacle(asked(SMALL, SMALL, mask=MASK), editor(MATCHING)) is None
    assert obstacle(replace(asked(), prompt=""), editor(MATCHING, prompt_optional=True)) is None


def test_an_empty_prompt_is_not_sent() -> None:
    made = plan(replace(asked(), prompt=""), editor(MATCHING, prompt_optional=True), name="p")
    assert "prompt" not in made.calls[0].payload


def test_the_inputs_own_shape_is_one_offer_more() -> None:
    keeping = Offers(ratios=replace(RATIOS, names=("1:1", "16:9"), tiers=(), tier_to=None), matching={})
    made = edited(editor(keeping), aspect_ratio="8:5")
    assert (sent(made), entry(made, "aspect_ratio")) == ({}, (Behavior.EMULATED, None, None))
    made = edited(editor(keeping), size="320x200")
    assert (sent(made), made.finish.fit, entry(made, "size")[2]) == ({}, Size(320, 200), None)
    made = edited(editor(keeping), size="6400x4000")
    assert entry(made, "size")[0] is Behavior.EMULATED
    assert "enlarged" in str(entry(made, "size")[2])
    made = edited(editor(keeping), aspect_ratio="3:2")
    assert sent(made) == {"aspect_ratio": "16:9"}


def test_a_masked_edit_is_made_in_the_shape_of_its_original() -> None:
    keeping = Offers(ratios=replace(RATIOS, names=("1:1", "16:9")), matching={"aspect_ratio": "match_input_image"})
    made = edited(editor(keeping), mask=MASK, size="1000x1000")
    assert sent(made) == {"aspect_ratio": "match_input_image", "resolution": "1 MP"}
    made = edited(editor(keeping), PHOTO, mask=replace(MASK, size=PHOTO.size))
    assert sent(made)["resolution"] == "4 MP"
    assert "enlarged" in str(entry(made, "mask")[2])
    made = edited(editor(Offers(matching={})), PHOTO, mask=replace(MASK, size=PHOTO.size))
    assert "enlarged" in str(entry(made, "mask")[2])
