"""From prompt, size and seed to the bytes of a PNG. `redrawing` does the same with pictures to begin from."""

from __future__ import annotations

import io
from math import isqrt

from PIL import Image, ImageOps

from normalization.vocabulary import Size
from providers.sketch import scene, words
from providers.sketch.bounds import PIXELS_MOST, SIDE_MOST
from providers.sketch.canvas import Canvas
from providers.sketch.label import paint_label
from providers.sketch.palette import Colour, colour

WORKING_PIXELS = 1_900_000
"""Scenes are painted no larger than this, which bounds time and memory, and scaled up."""
WORKING_SIDE = 240
"""... and no smaller than this on the shorter side, so that thumbnails are smooth."""
STRETCH = 10
"""Beyond this ratio of sides a scene has nothing to compose with: it is painted at this ratio, then stretched."""

TONES: dict[str, tuple[Colour, Colour]] = {
    "grey": (colour("0c0d10"), colour("f7f7f5")),
    "sepia": (colour("1f140c"), colour("faf0dc")),
}


def draw(prompt: str, width: int, height: int, seed: int) -> bytes:
    """A scene for `prompt` as an RGB PNG of exactly `width` x `height` pixels, each side 1 to 14142, 40 MP at most.

    Rules pick what to draw from the words, and chance that follows from prompt and seed alone arranges it. The same
    four arguments give the same pixels on every machine and, with the same Pillow, the same bytes.

    The picture says in a strip on its lower edge that no model made it; below 160 pixels on the shorter side that is
    a short mark, and below 100 x 48 no label would be legible, so there is none.

    Raises ValueError for a size out of those bounds.
    """
    brief = words.read(prompt)
    canvas = blank(width, height)
    scene.paint(canvas, prompt, brief, seed)
    image = toned(canvas.image, brief.tone)
    return finished(image, Size(width, height), prompt, seed)


def blank(width: int, height: int) -> Canvas:
    """What a picture of that size is painted on. Raises ValueError for one out of bounds."""
    if not (1 <= width <= SIDE_MOST and 1 <= height <= SIDE_MOST and width * height <= PIXELS_MOST):
        raise ValueError(f"size {width}x{height}: each side takes 1 to {SIDE_MOST} pixels, both {PIXELS_MOST} at most")
    return Canvas(*working_size(width, height))


def toned(image: Image.Image, tone: str | None) -> Image.Image:
    """The picture in shades of one colour, where the words ask for it."""
    if tone is None:
        return image
    dark, light = TONES[tone]
    return ImageOps.colorize(ImageOps.autocontrast(image.convert("L"), 1), dark, light)


def finished(image: Image.Image, size: Size, prompt: str, seed: int) -> bytes:
    """The PNG of what was painted: at its size, and labelled."""
    if image.size != (size.width, size.height):
        image = image.resize((size.width, size.height), Image.Resampling.BICUBIC)
    paint_label(image, prompt, seed)
    file = io.BytesIO()
    image.save(file, "PNG", compress_type=3)
    return file.getvalue()


def working_size(width: int, height: int) -> tuple[int, int]:
    """The size at which the scene is painted: the same where possible, else about the same shape within the bounds."""
    wide, tall = min(width, height * STRETCH), min(height, width * STRETCH)
    short = min(wide, tall)
    if short < WORKING_SIDE:
        wide, tall = wide * WORKING_SIDE // short, tall * WORKING_SIDE // short
    if wide * tall > WORKING_PIXELS:
        wide, tall = isqrt(WORKING_PIXELS * wide // tall), isqrt(WORKING_PIXELS * tall // wide)
    return wide, tall
