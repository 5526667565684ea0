"""What people have built in the landscape: towers, houses, castles, tents."""

from __future__ import annotations

from providers.sketch.canvas import Box, Stamp
from providers.sketch.curves import Point, bow, stroke, wander
from providers.sketch.figures import ink
from providers.sketch.palette import WHITE, colour, mix
from providers.sketch.setting import Setting


def paint_lighthouse(setting: Setting, foot: Point, tall: float) -> None:
    """A striped tower on a rock, with its beams when it is dark."""
    canvas = setting.canvas
    if setting.dark or setting.name == "mist":
        for sign in (-1, 1):
            beam = Stamp(canvas, foot, tall, (-2.6, 0.5, 2.6, 1.5))
            beam.polygon((0, 1.02), (sign * 2.5, 1.36), (sign * 2.5, 0.92))
            beam.paint(colour("fff3c4"), opacity=54)
        canvas.glow((foot[0], foot[1] - tall * 1.02), tall * 0.55, colour("fff0b0"), 220)
    _paint_rock(setting, foot, tall)
    reach: Box = (-0.2, 0, 0.2, 1.3)
    for stripe in range(5):
        paint = Stamp(canvas, foot, tall, reach)
        top, low = 0.9 - 0.18 * stripe, 0.715 - 0.18 * stripe
        above, below = 0.125 - 0.0556 * top, 0.125 - 0.0556 * low
        paint.polygon((-above, top), (above, top), (below, low), (-below, low))
        paint.paint(setting.lit(colour("d8453b") if stripe % 2 == 0 else colour("fbf6ec"), 0.08))
    away = 1 if setting.sun[0] < foot[0] else -1
    shade = Stamp(canvas, foot, tall, reach)
    shade.polygon((away * 0.02, 0.9), (away * 0.075, 0.9), (away * 0.125, 0), (away * 0.03, 0))
    shade.paint(setting.sky[0], opacity=90)
    head = Stamp(canvas, foot, tall, reach)
    head.box(-0.11, 0.89, 0.11, 0.93)
    head.box(-0.065, 0.93, 0.065, 1.1)
    head.polygon((-0.085, 1.1), (0, 1.22), (0.085, 1.1))
    head.paint(ink(setting))
    lamp = Stamp(canvas, foot, tall, reach)
    lamp.box(-0.045, 0.95, 0.045, 1.08)
    lamp.paint(colour("fff2bd"))


def _paint_rock(setting: Setting, foot: Point, tall: float) -> None:
    ragged = wander(setting.chance.of("rock"), 24, 6, 2)
    crag = Stamp(setting.canvas, foot, tall, (-1.2, -0.16, 1.2, 0.4))
    crag.polygon(
        *((2.2 * i / 23 - 1.1, (0.16 + 0.26 * ragged[i]) * (1 - (i / 11.5 - 1) ** 2) - 0.14) for i in range(24))
    )
    crag.paint(mix(ink(setting), setting.haze, 0.15), ink(setting))
    surf = Stamp(setting.canvas, foot, tall, (-1.3, -0.2, 1.3, 0))
    for place, half in ((-0.55, 0.5), (0.35, 0.62), (0.9, 0.3), (-1.0, 0.2)):
        surf.ellipse((place, -0.145), half, 0.012)
    surf.paint(mix(setting.haze, WHITE, 0.5), opacity=130)


def paint_cabin(setting: Setting, foot: Point, size: float) -> None:
    """A small house with lit windows and smoke from its chimney."""
    canvas, chance, reach = setting.canvas, setting.chance.of("smoke"), (-0.8, 0.0, 0.8, 1.1)
    for puff in range(7):
        t = puff / 6
        smoke = Stamp(canvas, foot, size, (0, 0.9, 1, 2.4))
        smoke.ellipse((0.3 + 0.34 * t * t + chance.between(-0.03, 0.03), 1.05 + t), 0.05 + 0.1 * t, 0.04 + 0.08 * t)
        smoke.paint(mix(setting.haze, WHITE, 0.3), opacity=int(100 - 80 * t))
    wall = mix(setting.lit(colour("7a4a38"), 0.05), setting.sky[0], 0.15)
    house = Stamp(canvas, foot, size, reach)
    house.box(-0.55, 0, 0.55, 0.52)
    house.box(0.24, 0.6, 0.36, 1.04)
    house.polygon((-0.55, 0.5), (-0.1, 0.95), (0.55, 0.5))
    house.paint(mix(wall, setting.mood.disc, 0.1), wall)
    roof = Stamp(canvas, foot, size, reach)
    roof.polygon((-0.7, 0.44), (-0.12, 1.0), (0.42, 1.0), (0.72, 0.44))
    covered = setting.snow(0.06) if setting.has("snow") else setting.lit(colour("4a2f33"), 0.06)
    roof.paint(covered, mix(covered, setting.sky[0], 0.3))
    lamps = setting.dark or setting.has("snow")
    canvas.glow((foot[0] - size * 0.05, foot[1] - size * 0.24), size * 0.8, setting.mood.window, 130 if lamps else 40)
    panes = Stamp(canvas, foot, size, reach)
    panes.box(-0.4, 0.16, -0.2, 0.36)
    panes.box(0.18, 0.16, 0.38, 0.36)
    panes.box(-0.09, 0, 0.08, 0.34)
    panes.paint(setting.mood.window if lamps else mix(setting.mood.window, wall, 0.4))


