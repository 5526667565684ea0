"""Towers and lit windows."""

from __future__ import annotations

from collections.abc import Sequence

from providers.sketch.canvas import Sheet
from providers.sketch.chance import Chance
from providers.sketch.palette import Colour, colour, colours, mix
from providers.sketch.setting import Setting

SIGNS = colours("00e5ff ff2e97 f6ff8f 9d5cff ff8a3d")
WALL = colour("55617a")


def paint_city(setting: Setting, base: float, bottom: float) -> None:
    """Three rows of towers on row `base`, painted down to row `bottom`; windows glow when it is dark."""
    canvas = setting.canvas
    tallest = min(base * 0.72, canvas.unit * 0.62)
    for row in range(3):
        chance, near = setting.chance.of("towers", row), (row + 1) / 3
        wall = setting.lit(WALL if row < 2 else mix(WALL, colour("222838"), 0.6), 0.68 - 0.58 * near)
        if setting.dark:
            wall = mix(wall, setting.sky[0], 0.2 + 0.42 * near)
        sheet = canvas.sheet((0, base - tallest * 1.3, canvas.width, bottom))
        lights = [canvas.sheet((0, base - tallest, canvas.width, base)) for _ in range(2)]
        x = -canvas.unit * 0.05 * chance.between(0, 1)
        while x < canvas.width:
            half = canvas.unit * chance.between(0.022, 0.05)
            middle = 1 - abs((x + half) / canvas.width - 0.5) * 1.1
            tall = tallest * chance.between(0.28, 1.0) * (0.55 + 0.45 * middle) * (1.0 - 0.22 * row)
            _tower(sheet, chance, (x + half, base), half, tall, bottom)
            _windows(lights, chance, (x + half, base), half, tall, setting)
            x += half * 2 * chance.between(0.92, 1.25)
        sheet.paint(mix(wall, setting.haze, 0.06), mix(wall, setting.haze, 0.38 - 0.2 * near))
        _light(setting, lights, near)
    if setting.name == "neon":
        _paint_signs(setting, base, tallest)


def _tower(sheet: Sheet, chance: Chance, foot: tuple[float, float], half: float, tall: float, bottom: float) -> None:
    x, base = foot
    top = base - tall
    sheet.box((x - half, top, x + half, bottom))
    roof = chance.whole(0, 5)
    if roof == 0:
        sheet.box((x - half * 0.06, top - tall * 0.2, x + half * 0.06, top))
        sheet.box((x - half * 0.5, top - tall * 0.05, x + half * 0.5, top))
    elif roof == 1:
        sheet.polygon([(x - half, top), (x + half, top - half * 0.9), (x + half, top)])
    elif roof == 2:
        sheet.box((x - half * 0.72, top - tall * 0.07, x + half * 0.72, top))
        sheet.box((x - half * 0.4, top - tall * 0.13, x + half * 0.4, top))
    elif roof == 3:
        sheet.polygon([(x - half, top), (x, top - half * 1.6), (x + half, top)])
    elif roof == 4:
        sheet.box((x - half * 0.7, top - half * 0.3, x - half * 0.1, top))


def _windows(
    lights: Sequence[Sheet], chance: Chance, foot: tuple[float, float], half: float, tall: float, setting: Setting
) -> None:
    x, base = foot
    cell = max(3.0, setting.canvas.unit * 0.0125)
    columns = int((half * 2 - cell * 0.6) / cell)
    share = 0.4 if setting.dark else 0.62
    inset = (half * 2 - columns * cell) / 2
    for line in range(int((tall - cell) / (cell * 1.25))):
        if chance.happens(0.1):
            continue
        y = base - tall + cell * (0.7 + 1.25 * line)
        for column in range(columns):
            if chance.happens(share):
                left = x - half + inset + cell * (column + 0.24)
                lights[0 if chance.happens(0.68) else 1].box((left, y, left + cell * 0.5, y + cell * 0.62))


def _light(setting: Setting, lights: Sequence[Sheet], near: float) -> None:
    if setting.name == "neon":
        hues: tuple[Colour, Colour] = (colour("ffce85"), SIGNS[0])
    elif setting.dark:
        hues = (setting.mood.window, colour("fff1cf"))
    else:
        sky = mix(setting.sky[1], setting.haze, 0.45)
        hues = (mix(sky, colour("ffffff"), 0.25), mix(sky, setting.sky[0], 0.3))
    for sheet, hue in zip(lights, hues, strict=True):
        sheet.paint(mix(hue, setting.haze, 0.6 - 0.6 * near), opacity=int(110 + 120 * near) if setting.dark else 120)


def _paint_signs(setting: Setting, base: float, tallest: float) -> None:
    """Upright signs with light around them."""
    canvas, chance = setting.canvas, setting.chance.of("signs")
    for index in range(int(7 * (0.4 + 0.6 * canvas.width / canvas.unit))):
        hue = SIGNS[index % len(SIGNS)]
        x, top = chance.between(0.03, 0.97) * canvas.width, base - tallest * chance.between(0.12, 0.5)
        half, tall = canvas.unit * chance.between(0.006, 0.012), canvas.unit * chance.between(0.06, 0.13)
        canvas.glow((x, top + tall / 2), tall * 1.1, hue, 130)
        sheet = canvas.sheet((x - half, top, x + half, top + tall))
        sheet.box((x - half, top, x + half, top + tall))
        for bar in range(5):
            y = top + tall * (bar + 0.75) / 5
            sheet.box((x - half * 0.6, y, x + half * 0.6, y + tall * 0.04), cover=60)
        sheet.paint(mix(hue, (255, 255, 255), 0.35), hue)
