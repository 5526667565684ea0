"""What falls from the sky or hangs in the air, painted over everything."""

from __future__ import annotations

from itertools import pairwise

from PIL import Image, ImageChops

from providers.sketch.canvas import noise
from providers.sketch.curves import Point, stroke
from providers.sketch.palette import WHITE, colour, mix
from providers.sketch.setting import Setting


def paint_lightning(setting: Setting) -> None:
    """One bolt with branches, and its light in the clouds."""
    canvas, chance = setting.canvas, setting.chance.of("bolt")
    x, y = canvas.width * chance.between(0.25, 0.75), setting.horizon * 0.1
    canvas.glow((x, setting.horizon * 0.3), canvas.unit * 0.6, colour("cfd8ff"), 150)
    path: list[Point] = [(x, y)]
    while path[-1][1] < setting.horizon:
        px, py = path[-1]
        path.append(
            (px + canvas.unit * chance.between(-0.05, 0.055), py + setting.horizon * chance.between(0.05, 0.11))
        )
    branches = [path]
    for start in path[2:-2:2]:
        branch = [start]
        side = chance.pick((-1.0, 1.0))
        for _ in range(3):
            px, py = branch[-1]
            branch.append(
                (px + side * canvas.unit * chance.between(0.015, 0.06), py + canvas.unit * chance.between(0.015, 0.05))
            )
        branches.append(branch)
    for width, opacity in ((0.014, 70), (0.005, 255)):
        sheet = canvas.sheet((0, 0, canvas.width, setting.horizon + 2))
        for index, branch in enumerate(branches):
            thick = canvas.unit * width * (1.0 if index == 0 else 0.5)
            for one, other in pairwise(branch):
                sheet.polygon(stroke([one, other], thick, thick * 0.9))
        sheet.paint(mix(colour("dfe4ff"), WHITE, 0.5), opacity=opacity)


def paint_rain(setting: Setting) -> None:
    """Slanting streaks in two depths."""
    canvas, chance = setting.canvas, setting.chance.of("rain")
    wide = canvas.width * canvas.height / (canvas.unit * canvas.unit)
    sheet = canvas.sheet()
    for thick, count, cover in ((0.0012, 240, 55), (0.002, 110, 85)):
        for _ in range(int(min(3.0, wide) * count)):
            x, y = chance.between(-0.05, 1.1) * canvas.width, chance.between(-0.1, 1) * canvas.height
            reach, half = canvas.unit * chance.between(0.025, 0.06), max(0.5, canvas.unit * thick) / 2
            slant = reach * 0.22
            sheet.polygon(
                [(x - half, y), (x + half, y), (x - slant + half, y + reach), (x - slant - half, y + reach)], cover
            )
    sheet.paint(mix(setting.haze, WHITE, 0.5))


def paint_snowfall(setting: Setting) -> None:
    """Flakes in three depths, the nearest large and faint."""
    canvas, chance = setting.canvas, setting.chance.of("flakes")
    wide = canvas.width * canvas.height / (canvas.unit * canvas.unit)
    sheet = canvas.sheet()
    for size, count, cover in ((0.0095, 16, 95), (0.0022, 190, 170), (0.0042, 80, 205)):
        for _ in range(int(min(3.0, wide) * count)):
            at = (chance.between(0, 1) * canvas.width, chance.between(0, 1) * canvas.height)
            sheet.ellipse(at, max(0.5, canvas.unit * size * chance.between(0.6, 1.2)), cover=cover)
    sheet.paint(WHITE)


def paint_fog(setting: Setting) -> None:
    """Banks of mist that lie in the valleys."""
    canvas, chance = setting.canvas, setting.chance.of("fog")
    for bank in range(3):
        tall = max(2, int(canvas.height * 0.26))
        top = setting.horizon + canvas.height * (-0.16 + 0.17 * bank)
        cloud = noise(chance, (6, 3), (canvas.width, tall))
        fade = Image.new("L", (1, 16))
        fade.putdata([255 * min(row, 15 - row) // 7 for row in range(16)])
        soft = fade.resize(cloud.size, Image.Resampling.BICUBIC)
        stencil = ImageChops.multiply(cloud.point([70 + i // 2 for i in range(256)]), soft)
        canvas.veil(stencil, mix(setting.haze, WHITE, 0.25), 0, top)
