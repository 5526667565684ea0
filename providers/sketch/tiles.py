"""A quilt of quarter circles, leaves, discs and stripes."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from providers.sketch.canvas import FINE, Canvas
from providers.sketch.chance import Chance
from providers.sketch.curves import Point, arc
from providers.sketch.palette import WHITE, Colour, mix


class Quilt:
    """Plain colours side by side, drawn larger and averaged down. Tile coordinates run from 0 to 1."""

    def __init__(self, canvas: Canvas, paper: Colour) -> None:
        self.image = Image.new("RGB", (canvas.width * FINE, canvas.height * FINE), paper)
        self._pen = ImageDraw.Draw(self.image)
        self.corner: Point = (0.0, 0.0)
        self.side = 1.0

    def shape(self, points: Sequence[Point], paint: Colour) -> None:
        (x, y), side = self.corner, self.side
        self._pen.polygon([(int((x + px * side) * FINE), int((y + py * side) * FINE)) for px, py in points], fill=paint)


def paint_tiles(canvas: Canvas, theme: tuple[Colour, ...], chance: Chance) -> None:
    """Cover the canvas with square tiles, about five to the shorter side, some of them four times as large."""
    paper = mix(theme[5], WHITE, 0.25)
    quilt = Quilt(canvas, paper)
    inks = (theme[0], theme[1], theme[2], theme[3], theme[4], paper)
    rows, columns, side = _division(canvas)
    shift = ((canvas.width - columns * side) / 2, (canvas.height - rows * side) / 2)
    taken: set[tuple[int, int]] = set()
    for row in range(rows):
        for column in range(columns):
            if (row, column) in taken:
                continue
            block = {(row, column + 1), (row + 1, column), (row + 1, column + 1)}
            large = row + 1 < rows and column + 1 < columns and not block & taken and chance.happens(0.14)
            if large:
                taken |= block
            quilt.corner = (shift[0] + column * side, shift[1] + row * side)
            quilt.side = side * (2 if large else 1)
            _tile(quilt, chance, inks)
    canvas.image.paste(quilt.image.reduce(FINE), (0, 0))


def _division(canvas: Canvas) -> tuple[int, int, float]:
    """Rows, columns and the side of a tile so that whole tiles cover the canvas."""
    across = 5 if canvas.width <= canvas.height else -(-canvas.width * 5 // canvas.height)
    side = max(canvas.width / across, 1.0)
    down = -(-canvas.height // int(side)) if side >= 2 else canvas.height
    return max(1, down), max(1, across), side


def _tile(quilt: Quilt, chance: Chance, inks: Sequence[Colour]) -> None:
    """One tile: a ground, and a figure of another colour turned by quarter turns."""
    back = chance.whole(0, len(inks) - 1)
    front = (back + chance.whole(2, len(inks) - 2)) % len(inks)
    third = inks[(front + chance.whole(1, 3)) % len(inks)]
    quilt.shape([(0, 0), (1, 0), (1, 1), (0, 1)], inks[back])
    spin = chance.whole(0, 3)
    figure = chance.whole(0, 8)
    ink = inks[front]
    for points, second in _figure(figure):
        quilt.shape([_spun(point, spin) for point in points], third if second else ink)


def _spun(point: Point, quarters: int) -> Point:
    x, y = point
    for _ in range(quarters):
        x, y = 1.0 - y, x
    return x, y


def _wedge(radius: float) -> list[Point]:
    return [(0.0, 0.0), *arc((0.0, 0.0), radius, 0.0, 0.25)]


def _figure(number: int) -> list[tuple[list[Point], bool]]:
    """The shapes of a figure, in painting order; True marks the ones in the third colour."""
    middle = (0.5, 0.5)
    figures: tuple[list[tuple[list[Point], bool]], ...] = (
        [(_wedge(1.0), False)],
        [(arc((0.0, 0.0), 1.0, 0.0, 0.25) + arc((1.0, 1.0), 1.0, 0.5, 0.75), False)],
        [(arc(middle, 0.36, 0.0, 1.0, 60), False), (arc(middle, 0.15, 0.0, 1.0, 36), True)],
        [(arc((0.5, 0.0), 0.5, 0.0, 0.5, 40), False), (arc((0.5, 1.0), 0.5, 0.5, 1.0, 40), True)],
        [(_wedge(1.0), False), (_wedge(0.72), True), (_wedge(0.42), False)],
        [([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)], False)],
        [([(0.0, n / 4), (1.0, n / 4), (1.0, n / 4 + 0.125), (0.0, n / 4 + 0.125)], False) for n in range(4)],
        [(arc((x, y), 0.15, 0.0, 1.0, 36), (x > 0.5) != (y > 0.5)) for x in (0.27, 0.73) for y in (0.27, 0.73)],
        [(arc((0.0, 0.5), 0.5, -0.25, 0.25, 40), False), (arc((0.5, 0.5), 0.5, -0.25, 0.25, 40), True)],
    )
    return figures[number]
