"""sketch edits by rules: the same for the same, everything that was given to be seen in it, and labelled as ever."""

from __future__ import annotations

import hashlib
import importlib
import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms

from normalization.pictures import BadPicture
from normalization.planner import obstacle
from normalization.vocabulary import Behavior, Format, ImageRequest, Picture, Size
from providers.base import Options, Work
from providers.sketch import Sketch, draw, redraw
from providers.sketch.bounds import STRENGTH
from tests.given import mask_for, painted, picture_of
from tests.providers.conversing import ATTEMPT, edited

CUT = 240
"""Rows above the label of a 320 x 320 picture."""

RECORDED = {
    "neon city": "bedc146a741a8390a0d9608629fdfe2210f208d7f05eaebaa703142b0aa1ef05",
    "": "6ac4382cf151d727fc3ce918a52abba5966cdeb470e0d7f3430db99356a2519c",
}
"""sha256 of the first `CUT` rows of RGB of an edit with seed 7. A change here is a change of everybody's pictures."""


def drawn(prompt: str = "mountains at noon", width: int = 640, height: int = 480, seed: int = 1) -> Picture:
    return picture_of(draw(prompt, width, height, seed), Format.PNG, Size(width, height))


def image_of(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def redrawn(
    *pictures: Picture, prompt: str = "neon city", size: Size | None = None, seed: int = 7, strength: float = STRENGTH
) -> Image.Image:
    size = size or Size(320, 320)
    return image_of(redraw(prompt, size.width, size.height, seed, strength, pictures))


def distance(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures' channels, 0..255, above the label."""
    box = (0, 0, one.width, one.height * 3 // 4)
    counts = ImageChops.difference(one.crop(box), other.crop(box)).convert("L").histogram()
    return sum(value * count for value, count in enumerate(counts)) / sum(counts)


def fingerprint(image: Image.Image) -> str:
    return hashlib.sha256(image.crop((0, 0, image.width, CUT)).tobytes()).hexdigest()


@pytest.mark.parametrize("prompt", RECORDED)
def test_edits_stay_what_they_were(prompt: str) -> None:
    image = redrawn(painted(400, 300), painted(40, 90, "navy"), prompt=prompt)
    assert fingerprint(image) == RECORDED[prompt]


def test_the_same_prompt_seed_size_and_pictures_give_the_same_bytes() -> None:
    asked = ("lake", 301, 203, 5, 0.4, (drawn(), painted(9, 9)))
    assert redraw(*asked) == redraw(*asked)
    image = image_of(redraw(*asked))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (301, 203))


@pytest.mark.parametrize("change", ["prompt", "seed", "picture", "strength", "another"])
def test_whatever_an_edit_is_made_of_makes_a_difference(change: str) -> None:
    first, other = drawn(), drawn(seed=2)
    same: dict[str, Any] = {"prompt": "neon city", "seed": 7, "strength": 0.5}
    changed = {
        "prompt": redrawn(first, **{**same, "prompt": "a cat"}),
        "seed": redrawn(first, **{**same, "seed": 8}),
        "picture": redrawn(other, **same),
        "strength": redrawn(first, **{**same, "strength": 0.6}),
        "another": redrawn(first, other, **same),
    }
    assert fingerprint(redrawn(first, **same)) != fingerprint(changed[change])


def test_strength_is_the_share_of_the_drawing() -> None:
    photo = drawn("desert at noon", 320, 320)
    original, scene = image_of(photo.content.read()), image_of(draw("neon city", 320, 320, 7))
    steps = [redrawn(photo, strength=strength) for strength in (0.01, 0.3, 0.6, 0.9, 1)]
    away = [distance(step, original) for step in steps]
    assert away == sorted(away)
    assert away[0] < 2
    assert distance(steps[-1], scene) == 0
    assert 0 < distance(steps[-2], scene) < distance(steps[1], scene)


def test_half_a_strength_is_half_of_each() -> None:
    above = (0, 0, 320, CUT)
    half = redrawn(painted(64, 64, "white"), strength=0.5).crop(above)
    scene = image_of(draw("neon city", 320, 320, 7)).crop(above)
    white = Image.new("RGB", scene.size, "white")
    assert distance(half, Image.blend(scene, white, 0.5)) < 1.5
    assert distance(half, scene) > 50


def test_a_tone_takes_the_colour_out_of_the_picture_too() -> None:
    grey = redrawn(painted(64, 64, "red"), prompt="mountains, monochrome").crop((0, 0, 320, CUT))
    red, green, _ = grey.split()
    assert not any(ImageChops.difference(red, green).histogram()[12:])


@pytest.mark.parametrize("size", [Size(1, 1), Size(2, 14142), Size(3000, 20), Size(20, 3000), Size(1183, 887)])
@pytest.mark.parametrize("prompt", ["a lake at sunset", ""])
def test_any_size_comes_out_exactly(prompt: str, size: Size) -> None:
    image = redrawn(drawn(), *[painted(30, 20, "red")] * 15, prompt=prompt, size=size)
    assert (image.size, image.mode) == ((size.width, size.height), "RGB")


def test_a_picture_is_cut_to_the_shape_at_its_middle_and_never_distorted() -> None:
    wide = Image.new("RGB", (600, 200), "red")
    wide.paste("blue", (200, 0, 400, 200))
    file = io.BytesIO()
    wide.save(file, "PNG")
    image = redrawn(picture_of(file.getvalue(), Format.PNG, Size(600, 200)), strength=0.01)
    for place in ((4, 4), (160, 100), (315, 230)):
        red, _, blue = _pixel(image, place)
        assert blue > 200 > 50 > red


def _pixel(image: Image.Image, place: tuple[int, int]) -> tuple[int, int, int]:
    red, green, blue = image.crop((*place, place[0] + 1, place[1] + 1)).tobytes()
    return red, green, blue


@pytest.mark.parametrize("count", [2, 3, 6, 11, 16])
def test_every_further_picture_hangs_in_the_result(count: int) -> None:
    colours = [(10 + 15 * place, 250 - 15 * place, 120) for place in range(count - 1)]
    others = [painted(60, 40, f"rgb{colour}") for colour in colours]
    image = redrawn(drawn("night", 500, 400), *others, size=Size(700, 500))
    found = {colour for _, colour in image.crop((0, 0, 700, 400)).getcolors(700 * 400) or ()}
    assert [colour for colour in colours if colour not in found] == []


def test_a_variation_is_the_picture_in_other_dabs_for_each_seed() -> None:
    photo = drawn("boats at sunset", 320, 320)
    original = image_of(photo.content.read())
    one, two = (redrawn(photo, prompt="", seed=seed) for seed in (1, 2))
    assert fingerprint(one) != fingerprint(two)
    for image in (one, two):
        assert 0.5 < distance(image, original) < 12
        assert distance(image, original) < distance(redrawn(photo, prompt="neon city"), original)


def test_the_label_says_that_no_model_made_an_edit() -> None:
    image = redrawn(painted(64, 64, "white"), strength=0.01)
    strip, above = image.crop((0, 290, 320, 320)), image.crop((0, 0, 320, 280))
    assert strip.convert("L").resize((1, 1), Image.Resampling.BOX).tobytes() < b"\x78"
    assert above.convert("L").resize((1, 1), Image.Resampling.BOX).tobytes() > b"\xf0"
    assert (
        strip.tobytes() != redrawn(painted(64, 64, "white"), strength=0.01, seed=8).crop((0, 290, 320, 320)).tobytes()
    )


def test_what_is_transparent_is_white_and_colours_are_meant_as_the_profile_says() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(file, "PNG")
    clear = redrawn(picture_of(file.getvalue(), Format.PNG, Size(64, 64)), strength=0.01)
    assert min(_pixel(clear, (5, 5))) > 245
    file = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.new("L", (64, 64), 128).save(file, "JPEG", icc_profile=profile)
    assert redrawn(picture_of(file.getvalue(), Format.JPEG, Size(64, 64))).size == (320, 320)


@pytest.mark.parametrize("format", [Format.PNG, Format.JPEG, Format.WEBP])
def test_every_format_that_is_taken_in_can_be_redrawn(format: Format) -> None:
    red, green, blue = _pixel(redrawn(painted(96, 64, "orange", format), strength=0.01), (3, 3))
    assert red > 240
    assert 140 < green < 185
    assert blue < 20


def test_a_damaged_picture_is_refused() -> None:
    whole = painted(64, 64).content.read()
    with pytest.raises(BadPicture):
        redrawn(picture_of(whole[:40], Format.PNG, Size(64, 64)))
    with pytest.raises(BadPicture, match="at most"):
        redrawn(picture_of(whole, Format.PNG, Size(8, 8)))


@pytest.mark.parametrize(("width", "height"), [(0, 10), (14143, 1), (14142, 14142)])
def test_a_size_out_of_bounds_is_named(width: int, height: int) -> None:
    with pytest.raises(ValueError, match=f"{width}x{height}"):
        redraw("a", width, height, 1, 0.5, (painted(8, 8),))


def test_an_edit_is_work_that_can_be_found_and_done_by_its_name() -> None:
    photo, other = painted(96, 64), painted(8, 8, "navy")
    (call,) = edited(Sketch(Options(name="p")), "sketch", (photo, other), seed=7, strength=0.25).calls
    work = Sketch(Options(name="p")).submit(call, ATTEMPT)
    said = {"prompt": "a red fox", "width": 1254, "height": 836, "seed": 7, "strength": 0.25}
    assert work == Work("providers.sketch:redraw", {**said, "pictures": (photo, other)})
    module, name = work.function.split(":")
    assert image_of(getattr(importlib.import_module(module), name)(**work.arguments)).size == (1254, 836)


def test_without_a_prompt_or_strength_the_defaults_are_worked_with() -> None:
    (call,) = edited(Sketch(Options(name="p")), "sketch", (painted(96, 64),), prompt="x").calls
    bare = type(call)(
        {name: call.payload[name] for name in ("width", "height", "seed")}, (0,), (0,), "edit", call.pictures
    )
    work = Sketch(Options(name="p")).submit(bare, ATTEMPT)
    assert isinstance(work, Work)
    assert (work.arguments["prompt"], work.arguments["strength"]) == ("", STRENGTH)


def test_an_edit_is_free_exact_and_made_again_from_its_seed() -> None:
    plan = edited(Sketch(Options(name="p")), "sketch", (painted(96, 64),), size="1000x777", n=3, seed=4294967295)
    assert [call.payload["seed"] for call in plan.calls] == [4294967295, 0, 1]
    assert (plan.yields, plan.cost_micros, plan.lossless) == (Size(1000, 777), 0, True)


def test_a_mask_is_laid_here_and_the_whole_picture_drawn_at_the_originals_size() -> None:
    plan = edited(Sketch(Options(name="p")), "sketch", (painted(96, 64),), mask=mask_for(96, 64, (0, 0, 8, 8)))
    (entry,) = [entry for entry in plan.applied if entry.name == "mask"]
    assert (entry.behavior, plan.yields) == (Behavior.EMULATED, Size(96, 64))
    assert plan.finish.composite is not None


def test_sixteen_pictures_and_no_prompt_are_no_obstacle_and_a_seventeenth_is() -> None:
    for count, prompt, fits in ((1, "", True), (16, "", True), (16, "a fox", True), (17, "a fox", False)):
        request = ImageRequest(prompt=prompt, model="m", operation="edit", pictures=(painted(8, 8),) * count)
        assert (obstacle(request, Sketch(Options()).profile("sketch", count)) is None) is fits
    assert obstacle(ImageRequest(prompt="", model="m"), Sketch(Options()).profile("sketch")) is not None
