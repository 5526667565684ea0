"""The embedded default: the same picture for the same words everywhere, whatever the words and the size."""

from __future__ import annotations

import hashlib
import importlib
import io
import struct
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from normalization.errors import BadUpstreamResponse
from normalization.rules import ROWS
from normalization.vocabulary import Behavior, Size
from providers.base import Failed, Options, WireReply, WireRequest, Work
from providers.sketch import Sketch, draw
from providers.sketch.abstract import paint_paper, paint_ribbons
from providers.sketch.canvas import Canvas
from providers.sketch.chance import Chance
from providers.sketch.drawing import WORKING_PIXELS, WORKING_SIDE, working_size
from providers.sketch.palette import MOODS, THEMES
from providers.sketch.tiles import paint_tiles
from providers.sketch.words import MOODS as MOOD_WORDS
from providers.sketch.words import PLACES, THINGS
from tests.providers.conversing import ATTEMPT, call_of, planned
from tests.providers.drawing import fingerprint, picture

CUT = 240
"""Rows above the label of a 320 x 320 picture: no letter of a font stands there."""

RECORDED = {
    ("a serene mountain lake at sunset", 7): "26f1821e5a7a921e68e4689cf440c44dd22bf8f88887600e1b4207ddf239b9c5",
    ("a cat wearing a top hat", 3): "f5dfceb40708c0d0044b388c45df6c64ef03ebd9e752aa03616157829963c32f",
}
"""sha256 of the first `CUT` rows of RGB. A change here is a change of everybody's pictures: mean it."""


@pytest.mark.parametrize("prompt", ["a serene mountain lake at sunset", "a cat wearing a top hat", "neon city, rain"])
def test_the_same_words_seed_and_size_give_the_same_bytes(prompt: str) -> None:
    assert draw(prompt, 300, 200, 5) == draw(prompt, 300, 200, 5)


@pytest.mark.parametrize(("prompt", "seed"), RECORDED)
def test_pictures_stay_what_they_were(prompt: str, seed: int) -> None:
    seen = picture(prompt, seed=seed).crop((0, 0, 320, CUT))
    assert fingerprint(seen) == RECORDED[prompt, seed]


def test_a_fresh_process_with_another_hash_seed_draws_the_same() -> None:
    program = (
        "import hashlib; from providers.sketch import draw; "
        "print(hashlib.sha256(draw('storm at sea, boats and birds', 200, 160, 4)).hexdigest())"
    )
    seen = {
        subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": salt}
        ).stdout
        for salt in ("1", "2")
    }
    assert seen == {hashlib.sha256(draw("storm at sea, boats and birds", 200, 160, 4)).hexdigest() + "\n"}


@pytest.mark.parametrize("prompt", ["mountains", "a cat", "saturn"])
def test_each_seed_has_its_own_picture(prompt: str) -> None:
    above = [fingerprint(picture(prompt, seed=seed).crop((0, 0, 320, CUT))) for seed in (0, 1, 2, 2**32 - 1)]
    assert len(set(above)) == 4


def test_each_prompt_has_its_own_picture() -> None:
    prompts = ["mountains", "mountains.", "mountain lake", "desert", "a cat", "a dog"]
    assert len({fingerprint(picture(prompt).crop((0, 0, 320, CUT))) for prompt in prompts}) == len(prompts)


def test_the_composition_of_a_seed_is_the_same_in_every_size() -> None:
    small = picture("sailing boats at sunset", 400, 400).resize((100, 100)).crop((0, 0, 100, 80))
    large = picture("sailing boats at sunset", 800, 800).resize((100, 100)).crop((0, 0, 100, 80))
    other = picture("sailing boats at sunset", 800, 800, seed=2).resize((100, 100)).crop((0, 0, 100, 80))
    assert _distance(small, large) < _distance(other, large) / 4


def _distance(one: Image.Image, other: Image.Image) -> float:
    counts = ImageChops.difference(one.convert("L"), other.convert("L")).histogram()
    return sum(value * count for value, count in enumerate(counts)) / (one.width * one.height)


