"""Small things that tell a story: birds, balloons, lanterns, boats, a rocket."""

from __future__ import annotations

from providers.sketch.canvas import Box, Stamp
from providers.sketch.curves import Point, bow, stroke
from providers.sketch.palette import WHITE, Colour, colour, colours, mix, under
from providers.sketch.setting import Setting

SILKS = (
    colours("e4572e f6ae2d fff1d0"),
    colours("2e86ab f6f5ae f26419"),
    colours("a23b72 f18f01 fbe9d0"),
    colours("3f826d f2e2ba d1495b"),
    colours("5f4bb6 f6c9e0 ffffff"),
)
"""Two colours of gores and that of the belt."""


def ink(setting: Setting) -> Colour:
    """Near silhouettes: almost the colour of the upper sky's shadow."""
    return mix(setting.lit(colour("262c3c"), 0.0), setting.sky[0], 0.25)


def paint_birds(setting: Setting) -> None:
    """A loose flock."""
    canvas, chance = setting.canvas, setting.chance.of("birds")
    x, y = canvas.width * chance.between(0.25, 0.7), setting.horizon * chance.between(0.25, 0.5)
    sheet = canvas.sheet((0, 0, canvas.width, setting.horizon), 3)
    for _ in range(9):
        span = canvas.unit * chance.between(0.008, 0.02)
        at = (x + canvas.unit * chance.between(-0.2, 0.2), y + canvas.unit * chance.between(-0.09, 0.09))
        dip = span * chance.between(0.15, 0.5)
        for sign in (-1, 1):
            tip = (at[0] + sign * span, at[1] - dip * 0.6)
            wing = bow(at, (at[0] + sign * span * 0.42, at[1] - span * 0.75), tip, 7)
            sheet.polygon(stroke(wing, span * 0.2, span * 0.03))
    sheet.paint(mix(ink(setting), setting.haze, 0.1), opacity=225)


def paint_balloons(setting: Setting) -> None:
    """Hot-air balloons at several distances."""
    canvas, chance = setting.canvas, setting.chance.of("balloons")
    count = 5
    order = chance.whole(0, count - 1)
    for index in range(count):
        size = canvas.unit * (0.03 + 0.0077 * index * index)
        place = ((index * 2 + order) % count) / (count - 1)
        x = canvas.width * (0.15 + 0.7 * place + chance.between(-0.04, 0.04))
        y = max(setting.horizon * chance.between(0.22, 0.62), size * 1.1)
        _balloon(setting, (x, y), size, SILKS[(index + order) % len(SILKS)], 0.35 - 0.08 * index)


def _balloon(setting: Setting, centre: Point, size: float, silk: tuple[Colour, ...], distance: float) -> None:
    canvas, reach = setting.canvas, (-1.1, -1.8, 1.1, 1.1)
    light = mix(setting.mood.ambient, WHITE, 0.45)

    def tone(paint: Colour) -> Colour:
        return mix(under(paint, light), setting.haze, distance)

    for gore, half in enumerate((1.0, 0.76, 0.46, 0.17)):
        side = bow((0, 1), (half * 1.12, 1), (half, 0), 9)
        side += bow((half, 0), (half * 0.86, -0.62), (half * 0.16, -1.12), 9)
        envelope = Stamp(canvas, centre, size, reach)
        envelope.polygon(*side, *((-x, y) for x, y in side[::-1]))
        paint = tone(silk[gore % 2])
        envelope.paint(mix(paint, WHITE, 0.22), paint, mix(paint, setting.sky[0], 0.25))
    belt = Stamp(canvas, centre, size, reach)
    belt.polygon((-0.985, 0.1), (0.985, 0.1), (1.0, -0.06), (-1.0, -0.06))
    belt.paint(tone(silk[2]), opacity=215)
    basket = Stamp(canvas, centre, size, reach)
    for sign in (-1, 1):
        basket.polygon(*stroke([(sign * 0.15, -1.1), (sign * 0.11, -1.46)], 0.025, 0.025))
    basket.box(-0.15, -1.64, 0.15, -1.42)
    basket.paint(tone(colour("6b4632")))


