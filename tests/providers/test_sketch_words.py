"""What a prompt's words mean to the sketch, and the chance and the curves that arrange it."""

from __future__ import annotations

from math import cos, pi, sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.sketch.chance import Chance
from providers.sketch.curves import turn
from providers.sketch.palette import MOODS, THEMES
from providers.sketch.words import COLOURS, PLACES, THINGS, TONES, read
from providers.sketch.words import MOODS as MOOD_WORDS

READ = {
    "Mountains at SUNSET": ({"mountains"}, set(), "sunset"),
    "a city by the sea, without rain": ({"city", "sea"}, set(), None),
    "neon city at night": ({"city"}, set(), "neon"),
    "northern lights": (set(), {"aurora"}, "night"),
    "palm trees on a beach": ({"sea"}, {"palm"}, None),
    "cherries and boxes": (set(), {"blossom"}, "spring"),
    "Dünen in der Sahara": ({"desert"}, set(), None),
    "a wedding ring": (set(), set(), None),
    "ice cream": (set(), set(), None),
}


@pytest.mark.parametrize(("prompt", "meant"), READ.items(), ids=READ)
def test_words_are_read_for_what_they_mean(prompt: str, meant: tuple[set[str], set[str], str | None]) -> None:
    brief = read(prompt)
    assert (set(brief.places), set(brief.things), brief.mood) == meant
    assert brief.abstract == (not any(meant))


def test_colours_are_read_in_the_order_of_the_words() -> None:
    assert read("a blue and golden vase, red flowers").colours[:3] == ("blue", "gold", "red")
    assert read("a black and white cat").tone == "grey"
    assert read("a black cat").tone is None


def test_every_word_of_the_tables_can_be_found() -> None:
    for table in (PLACES, THINGS, COLOURS, dict(MOOD_WORDS)):
        for names in table.values():
            assert names == names.lower()
            assert all(word.isascii() and word.isalpha() for word in names.split())
    assert {name for name, _ in MOOD_WORDS} == set(MOODS)
    assert set(COLOURS) <= set(THEMES)
    assert set(TONES) == {"grey", "sepia"}


@given(st.floats(-3, 3))
def test_a_turn_is_a_circle_to_the_eye(share: float) -> None:
    cosine, sine = turn(share)
    assert cosine == pytest.approx(cos(2 * pi * share), abs=0.002)
    assert sine == pytest.approx(sin(2 * pi * share), abs=0.002)


def test_chance_is_the_same_for_ever() -> None:
    chance = Chance("a prompt", 7)
    assert [chance.whole(0, 999) for _ in range(5)] == [364, 591, 29, 381, 242]
    assert Chance("a", 1).of("sky").between(0, 1) == Chance("a", 1).of("sky").between(0, 1)
    assert Chance("a", 1).of("sky").between(0, 1) != Chance("a", 1).of("sea").between(0, 1)
