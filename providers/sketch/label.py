"""The strip that says what the picture is: the prompt, and that no AI model made it.

Pillow's built-in font knows little more than ASCII. Accents are taken off, and each run of other letters becomes one
ellipsis, so that no prompt is printed as a row of empty boxes.
"""

# ruff: noqa: RUF001 - look-alikes are what the tables of letters are about

from __future__ import annotations

import unicodedata

from PIL import Image, ImageDraw, ImageFont

STRIP_LEAST = 160
"""Pixels of the shorter side from which the whole strip is legible."""
MARK_LEAST = (100, 48)
"""Width and height from which the short mark is legible. Smaller pictures carry no label."""

MARK = "imagegate sketch"
CLAIM = "drawn by rules, not by an AI model"
SHORT_CLAIM = "drawn by rules, not by AI"
UNPRINTABLE = "(prompt in a script this font cannot draw)"
BLANK = "(blank prompt)"
GAP = "…"
PRINTABLE = frozenset(map(chr, range(32, 127))) | frozenset("©«°±´·»‘’“”…‹›⁄™")
"""What the built-in font has a shape for."""

SPELT = {
    **{"æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ß": "ss", "þ": "th"},
    **{"ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "ł": "l", "Ł": "L", "ı": "i"},
    **{"×": "x", "–": "-", "—": "-", "‐": "-", "−": "-"},
}
"""Letters that do not come apart into a plain one and an accent, and signs with a plain look-alike."""

LETTERS_MOST = 400
"""No strip holds more."""

INK = (255, 255, 255)
SHADE = (9, 10, 16)


def printable(prompt: str) -> str:
    """The prompt on one line, in letters that the font has."""
    out: list[str] = []
    for letter in prompt:
        if len(out) >= LETTERS_MOST:
            break
        out.extend(part for part in _spell(letter) if not (part in (" ", GAP) and out and out[-1] == part))
    text = "".join(out).strip()
    if not text:
        return BLANK
    return text if text.strip(GAP + " ") else UNPRINTABLE


def _spell(letter: str) -> str:
    if letter.isspace():
        return " "
    if letter in PRINTABLE:
        return letter
    if letter in SPELT:
        return SPELT[letter]
    if unicodedata.category(letter) in ("Mn", "Me", "Cf", "Cc", "Sk"):
        return ""  # accents on their own, joiners, direction marks and controls have no shape of their own
    parts = "".join(part for part in unicodedata.normalize("NFKD", letter) if part in PRINTABLE)
    return parts.strip() or GAP


def paint_label(image: Image.Image, prompt: str, seed: int) -> None:
    """Write on the bottom edge: the whole strip from `STRIP_LEAST` pixels of the shorter side, the mark alone from
    `MARK_LEAST`, and nothing on smaller pictures, where no letter could be read."""
    width, height = image.size
    if min(width, height) >= STRIP_LEAST:
        _paint_strip(image, prompt, seed)
    elif width >= MARK_LEAST[0] and height >= MARK_LEAST[1]:
        font = _font(10)
        _shade(image, height - 15)
        ImageDraw.Draw(image).text((5, height - 13), _fitting((MARK,), font, width - 10), font=font, fill=INK)


def _paint_strip(image: Image.Image, prompt: str, seed: int) -> None:
    width, height = image.size
    size = max(11, min(width, height) // 46)
    large, small = _font(size), _font(max(9, size * 7 // 10))
    margin, top = size * 5 // 4, height - size * 3
    _shade(image, top)
    pen = ImageDraw.Draw(image)
    room = width - 2 * margin
    pen.text((margin, top + size * 9 // 20), _cut(printable(prompt), large, room), font=large, fill=INK)
    words = (f"{CLAIM} · {width}x{height} · seed {seed}", f"{CLAIM} · seed {seed}", CLAIM, SHORT_CLAIM, MARK)
    pen.text((margin, top + size * 7 // 4), _fitting(words, small, room), font=small, fill=(196, 200, 208))


def _shade(image: Image.Image, top: int) -> None:
    box = (0, top, image.width, image.height)
    image.paste(SHADE, box, Image.new("L", (box[2], box[3] - top), 168))


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError(
            "Pillow was built without FreeType, which the sketch's label needs: install Pillow's own wheel"
        )
    return font


def _fitting(choices: tuple[str, ...], font: ImageFont.FreeTypeFont, room: int) -> str:
    """The first choice that fits, else the last one cut."""
    return next((text for text in choices if font.getlength(text) <= room), _cut(choices[-1], font, room))


def _cut(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    if font.getlength(text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle].rstrip() + GAP) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + GAP
