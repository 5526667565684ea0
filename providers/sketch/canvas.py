"""The sheet that a scene is painted on: Pillow with smooth edges.

Shapes are placed on whole pixels, gradients and light are mixed from whole numbers: nothing here hangs on the last bit
of a machine's float unit.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from providers.sketch.chance import Chance
from providers.sketch.curves import Point
from providers.sketch.palette import Colour, ramp

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the canvas."""

RIM = 181
"""What Pillow's radial gradient reaches in the middle of its edges."""
SHADES = 160
"""Rows of a gradient that are reckoned; the rest lie between them."""
FINE = 2
"""Shapes are drawn this many times larger and averaged down, which makes their edges smooth."""


class Canvas:
    """An RGB picture. Coordinates are pixels from the top left, and may lie outside; `unit` is the shorter side."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.unit = min(width, height)
        self.image = Image.new("RGB", (width, height))

    def sheet(self, box: Box | None = None, fine: int = FINE) -> Sheet:
        """An empty stencil over `box`, or over everything."""
        left, top, right, bottom = box or (0, 0, self.width, self.height)
        return Sheet(
            self,
            (max(0, int(left)), max(0, int(top)), min(self.width, int(right) + 1), min(self.height, int(bottom) + 1)),
            fine,
        )

    def wash(self, stops: Sequence[Colour], top: float = 0, bottom: float | None = None) -> None:
        """Paint the whole width from `top` to `bottom` with a gradient."""
        first, last = max(0, int(top)), self.height if bottom is None else min(self.height, int(bottom))
        if last > first:
            self.image.paste(gradient(stops, self.width, last - first), (0, first))

    def veil(self, stencil: Image.Image, paint: Colour, left: float = 0, top: float = 0) -> None:
        """Paint one colour through a grey stencil whose top left corner lies at (`left`, `top`)."""
        self.image.paste(Image.new("RGB", stencil.size, paint), (int(left), int(top)), stencil)

    def glow(self, centre: Point, radius: float, paint: Colour, strength: int) -> None:
        """Light that falls off around a point; `strength` 0..255 is its share of colour at the centre."""
        x, y, reach = int(centre[0]), int(centre[1]), max(1, int(radius))
        left, top = max(0, x - reach), max(0, y - reach)
        right, bottom = min(self.width, x + reach), min(self.height, y + reach)
        if right <= left or bottom <= top:
            return
        fall = Image.radial_gradient("L").point([strength * max(0, RIM - i) ** 2 // RIM**2 for i in range(256)])
        scale = 128.0 / reach
        across = (128.0 + (left - x) * scale, 128.0 + (right - x) * scale)
        down = (128.0 + (top - y) * scale, 128.0 + (bottom - y) * scale)
        box = (across[0], down[0], across[1], down[1])
        light = fall.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=box)
        self.veil(light, paint, left, top)


class Sheet:
    """A stencil over a part of the canvas: cut shapes out of it, then paint through it."""

    def __init__(self, canvas: Canvas, box: tuple[int, int, int, int], fine: int) -> None:
        self.canvas = canvas
        self.fine = fine
        self.left, self.top = box[0], box[1]
        self.width, self.height = max(0, box[2] - box[0]), max(0, box[3] - box[1])
        self.empty = not (self.width and self.height)
        self._stencil = Image.new("L", (max(1, self.width) * fine, max(1, self.height) * fine))
        self._pen = ImageDraw.Draw(self._stencil)

    def _at(self, point: Point) -> tuple[int, int]:
        return int((point[0] - self.left) * self.fine), int((point[1] - self.top) * self.fine)

    def polygon(self, points: Sequence[Point], cover: int = 255) -> None:
        self._pen.polygon([self._at(point) for point in points], fill=cover)

    def ellipse(self, centre: Point, across: float, down: float | None = None, cover: int = 255) -> None:
        """An ellipse by its half axes; a circle where only one is given."""
        down = across if down is None else down
        (x, y), rx, ry = self._at(centre), int(across * self.fine), int(down * self.fine)
        self._pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=cover)

    def box(self, box: Box, cover: int = 255) -> None:
        (left, top), (right, bottom) = self._at(box[:2]), self._at(box[2:])
        if right > left and bottom > top:
            self._pen.rectangle((left, top, right - 1, bottom - 1), fill=cover)

    def cover(self) -> Image.Image:
        """The stencil at the canvas's own scale."""
        return self._stencil.reduce(self.fine) if self.fine > 1 else self._stencil

    def paint(self, *stops: Colour, opacity: int = 255) -> None:
        """Paint through the stencil with a gradient from its top to its bottom; one stop is a plain colour."""
        if self.empty:
            return
        cover = self.cover()
        used = cover.getbbox()
        if used is None:
            return
        if opacity < 255:
            cover = cover.point([i * opacity // 255 for i in range(256)])
        tile = gradient(stops, self.width, self.height)
        self.canvas.image.paste(tile.crop(used), (self.left + used[0], self.top + used[1]), cover.crop(used))


class Stamp:
    """A stencil for one small figure. Points are shares of its size, to the right of its foot and up from it."""

    def __init__(self, canvas: Canvas, foot: Point, size: float, reach: Box = (-1.0, -0.1, 1.0, 1.3)) -> None:
        """`reach` is how far the figure goes: left, down, right, up."""
        self.foot = foot
        self.size = size
        left, low, right, top = reach
        (x, y), room = foot, 1.0
        self._sheet = canvas.sheet((x + left * size, y - top * size - room, x + right * size, y - low * size + room), 3)

    def at(self, point: Point) -> Point:
        """The point on the canvas."""
        return self.foot[0] + point[0] * self.size, self.foot[1] - point[1] * self.size

    def polygon(self, *points: Point, cover: int = 255) -> None:
        self._sheet.polygon([self.at(point) for point in points], cover)

    def ellipse(self, centre: Point, across: float, down: float | None = None) -> None:
        self._sheet.ellipse(self.at(centre), across * self.size, None if down is None else down * self.size)

    def box(self, left: float, low: float, right: float, top: float) -> None:
        self._sheet.box((*self.at((left, top)), *self.at((right, low))))

    def paint(self, *stops: Colour, opacity: int = 255) -> None:
        self._sheet.paint(*stops, opacity=opacity)


def gradient(stops: Sequence[Colour], width: int, height: int) -> Image.Image:
    """Colours that change from top to bottom."""
    if len(stops) == 1:
        return Image.new("RGB", (width, height), stops[0])
    count = min(height, SHADES)
    column = Image.new("RGB", (1, count))
    column.putdata(ramp(stops, count))
    return column.resize((1, height), Image.Resampling.BILINEAR).resize((width, height), Image.Resampling.NEAREST)


def noise(chance: Chance, cells: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """Soft grey clouds of about `cells` lumps, at `size`."""
    width, height = cells
    grain = Image.frombytes("L", cells, chance.bytes(width * height))
    return grain.resize(size, Image.Resampling.BICUBIC)