def paint_castle(setting: Setting, foot: Point, size: float) -> None:
    """Towers with pointed roofs on a crag."""
    reach: Box = (-1.6, -0.5, 1.6, 1.7)
    stone = mix(setting.lit(colour("8b8797"), 0.12), setting.sky[0], 0.3 if setting.dark else 0.1)
    walls, roofs, panes = (Stamp(setting.canvas, foot, size, reach) for _ in range(3))
    walls.box(-0.62, 0, 0.62, 0.45)
    for notch in range(9):
        left = 1.24 * notch / 9 - 0.62
        walls.box(left, 0.44, left + 0.08, 0.51)
    towers = ((-0.62, 0.8, 0.13), (0.62, 0.72, 0.13), (-0.24, 1.02, 0.11), (0.2, 1.24, 0.13), (0.42, 0.9, 0.08))
    for place, top, half in towers:
        walls.box(place - half, 0, place + half, top)
        roofs.polygon((place - half * 1.25, top), (place, top + half * 3.1), (place + half * 1.25, top))
        panes.box(place - 0.022, top - 0.19, place + 0.022, top - 0.1)
    crag = wander(setting.chance.of("crag"), 26, 5, 2)
    walls.polygon(
        *((3.0 * i / 25 - 1.5, (0.66 + 0.12 * (crag[i] - 0.5)) * (1 - (i / 12.5 - 1) ** 2) - 0.46) for i in range(26))
    )
    walls.paint(mix(stone, setting.mood.disc, 0.12), stone, mix(stone, setting.sky[0], 0.35))
    roofs.paint(mix(setting.lit(colour("7a3448"), 0.1), setting.sky[0], 0.2))
    panes.paint(setting.mood.window if setting.dark else mix(stone, setting.sky[0], 0.6))


def paint_windmill(setting: Setting, foot: Point, size: float) -> None:
    """A tower mill with four sails and a few bushes at its foot."""
    mill = Stamp(setting.canvas, foot, size, (-1, -0.1, 1, 1.7))
    mill.polygon((-0.24, 0), (-0.13, 0.86), (0.13, 0.86), (0.24, 0))
    mill.polygon(*bow((-0.17, 0.84), (0, 1.2), (0.17, 0.84)))
    for place, half in ((-0.24, 0.12), (0.2, 0.16), (0.36, 0.08)):
        mill.ellipse((place, half * 0.2), half, half * 0.5)
    hub = (0.0, 0.9)
    for dx, dy in ((0.62, 0.36), (-0.36, 0.62), (-0.62, -0.36), (0.36, -0.62)):
        tip = (dx, hub[1] + dy)
        root, side = (dx * 0.22, hub[1] + dy * 0.22), (-dy * 0.17, dx * 0.17)
        mill.polygon(*stroke([hub, tip], 0.03, 0.03))
        mill.polygon(root, tip, (tip[0] + side[0], tip[1] + side[1]), (root[0] + side[0], root[1] + side[1]), cover=190)
    mill.paint(mix(ink(setting), setting.haze, 0.18), ink(setting))


def paint_pyramids(setting: Setting) -> None:
    """Three pyramids on the horizon, one side in the sun."""
    canvas, chance = setting.canvas, setting.chance.of("pyramids")
    middle, away = canvas.width * chance.between(0.36, 0.64), 1 if setting.sun[0] < canvas.width / 2 else -1
    base = setting.horizon + canvas.unit * 0.05
    for place, tall, distance in ((-0.34, 0.15, 0.5), (0.36, 0.2, 0.4), (0.0, 0.3, 0.22)):
        foot, size = (middle + place * canvas.unit, base), tall * canvas.unit
        sand = setting.lit(colour("dba660"), distance)
        body, shade = (Stamp(canvas, foot, size, (-1.2, 0, 1.2, 1)) for _ in range(2))
        body.polygon((-1.15, 0), (0, 1), (1.15, 0))
        body.paint(mix(sand, setting.mood.disc, 0.3), sand)
        shade.polygon((0, 1), (away * 1.15, 0), (away * 0.28, 0))
        shade.paint(mix(setting.lit(colour("7a4a3c"), distance * 0.8), setting.sky[0], 0.2), opacity=210)


def paint_tent(setting: Setting, foot: Point, size: float) -> None:
    """A tent, lit from inside when it is dark."""
    canvas = setting.canvas
    canvas.glow((foot[0], foot[1] - size * 0.3), size * 1.7, colour("ffb45c"), 140 if setting.dark else 40)
    cloth, fold = (Stamp(canvas, foot, size, (-1, 0, 1, 1)) for _ in range(2))
    cloth.polygon((-0.8, 0), (0, 0.78), (0.8, 0))
    if setting.dark:
        cloth.paint(colour("ffdf9a"), colour("d9823f"))
    else:
        cloth.paint(setting.lit(colour("f2a65a"), 0.0), setting.lit(colour("e07a3d"), 0.0))
    fold.polygon((-0.05, 0), (0, 0.78), (0.24, 0))
    fold.paint(mix(ink(setting), colour("7a3b22"), 0.4))