def paint_lanterns(setting: Setting) -> None:
    """Paper lanterns rising, each with its own light."""
    canvas, chance = setting.canvas, setting.chance.of("lanterns")
    for index in range(22):
        t = index / 21
        size = canvas.unit * (0.005 + 0.017 * t * t)
        centre = (canvas.width * chance.between(0.03, 0.97), canvas.height * chance.between(0.06, 0.66))
        canvas.glow(centre, size * 5.5, colour("ff9a3d"), 150)
        paper = Stamp(canvas, centre, size, (-1.2, -1.5, 1.2, 1.2))
        paper.polygon((-0.8, 1), (0.8, 1), (1, -0.2), (0.6, -1.3), (-0.6, -1.3), (-1, -0.2))
        paper.paint(colour("ffb45c"), colour("ffe6a0"), colour("fff6d8"))


def paint_boats(setting: Setting, shore: float) -> None:
    """Sailing boats with their reflections, one near and two far."""
    canvas, chance = setting.canvas, setting.chance.of("boats")
    depth = canvas.height - shore
    side = -1 if setting.sun[0] > canvas.width / 2 else 1
    for place, size in ((0.06, 0.035), (0.1, 0.05)):
        _boat(setting, (canvas.width * chance.between(0.1, 0.9), shore + depth * place), canvas.unit * size)
    near = canvas.width * (0.5 + side * chance.between(0.02, 0.3))
    _boat(setting, (near, shore + depth * 0.34), canvas.unit * 0.15)


def _boat(setting: Setting, water: Point, size: float) -> None:
    reach: Box = (-0.8, -1.3, 0.8, 1.3)
    hull = [(-0.52, 0.12), (0.56, 0.14), (0.38, -0.03), (-0.4, -0.03)]
    sails = (
        [*bow((0.02, 1.12), (0.36, 0.7), (0.5, 0.2)), (0.02, 0.2)],
        [*bow((-0.03, 1.0), (-0.22, 0.5), (-0.46, 0.2)), (-0.03, 0.22)],
    )
    dark = ink(setting)
    below = Stamp(setting.canvas, water, size, reach)
    for shape in (hull, *sails):
        below.polygon(*((x, -y) for x, y in shape))
    below.paint(mix(dark, setting.haze, 0.2), opacity=80)
    cloth = Stamp(setting.canvas, water, size, reach)
    for sail in sails:
        cloth.polygon(*sail)
    white = mix(setting.lit(colour("fff6e8"), 0.0), setting.mood.disc, 0.25)
    cloth.paint(mix(white, WHITE, 0.2), mix(white, setting.sky[1], 0.15))
    wood = Stamp(setting.canvas, water, size, reach)
    wood.polygon(*hull)
    wood.box(-0.015, 0.1, 0.01, 1.16)
    wood.paint(dark)


def paint_rocket(setting: Setting, foot: Point, size: float) -> None:
    """A rocket under way, its flame below it."""
    canvas, reach = setting.canvas, (-0.6, -1.3, 0.6, 1.2)
    canvas.glow((foot[0], foot[1] + size * 0.35), size * 0.9, colour("ff9a3d"), 200)
    for long, half, hue in ((1.1, 0.15, colour("ff7a2d")), (0.7, 0.1, colour("ffd25a")), (0.4, 0.06, WHITE)):
        side = bow((half, 0), (half * 1.3, -long * 0.5), (0, -long))
        flame = Stamp(canvas, foot, size, reach)
        flame.polygon(*side, *((-x, y) for x, y in side[::-1]))
        flame.paint(hue, opacity=225)
    fins = Stamp(canvas, foot, size, reach)
    for sign in (-1, 1):
        fins.polygon((sign * 0.14, 0.4), (sign * 0.36, -0.08), (sign * 0.1, 0))
    fins.paint(colour("d8453b"), colour("9a2a2e"))
    side = bow((0, 1.1), (0.34, 0.6), (0.13, 0))
    hull = Stamp(canvas, foot, size, reach)
    hull.polygon(*side, *((-x, y) for x, y in side[::-1]))
    hull.paint(colour("fbf7f0"), colour("c9ccd8"))
    port = Stamp(canvas, foot, size, reach)
    port.ellipse((0, 0.58), 0.085)
    port.paint(colour("3f7fc0"))