@pytest.mark.parametrize(
    "size",
    [(1, 1), (2, 1), (1, 14142), (14142, 1), (3000, 20), (20, 3000), (7, 3), (159, 160), (160, 159), (1183, 887)],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
@pytest.mark.parametrize(
    "prompt", ["a lake at sunset with boats, fog, rain and birds", "a cat", "city", "saturn, comet"]
)
def test_any_size_comes_out_exactly(prompt: str, size: tuple[int, int]) -> None:
    image = picture(prompt, *size)
    assert (image.size, image.mode) == (size, "RGB")


def test_the_largest_picture_is_drawn_small_and_scaled_up() -> None:
    head = draw("aurora over a forest", 6324, 6324, 1)[16:24]
    assert struct.unpack(">II", head) == (6324, 6324)
    assert working_size(6324, 6324) == (1378, 1378)


@given(st.integers(1, 14142), st.integers(1, 14142))
def test_scenes_are_painted_within_bounds_whatever_the_size(width: int, height: int) -> None:
    wide, tall = working_size(width, height)
    assert wide * tall <= WORKING_PIXELS
    assert min(wide, tall) >= WORKING_SIDE
    if (
        width * height <= WORKING_PIXELS
        and min(width, height) >= WORKING_SIDE
        and max(width, height) <= 10 * min(width, height)
    ):
        assert (wide, tall) == (width, height)


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0), (-1, 5), (14143, 1), (1, 14143), (14142, 14142)])
def test_a_size_out_of_bounds_is_named(width: int, height: int) -> None:
    with pytest.raises(ValueError, match=f"{width}x{height}.*14142"):
        draw("a", width, height, 1)


@settings(max_examples=60)
@given(st.text(min_size=1, max_size=80), st.integers(0, 2**32 - 1))
def test_any_prompt_draws(prompt: str, seed: int) -> None:
    assert picture(prompt, 180, 170, seed).size == (180, 170)


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize("place", PLACES)
def test_every_place_draws_in_every_mood(place: str, mood: str) -> None:
    word = next(names for name, names in MOOD_WORDS if name == mood).split()[0]
    image = picture(f"{PLACES[place].split()[0]} {word}", 300, 240)
    colours = image.crop((0, 0, 300, 190)).getcolors(60_000)
    assert colours is None or len(colours) > 200, "more than a wash"


BASES = {
    "flowers": "field in a storm",
    "lavender": "field at noon",
    "wheat": "field at noon",
    "autumn": "forest at noon",
    "pine": "autumn forest",
    "boat": "sea at noon",
    "wave": "sea at noon",
    "lighthouse": "sea at noon",
    "cactus": "desert at noon",
    "pyramid": "desert at noon",
    "palm": "desert at noon",
    "rocket": "space",
    "ring": "space",
    "comet": "hills at night",
    "aurora": "hills at night",
    "moon": "storm in the hills",
    "sun": "storm in the hills",
    "bird": "storm in the hills",
    "village": "cabin in the hills at noon",
    "stars": "hills",
}
"""Where a thing shows; elsewhere it is hills at noon."""


