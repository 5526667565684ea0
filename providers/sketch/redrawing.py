"""From pictures, prompt, size and seed to the bytes of a PNG: an edit, as far as rules can make one.

What the prompt's words ask for is drawn as ever, and laid over the first picture; without a prompt the first picture
is painted again in dabs of its own colours. Every further picture hangs in the result as a small print.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.colour import to_srgb
from normalization.pictures.decode import decode
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import Limits
from normalization.pictures.transform import crop, fit, flatten
from normalization.vocabulary import Picture, Size
from providers.sketch import scene, words
from providers.sketch.canvas import Canvas
from providers.sketch.chance import Chance
from providers.sketch.drawing import blank, finished, toned

DABS = 56
"""Dabs to the shorter side of a picture that is painted again."""
LAYERS = ((1.7, 0.9), (0.9, 0.7))
"""Of dabs, coarse ones first: half their size and how far they stray, both in shares of their distance."""

PRINTS_A_ROW = 5
PRINT = 6
"""The longer side of a print is the shorter side of the picture over this."""
PAPER = (250, 249, 245)
PAPER_EDGE = 14
"""The rim of a print is its longer side over this."""


def redraw(prompt: str, width: int, height: int, seed: int, strength: float, pictures: Sequence[Picture]) -> bytes:
    """An edit of `pictures`, at least one, as an RGB PNG of exactly `width` x `height` pixels, labelled as `draw`
    labels. `strength`, above 0 up to 1, is the share of the drawing; the rest is the first picture, cut to the shape.
    The same arguments give the same pixels.

    Raises ValueError for a size out of bounds, BadPicture for a picture that cannot be read.
    """
    canvas = blank(width, height)
    first = _covering(pictures[0], Size(canvas.width, canvas.height))
    brief = words.read(prompt)
    if prompt.strip():
        scene.paint(canvas, prompt, brief, seed)
    else:
        _dab(canvas, first, Chance("variation", seed))
    # Whole numbers: a blend by fractions would hang on the last bit of a machine's float unit.
    share = Image.new("L", first.size, max(1, int(255 * strength + 0.5)))
    image = toned(Image.composite(canvas.image, first, share), brief.tone)
    _hang(image, pictures[1:])
    return finished(image, Size(width, height), prompt, seed)


def _opened(picture: Picture) -> Bitmap:
    """The pixels of a picture that was taken in, on white and in sRGB. Raises BadPicture."""
    data, size = picture.content.read(), picture.size
    limits = Limits(len(data), size.pixels, max(size.width, size.height), ratio_most=None)
    bitmap = flatten(decode(data, inspect(data, limits)))
    return Bitmap(to_srgb(bitmap.image, bitmap.icc))


def _covering(picture: Picture, size: Size) -> Image.Image:
    bitmap = _opened(picture)
    return fit(bitmap, size, crop(bitmap.size, size, 0)).image


def _dab(canvas: Canvas, first: Image.Image, chance: Chance) -> None:
    """Paint the picture again, in dabs of its own colours."""
    canvas.image.paste(first)
    step = max(2, canvas.unit // DABS)
    colours = first.reduce(step)
    pen = ImageDraw.Draw(canvas.image)
    for size, stray in LAYERS:
        for row in range(colours.height):
            for column in range(colours.width):
                x = int((column + 0.5 + chance.between(-stray, stray)) * step)
                y = int((row + 0.5 + chance.between(-stray, stray)) * step)
                across, down = int(size * step * chance.between(0.5, 1)), int(size * step * chance.between(0.3, 0.7))
                pen.ellipse((x - across, y - down, x + across, y + down), fill=colours.getpixel((column, row)))


def _hang(image: Image.Image, pictures: Sequence[Picture]) -> None:
    """Small prints of the pictures in rows along the upper edge."""
    side = min(image.size) // PRINT
    rim = max(1, side // PAPER_EDGE)
    columns = min(PRINTS_A_ROW, max(1, len(pictures)))
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        shown = _print(picture, side, rim)
        left = (2 * column + 1) * image.width // (2 * columns) - shown.width // 2
        top = side // 4 + row * (side + side // 4) + (side - shown.height) // 2
        image.paste(shown, (left, top))


def _print(picture: Picture, side: int, rim: int) -> Image.Image:
    """The whole picture, its longer side and the rim `side` pixels."""
    bitmap = _opened(picture)
    long, room = max(bitmap.size.width, bitmap.size.height), side - 2 * rim
    size = Size(max(1, bitmap.size.width * room // long), max(1, bitmap.size.height * room // long))
    paper = Image.new("RGB", (size.width + 2 * rim, size.height + 2 * rim), PAPER)
    paper.paste(fit(bitmap, size, crop(bitmap.size, size, 0)).image, (rim, rim))
    return paper
