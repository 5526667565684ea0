"""Lakes and seas: what stands above the horizon, upside down and broken by ripples."""

from __future__ import annotations

from math import sqrt

from PIL import Image

from providers.sketch.curves import Point, bow, wander
from providers.sketch.palette import WHITE, colour, mix
from providers.sketch.setting import Setting

DEEP = {
    "day": colour("1f6f9c"),
    "spring": colour("2f7fa0"),
    "winter": colour("5f8fb0"),
    "autumn": colour("4a6f80"),
    "mist": colour("93a8ac"),
}
"""Deep water by the light of a mood; in the others it takes the sky's own shade."""


def paint_water(setting: Setting, shore: float, calm: bool) -> None:
    """Water from row `shore`, below the middle, to the bottom edge. A calm one mirrors, the other one rolls."""
    canvas = setting.canvas
    width, top = canvas.width, int(shore)
    depth = canvas.height - top
    mirror = canvas.image.crop((0, top - depth, width, top)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    canvas.image.paste(_rippled(setting, mirror, calm), (0, top))
    deep = DEEP.get(setting.name) or mix(setting.sky[0], setting.lit(colour("2a5a78"), 0.0), 0.4)
    tint = canvas.sheet((0, top, width, canvas.height))
    tint.box((0, top, width, canvas.height))
    tint.paint(
        mix(deep, setting.haze, 0.55),
        deep,
        mix(deep, setting.sky[0], 0.35),
        opacity=(70 if setting.dark else 95) if calm else 150,
    )
    _paint_glints(setting, top, depth, calm)
    _paint_path(setting, top, depth)
    line = canvas.sheet((0, top - 2, width, top + 3))
    line.box((0, top - 0.5, width, top + max(0.6, canvas.unit * 0.0014)))
    line.paint(mix(setting.haze, WHITE, 0.35), opacity=130)


def _rippled(setting: Setting, mirror: Image.Image, calm: bool) -> Image.Image:
    """Rows shifted sideways, wider and longer the nearer they are."""
    width, depth = mirror.size
    chance = setting.chance.of("ripples")
    strength = setting.canvas.unit * (0.011 if calm else 0.03)
    spare = int(strength) + 1
    wide = mirror.resize((width + 2 * spare, depth), Image.Resampling.BILINEAR)
    waves = wander(chance, depth, 46, 2, 0.6)
    for row in range(depth):
        near = row / depth
        left = spare + int((waves[int(sqrt(near) * (depth - 1))] - 0.5) * strength * (0.25 + 1.6 * near))
        mirror.paste(wide.crop((left, row, left + width, row + 1)), (0, row))
    return mirror


def _lens(middle: Point, half: float, thick: float) -> list[Point]:
    x, y = middle
    return bow((x - half, y), (x, y - thick), (x + half, y), 6) + bow((x + half, y), (x, y + thick), (x - half, y), 6)


def _paint_glints(setting: Setting, top: int, depth: int, calm: bool) -> None:
    """Long thin lenses of light and dark."""
    canvas, chance = setting.canvas, setting.chance.of("glints")
    wide = canvas.width / canvas.unit
    for tone, opacity in ((mix(setting.haze, WHITE, 0.45), 80), (mix(setting.sky[0], setting.sky[1], 0.4), 60)):
        sheet = canvas.sheet((0, top, canvas.width, canvas.height))
        for _ in range(int((34 if calm else 72) * (0.4 + 0.6 * wide))):
            t = chance.between(0, 1) * chance.between(0.1, 1)
            half = canvas.unit * (0.012 + 0.09 * t) * chance.between(0.4, 1.2)
            y = top + depth * (0.015 + 0.97 * t)
            sheet.polygon(
                _lens((chance.between(0, canvas.width), y), half, max(0.6, canvas.unit * (0.0012 + 0.005 * t)))
            )
        sheet.paint(tone, opacity=opacity)


def _paint_path(setting: Setting, top: int, depth: int) -> None:
    """The road of light that sun or moon lays on the water."""
    if setting.name in ("storm", "mist"):
        return
    canvas, chance = setting.canvas, setting.chance.of("path")
    strong = setting.name in ("sunset", "dawn", "night", "neon")
    sheet = canvas.sheet((0, top, canvas.width, canvas.height))
    for _ in range(90 if strong else 40):
        t = chance.between(0, 1) * chance.between(0.2, 1)
        spread = setting.radius * (0.75 + 2.0 * t)
        away = (chance.between(-1, 1) + chance.between(-1, 1)) * 0.5 * spread
        half = setting.radius * chance.between(0.12, 0.7) * (0.4 + 1.1 * t)
        sheet.polygon(
            _lens(
                (setting.sun[0] + away, top + depth * (0.01 + 0.97 * t)),
                half,
                max(0.7, canvas.unit * (0.0016 + 0.005 * t)),
            )
        )
    tone = mix(setting.mood.disc, setting.mood.glow, 0.4)
    sheet.paint(tone, tone, mix(tone, setting.sky[1], 0.4), opacity=190 if strong else 120)


def paint_waves(setting: Setting, top: float) -> None:
    """Rolling crests with foam, nearer ones taller."""
    canvas = setting.canvas
    depth = canvas.height - top
    deep = mix(colour("17607f"), setting.sky[0], 0.35)
    for layer in range(4):
        chance, near = setting.chance.of("wave", layer), (layer + 1) / 4
        base = top + depth * (0.16 + 0.24 * layer)
        count = 120
        swell = wander(chance, count, int(3 + 7 * (1 - near)) + 1)
        rise = canvas.unit * (0.018 + 0.045 * near)
        line = [(canvas.width * i / (count - 1), base - swell[i] * rise) for i in range(count)]
        foot = base + depth * 0.26
        sheet = canvas.sheet((0, base - rise - 2, canvas.width, foot))
        sheet.polygon([*line, (canvas.width + 2.0, foot), (-2.0, foot)])
        tone = setting.lit(mix(colour("4fb0c0"), deep, near * 0.8), 0.2 - 0.2 * near)
        sheet.paint(mix(tone, setting.haze, 0.35), tone, mix(tone, deep, 0.5), opacity=200)
        foam = canvas.sheet((0, base - rise - 4, canvas.width, base + rise))
        crest: list[tuple[Point, float]] = []
        for (x, y), height in zip([*line, line[-1]], [*swell, 0.0], strict=True):
            if height > 0.5:
                crest.append(((x, y), y + (height - 0.5) * rise * 0.4))
            elif crest:
                foam.polygon([at for at, _ in crest] + [(at[0], low) for at, low in crest[::-1]])
                crest = []
        foam.paint(mix(setting.haze, WHITE, 0.6), opacity=190)