@pytest.mark.parametrize("thing", THINGS)
def test_every_thing_makes_a_difference(thing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance held still, naming the thing changes the picture."""
    base = BASES.get(thing, "hills at noon")
    word = next(word for word in THINGS[thing].split() if word != "star")
    monkeypatch.setattr("providers.sketch.scene.Chance", lambda *_: Chance("still", 4))
    without, with_it = (picture(prompt, 300, 300).crop((0, 0, 300, 220)) for prompt in (base, f"{base}, {word}"))
    assert fingerprint(without) != fingerprint(with_it)


@pytest.mark.parametrize("paint", [paint_paper, paint_tiles, paint_ribbons])
@pytest.mark.parametrize("size", [(240, 240), (2400, 240), (240, 2400)], ids=str)
def test_every_composition_fills_every_shape(paint: object, size: tuple[int, int]) -> None:
    canvas = Canvas(*size)
    assert callable(paint)
    paint(canvas, THEMES["reef"], Chance("c"))
    for corner in ((0, 0), (size[0] - 1, 0), (0, size[1] - 1), (size[0] - 1, size[1] - 1)):
        assert canvas.image.getpixel(corner) != (0, 0, 0)


COMPANY = (
    "castle by a lake at night",
    "tent by a lake at noon",
    "cabin by a lake in winter",
    "beach with palms",
    "lighthouse in the hills",
    "thunderstorm over the sea, lightning, waves",
    "forest by a lake, fog, lanterns",
    "village in the snow",
    "oasis in the desert, shooting star",
    "camp under the stars, moonlight",
    "cherry blossom by a lake",
    "lighthouse in the mist",
    "at sunset",
)


@pytest.mark.parametrize("prompt", COMPANY)
@pytest.mark.parametrize("size", [(400, 300), (240, 700)], ids=str)
def test_things_get_along_with_one_another(prompt: str, size: tuple[int, int]) -> None:
    images = [fingerprint(picture(prompt, *size, seed=seed)) for seed in range(4)]
    assert len(set(images)) == 4


def test_a_tone_takes_the_colour_out() -> None:
    grey = picture("mountains at sunset, monochrome").crop((0, 0, 320, CUT))
    red, green, blue = grey.split()
    for one, other in ((red, green), (green, blue)):
        assert not any(ImageChops.difference(one, other).histogram()[12:])


def test_the_plan_is_exactly_what_is_drawn() -> None:
    adapter = Sketch(Options(name="p"))
    call = call_of(adapter, "sketch", size="301x203", seed=7, provider_options={"p": {"colour": "red"}})
    work = adapter.submit(call, ATTEMPT)
    assert work == Work("providers.sketch:draw", {"prompt": "a red fox", "width": 301, "height": 203, "seed": 7})
    assert adapter.headers(None) == {}


def test_the_work_can_be_found_and_done_by_its_name() -> None:
    adapter = Sketch(Options(name="p"))
    work = adapter.submit(call_of(adapter, "sketch", size="301x203"), ATTEMPT)
    module, name = work.function.split(":")
    data = getattr(importlib.import_module(module), name)(**work.arguments)
    assert Image.open(io.BytesIO(data)).size == (301, 203)


def test_a_plan_for_sketch_is_free_exact_and_one_picture_a_call() -> None:
    plan = planned(Sketch(Options()), "sketch", size="1000x777", n=3, seed=4294967295)
    assert [call.payload["seed"] for call in plan.calls] == [4294967295, 0, 1]
    assert (plan.yields, plan.cost_micros, plan.lossless) == (Size(1000, 777), 0, True)


def test_what_sketch_cannot_do_is_said_with_a_reason() -> None:
    asked = {
        "negative_prompt": "blurry",
        "quality": "high",
        "steps": 20,
        "guidance": 3,
        "style": "vivid",
        "background": "transparent",
        "moderation": "low",
        "safety_tolerance": 2,
        "prompt_upsampling": True,
        "whatever": 1,
    }
    plan = planned(Sketch(Options()), "sketch", **asked)
    dropped = {entry.name: entry.note for entry in plan.applied if entry.behavior is Behavior.DROPPED}
    assert dropped.keys() == asked.keys()
    assert all(dropped.values())
    assert "diffusion" in str(dropped["steps"])


def test_what_changes_nothing_about_the_picture_is_no_degradation() -> None:
    harmless = {"background": "opaque", "user": "u", "safety_identifier": "s", "quality": "auto", "moderation": "auto"}
    assert planned(Sketch(Options()), "sketch", prompt_upsampling=False, sync_mode=True, **harmless).lossless


def test_the_profile_is_total_and_says_what_the_pictures_are() -> None:
    for model in ("sketch", "anything"):
        profile = Sketch(Options()).profile(model)
        assert set(profile.rows) == set(ROWS)
        assert profile.model == model
        assert "not by an AI model" in profile.notes
        assert profile.offers.kind == "exact"


def test_an_answer_to_nothing_is_a_failure() -> None:
    adapter = Sketch(Options())
    reply = adapter.read(WireReply(200, b"{}"), WireRequest("GET", "/"), call_of(adapter, "sketch"))
    assert isinstance(reply, Failed)
    assert isinstance(reply.error, BadUpstreamResponse)


def test_drawing_needs_neither_numpy_nor_an_http_client() -> None:
    program = "import sys; from providers.sketch import draw; print({name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert "PIL" in loaded
    assert not [name for name in ("numpy", "httpx", "aiohttp", "pydantic", "starlette") if f"'{name}'" in loaded]


def test_gradients_pass_through_every_row_without_a_step() -> None:
    canvas = Canvas(4, 600)
    canvas.wash(((0, 0, 0), (250, 120, 60)))
    column = [canvas.image.getpixel((1, row)) for row in range(600)]
    assert all(abs(a[0] - b[0]) <= 2 for a, b in pairwise(column))  # type: ignore[index]
    assert column[0] == (0, 0, 0)
    assert column[-1] == (250, 120, 60)


def test_paint_beside_the_canvas_leaves_it_alone() -> None:
    canvas = Canvas(40, 30)
    canvas.glow((-50, -50), 20, (255, 255, 255), 255)
    canvas.wash(((255, 255, 255),), 20, 20)
    canvas.sheet((50, 50, 60, 60)).paint((255, 255, 255))
    canvas.sheet((0, 0, 40, 30)).paint((255, 255, 255))
    assert canvas.image.getextrema() == ((0, 0), (0, 0), (0, 0))
