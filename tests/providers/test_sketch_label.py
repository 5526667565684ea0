"""Every prompt can be printed, and every picture large enough says what it is."""

# ruff: noqa: RUF001 - letters that look like others are what these tests are about

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageFont

from providers.sketch.label import (
    BLANK,
    CLAIM,
    GAP,
    MARK_LEAST,
    PRINTABLE,
    STRIP_LEAST,
    UNPRINTABLE,
    paint_label,
    printable,
)
from tests.providers.drawing import fingerprint, picture

AWKWARD = {
    "right to left": "نص عربي مع אותיות עבריות",
    "emoji with joiners": "👩‍👩‍👧‍👦 🎉 🏳️‍🌈",
    "controls and newlines": "a\x00b\x1b[31mc\r\n\td\u2028e",
    "lone combining marks": "\u0301\u0308\u0323" * 50,
    "a lone surrogate": "a \ud800 b",
    "very long": "a mountain of words " * 1600,
    "one endless word": "x" * 32000,
    "blank": " \n\u200b ",
    "private use": "\ue000\U0010fffd",
}


@pytest.mark.parametrize("prompt", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("size", [(512, 320), (160, 160), (120, 90)], ids=str)
def test_awkward_prompts_draw_in_every_kind_of_label(prompt: str, size: tuple[int, int]) -> None:
    assert picture(prompt, *size).size == size


PRINTED = {
    "a red fox": "a red fox",
    "  two\nlines\t and  blanks ": "two lines and blanks",
    "Café Müller, Łódź, smørrebrød, Straße": "Cafe Muller, Lodz, smorrebrod, Strasse",
    "日本の山": UNPRINTABLE,
    "mountain 山山 at dusk": f"mountain {GAP} at dusk",
    "party 🎉🎉🎉!": f"party {GAP}!",
    "e\u0301te\u0301": "ete",
    "ｆｕｌｌ ｗｉｄｔｈ ２": "full width 2",
    "\u202eabc\u202c": "abc",
    "4 × 4 — “so”": "4 x 4 - “so”",
    "\u0301\u200b": BLANK,
    "\n": BLANK,
}


@pytest.mark.parametrize(("prompt", "line"), PRINTED.items(), ids=range(len(PRINTED)))
def test_the_label_prints_what_the_font_can(prompt: str, line: str) -> None:
    assert printable(prompt) == line


@given(st.text(max_size=300))
def test_the_label_never_prints_a_letter_that_the_font_lacks(prompt: str) -> None:
    line = printable(prompt)
    assert set(line) <= PRINTABLE
    assert line.strip()


def test_the_font_has_every_letter_that_we_count_on() -> None:
    font = ImageFont.load_default(20)
    assert isinstance(font, ImageFont.FreeTypeFont)

    def shape(letter: str) -> tuple[tuple[int, int], bytes]:
        mask = font.getmask(letter)
        return mask.size, bytes(mask)

    missing = shape("\uffff")
    assert [letter for letter in sorted(PRINTABLE) if shape(letter) == missing] == []


def lower_edge(width: int, height: int, prompt: str = "snow", seed: int = 1) -> tuple[Image.Image, Image.Image]:
    """The picture with and without its label."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("providers.sketch.drawing.paint_label", lambda *_: None)
        bare = picture(prompt, width, height, seed)
    return picture(prompt, width, height, seed), bare


@pytest.mark.parametrize("size", [(STRIP_LEAST, STRIP_LEAST), (1024, 1024), (1536, 640), (512, 768)], ids=str)
def test_a_strip_says_that_no_model_made_the_picture(size: tuple[int, int]) -> None:
    labelled, bare = lower_edge(*size)
    changed = ImageChops.difference(labelled, bare).getbbox()
    assert changed is not None
    left, top, right, bottom = changed
    assert (left, right, bottom) == (0, size[0], size[1])
    assert 0.78 < top / size[1] < 0.97
    strip = labelled.crop(changed).convert("L")
    counts = strip.histogram()
    assert counts[255], "the prompt stands there in white"
    assert sum(counts[:140]) > 0.7 * strip.width * strip.height, "on a dark ground"


def test_a_small_picture_carries_the_mark_and_a_tiny_one_nothing() -> None:
    for size in (MARK_LEAST, (STRIP_LEAST - 1, STRIP_LEAST + 40)):
        labelled, bare = lower_edge(*size)
        changed = ImageChops.difference(labelled, bare).getbbox()
        assert changed is not None
        assert changed[3] - changed[1] <= 15
    for size in ((MARK_LEAST[0] - 1, MARK_LEAST[1]), (MARK_LEAST[0], MARK_LEAST[1] - 1), (16, 16)):
        labelled, bare = lower_edge(*size)
        assert ImageChops.difference(labelled, bare).getbbox() is None


def test_the_label_shows_prompt_seed_and_size() -> None:
    edges = {
        fingerprint(_text(prompt, width, seed))
        for prompt, width, seed in (("snow", 640, 1), ("snow!", 640, 1), ("snow", 640, 2), ("snow", 641, 1))
    }
    assert len(edges) == 4


def _text(prompt: str, width: int, seed: int) -> Image.Image:
    """What the label alone adds to a black picture."""
    image = Image.new("RGB", (width, 320))
    paint_label(image, prompt, seed)
    return image.crop((0, 240, 640, 320))


def test_the_claim_is_printed_in_full_where_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[str] = []
    write = ImageDraw.ImageDraw.text

    def note(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, **how: Any) -> None:
        printed.append(text)
        write(pen, at, text, **how)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", note)
    for size in ((1024, 1024), (220, 400), (160, 400), (120, 90)):
        paint_label(Image.new("RGB", size), "snow " * 40, 4294967295)
    assert printed[1] == f"{CLAIM} · 1024x1024 · seed 4294967295"
    assert printed[3] == CLAIM
    assert printed[5] == "drawn by rules, not by AI"
    assert printed[6] == "imagegate sketch"
    assert printed[0].endswith(f"snow{GAP}")


def test_a_pillow_without_its_font_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFont, "load_default", lambda size: ImageFont.ImageFont())
    with pytest.raises(RuntimeError, match="install Pillow's own wheel"):
        paint_label(Image.new("RGB", (200, 200)), "a", 1)
