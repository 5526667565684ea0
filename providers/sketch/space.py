"""Beyond the sky: nebulae, planets, rings."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageOps

from providers.sketch import figures, sky
from providers.sketch.canvas import noise
from providers.sketch.chance import Chance
from providers.sketch.curves import Point, wander
from providers.sketch.palette import BLACK, WHITE, Colour, colour, colours, mix, ramp
from providers.sketch.setting import Setting

NEBULAE = (
    colours("2a1a6e 8a2f8f e85d8a ffb48a"),
    colours("0b3a5e 1f7f9f 5fd0c0 e8f7c8"),
    colours("3a124f b0305f f2744a ffd98a"),
    colours("14306e 4a4fd0 a070f0 f0c0ff"),
)
WORLDS = (
    colours("7a3b2e c9683f e8a567 f3d3a0 b8553a"),
    colours("1f3f7a 3f7fc0 8fd0e8 e8f5f0 2f5fa0"),
    colours("5a3f6e 9a6fb0 d8a8d0 f5dde8 7a4f90"),
    colours("6e5a3a b8965a e8d09a f8ecd0 947444"),
    colours("1f5a50 3f9a80 9ad8a8 e8f5d0 2f7a68"),
)


def paint_nebula(setting: Setting) -> None:
    """Clouds of gas that glow the brighter the denser they are, with lanes of dust before them."""
    canvas, chance = setting.canvas, setting.chance.of("nebula")
    hues = chance.pick(NEBULAE)
    small = (max(32, canvas.width * 3 // 8), max(32, canvas.height * 3 // 8))
    wide = (canvas.width / canvas.unit, canvas.height / canvas.unit)
    broad = noise(chance, (2 + int(wide[0]), 2 + int(wide[1])), small)
    gas = ImageChops.multiply(_gas(chance, wide, small), broad.point([min(255, 40 + i) for i in range(256)]))
    dust = _gas(chance, wide, small).point([255 - max(0, 150 - 5 * abs(i - 128)) for i in range(256)])
    gas = ImageChops.multiply(gas, dust)
    dark = mix(hues[0], BLACK, 0.86)
    shades = ramp((dark, dark, mix(hues[0], dark, 0.45), hues[0], hues[1], hues[2], hues[3]), 256)
    gas.putpalette([part for shade in shades for part in shade])
    canvas.image.paste(gas.convert("RGB").resize((canvas.width, canvas.height), Image.Resampling.BICUBIC))


def _gas(chance: Chance, wide: tuple[float, float], size: tuple[int, int]) -> Image.Image:
    """Clouds with finer and finer clouds within them, from black to white."""
    gas: Image.Image | None = None
    for cells in (48, 24, 12, 6, 3):
        part = noise(chance, (int(cells * wide[0]) + 1, int(cells * wide[1]) + 1), size)
        gas = part if gas is None else ImageChops.add(gas, part, 2)
    return ImageOps.autocontrast(gas, 1) if gas is not None else Image.new("L", size)


def paint_planet(setting: Setting, centre: Point, radius: float, ringed: bool) -> None:
    """A banded world, lit from the upper left."""
    canvas, chance = setting.canvas, setting.chance.of("planet", int(radius))
    hues = chance.pick(WORLDS)
    side = max(8, int(radius * 2))
    canvas.glow(centre, radius * 2.2, mix(hues[2], WHITE, 0.2), 90)
    if ringed:
        _ring(setting, centre, radius, hues, back=True)
    bands = wander(chance, 96, 9, 3, 0.6)
    column = Image.new("RGB", (1, 96))
    shades = ramp(hues, 256)
    column.putdata([shades[int(height * 255)] for height in bands])
    globe = column.resize((side, side), Image.Resampling.BICUBIC)
    storms = noise(chance, (9, 40), (side, side)).point([max(0, i - 120) // 2 for i in range(256)])
    globe.paste(mix(hues[3], WHITE, 0.2), (0, 0), storms)
    night = Image.radial_gradient("L").resize((side * 2, side * 2), Image.Resampling.BILINEAR)
    lit_at = int(side * 0.68)
    night = night.crop((lit_at, lit_at, lit_at + side, lit_at + side)).point(
        [min(240, max(0, i - 52) * 3) for i in range(256)]
    )
    globe.paste(colour("04040c"), (0, 0), night)
    sheet = canvas.sheet((centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius))
    sheet.ellipse(centre, radius)
    left, top = int(centre[0] - side / 2), int(centre[1] - side / 2)
    whole = Image.new("RGB", (sheet.width, sheet.height))
    whole.paste(globe, (left - sheet.left, top - sheet.top))
    canvas.image.paste(whole, (sheet.left, sheet.top), sheet.cover())
    if ringed:
        _ring(setting, centre, radius, hues, back=False)


def _ring(setting: Setting, centre: Point, radius: float, hues: tuple[Colour, ...], *, back: bool) -> None:
    """The half of the ring that lies behind the planet, or the half before it, seen at a slant."""
    x, y = centre
    top, low = (y - radius, y) if back else (y, y + radius)
    for outer, inner, hue, opacity in (
        (2.15, 1.86, hues[2], 150),
        (1.8, 1.5, hues[3], 190),
        (1.46, 1.32, hues[1], 130),
    ):
        sheet = setting.canvas.sheet((x - radius * 2.3, top, x + radius * 2.3, low - 1))
        sheet.ellipse(centre, radius * outer, radius * outer * 0.24)
        sheet.ellipse(centre, radius * inner, radius * inner * 0.24, cover=0)
        sheet.paint(mix(hue, WHITE, 0.15), opacity=opacity)


def paint_moonscape(setting: Setting, start: float) -> None:
    """Cratered ground in the foreground."""
    canvas, chance = setting.canvas, setting.chance.of("craters")
    count = 140
    line = wander(chance, count, 4, 3, 0.4)
    crest = [(canvas.width * i / (count - 1), start - line[i] * canvas.unit * 0.06) for i in range(count)]
    sheet = canvas.sheet((0, start - canvas.unit * 0.08, canvas.width, canvas.height))
    sheet.polygon([*crest, (canvas.width + 2.0, canvas.height + 2.0), (-2.0, canvas.height + 2.0)])
    sheet.paint(colour("6a6488"), colour("35314f"), colour("151428"))
    for _ in range(16):
        t = chance.between(0.12, 1)
        x, y = chance.between(0, 1) * canvas.width, start + (canvas.height - start) * t
        size = canvas.unit * 0.07 * t * chance.between(0.4, 1.2)
        for dx, tone, opacity in ((0.0, colour("8c86a8"), 120), (0.1, colour("1c1a30"), 200)):
            hole = canvas.sheet((x - size * 1.3, y - size, x + size * 1.3, y + size))
            hole.ellipse((x + size * dx * 0.6, y - size * dx * 0.7), size * (1 - dx), size * 0.3 * (1 - dx))
            hole.paint(tone, opacity=opacity)


def paint_space(setting: Setting) -> None:
    """A nebula with stars, a world or two, and whatever flies there."""
    canvas, chance = setting.canvas, setting.chance.of("space")
    paint_nebula(setting)
    sky.paint_stars(setting, 1.6)
    big = canvas.unit * chance.between(0.17, 0.25)
    side = chance.pick((0.3, 0.68))
    ringed = setting.has("ring") or chance.happens(0.45)
    paint_planet(setting, (canvas.width * (1 - side), canvas.height * chance.between(0.16, 0.26)), big * 0.24, False)
    paint_planet(setting, (canvas.width * side, canvas.height * chance.between(0.4, 0.52)), big, ringed)
    if setting.has("comet"):
        sky.paint_comet(setting)
    if (
        setting.brief.places & {"mountains", "hills", "desert", "canyon"}
        or setting.has("rocket")
        or chance.happens(0.4)
    ):
        paint_moonscape(setting, canvas.height * 0.8)
    if setting.has("rocket"):
        figures.paint_rocket(setting, (canvas.width * (0.9 - side), canvas.height * 0.58), canvas.unit * 0.2)
