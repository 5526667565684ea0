"""Compositions for prompts that name no place: cut paper, tiles and ribbons in the colours that the words suggest."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from PIL import Image

from providers.sketch.canvas import Canvas
from providers.sketch.chance import Chance
from providers.sketch.curves import wander
from providers.sketch.palette import BLACK, THEMES, WHITE, Colour, mix, ramp
from providers.sketch.tiles import paint_tiles
from providers.sketch.words import Brief

FREE = ("dusk", "reef", "meadow", "candy", "clay", "nordic")
"""Themes for prompts without a colour word."""

MARGIN = 3
"""Cells around the visible ones, so that no edge of the field comes into view."""
DROP = 0.026
"""How far shadows fall, in cells."""

Style = Callable[[Canvas, tuple[Colour, ...], Chance], None]


def paint_abstract(canvas: Canvas, brief: Brief, chance: Chance) -> None:
    """Fill the canvas with one of three compositions."""
    theme = THEMES[brief.colours[0] if brief.colours else chance.pick(FREE)]
    if len(brief.colours) > 1:
        theme = (*theme[:3], *THEMES[brief.colours[1]][3:])
    styles: tuple[Style, ...] = (paint_paper, paint_tiles, paint_ribbons)
    chance.pick(styles)(canvas, theme, chance.of("style"))


def paint_paper(canvas: Canvas, theme: tuple[Colour, ...], chance: Chance) -> None:
    """Sheets of paper with ever smaller outlines, each throwing a soft shadow on the one below."""
    layers = 7
    shades = ramp(theme, layers + 1)
    if chance.happens(0.5):
        shades = shades[::-1]
    canvas.wash((shades[0], mix(shades[0], shades[1], 0.4)))
    size = (canvas.width, canvas.height)
    across, down = (max(2, round(side * 2.6 / canvas.unit)) for side in size)
    grain = _grain(chance, (across + 2 * MARGIN, down + 2 * MARGIN))
    edge, shade = float(MARGIN), MARGIN - DROP
    field = grain.resize(size, Image.Resampling.BICUBIC, box=(edge, edge, edge + across, edge + down))
    low = grain.resize(
        (max(8, canvas.width // 8), max(8, canvas.height // 8)),
        Image.Resampling.BICUBIC,
        box=(shade, shade, shade + across, shade + down),
    )
    heights = sorted(array("i", low.tobytes()))
    for layer in range(layers):
        level = heights[int(len(heights) * (layer + 0.7) / (layers + 0.9))]
        shadow = _above(low, level - 1200, 1).resize(size, Image.Resampling.BICUBIC)
        canvas.veil(shadow.point([i * 3 // 8 for i in range(256)]), mix(shades[layer], BLACK, 0.75))
        cover = _above(field, level, max(4, canvas.unit * 24 // 1024))
        tone = shades[layer + 1]
        canvas.image.paste(_sheen(mix(tone, WHITE, 0.1), mix(tone, BLACK, 0.06), size), (0, 0), cover)


def _sheen(top: Colour, low: Colour, size: tuple[int, int]) -> Image.Image:
    column = Image.new("RGB", (1, size[1]))
    column.putdata(ramp((top, low), size[1]))
    return column.resize(size, Image.Resampling.NEAREST)


def _grain(chance: Chance, cells: tuple[int, int]) -> Image.Image:
    """Whole heights from 0 to 65,000, one for each cell."""
    grain = Image.new("I", cells)
    grain.putdata([chance.whole(0, 65_000) for _ in range(cells[0] * cells[1])])
    return grain


def _above(field: Image.Image, level: int, steep: int) -> Image.Image:
    """A stencil of where the field is above `level`; the edge is soft over 4096 / `steep` of height."""
    return (
        field.point(lambda height: height * steep + (2048 - level * steep))
        .point(lambda height: height * 0.0625)
        .convert("L")
    )


def paint_ribbons(canvas: Canvas, theme: tuple[Colour, ...], chance: Chance) -> None:
    """Waves before a large pale disc."""
    width, height, unit = canvas.width, canvas.height, canvas.unit
    sky = (mix(theme[3], theme[2], 0.3), theme[4], theme[5])
    canvas.wash(sky)
    radius = unit * chance.between(0.17, 0.25)
    centre = (width * chance.between(0.3, 0.7), height * chance.between(0.26, 0.38))
    canvas.glow(centre, radius * 3.2, mix(theme[5], WHITE, 0.5), 170)
    disc = canvas.sheet((centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius))
    disc.ellipse(centre, radius)
    disc.paint(mix(theme[5], WHITE, 0.7), mix(theme[4], theme[3], 0.35))
    layers = 8
    shades = ramp((theme[4], theme[3], theme[2], theme[1], theme[0]), layers)
    count = max(40, min(260, width // 4))
    for layer in range(layers):
        near = layer / (layers - 1)
        waves = wander(chance, count, max(2, int((2.2 + 1.6 * near) * (0.5 + 0.5 * width / unit))), 1)
        base, rise = height * (0.5 + 0.52 * near), unit * (0.11 + 0.1 * near)
        line = [(width * i / (count - 1), base - wave * rise) for i, wave in enumerate(waves)]
        floor = min(height + 2.0, base + height * 0.12)
        for lift, opacity in ((0.012, 26), (0.005, 40)):
            shadow = canvas.sheet((0, base - rise * 1.2 - unit * lift, width, base))
            shadow.polygon([*((x, y - unit * lift) for x, y in line), *line[::-1]])
            shadow.paint(mix(shades[layer], BLACK, 0.5), opacity=opacity)
        sheet = canvas.sheet((0, base - rise - 2, width, floor))
        sheet.polygon([*line, (width + 2.0, floor + 2), (-2.0, floor + 2)])
        tone = shades[layer]
        sheet.paint(mix(tone, theme[5], 0.28), tone, mix(tone, BLACK, 0.12))
        edge = canvas.sheet((0, base - rise - 2, width, base + 2))
        edge.polygon([*line, *((x, y + max(0.8, unit * 0.0022)) for x, y in line[::-1])])
        edge.paint(mix(tone, WHITE, 0.5), opacity=120)
