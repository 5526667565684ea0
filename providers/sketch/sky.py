"""Everything above the horizon: air, sun and moon, stars, clouds, northern lights."""

from __future__ import annotations

from PIL import Image, ImageChops

from providers.sketch.canvas import gradient, noise
from providers.sketch.chance import Chance
from providers.sketch.curves import bow, stroke, turn, wander
from providers.sketch.palette import WHITE, colour, colours, mix
from providers.sketch.setting import Setting

AURORAS = (colours("7dffb2 2fd6a6 5a6be8"), colours("8dffd0 3bc7d6 a45fe0"), colours("a8ff9a 35d9a0 d65fb0"))
RAINBOW = colours("e8505b f39a4a f7dc6f 7ccf8a 5fa8e6 8f7ad6")


def paint_sky(setting: Setting) -> None:
    """Fill the canvas down to the horizon, and below it with the horizon's own colour."""
    canvas = setting.canvas
    canvas.wash(setting.sky, 0, setting.horizon)
    canvas.wash(setting.sky[-1:], setting.horizon)
    if setting.mood.stars:
        paint_stars(setting, setting.mood.stars)
    if setting.has("aurora"):
        paint_aurora(setting)
    paint_disc(setting)
    if setting.has("rainbow"):
        paint_rainbow(setting)
    if setting.has("comet"):
        paint_comet(setting)
    paint_clouds(setting)


def paint_stars(setting: Setting, thickness: float) -> None:
    """Points of four sizes, thinning out towards the horizon, and a faint band of far ones across the sky."""
    canvas, chance = setting.canvas, setting.chance.of("stars")
    width, height, unit = canvas.width, setting.horizon, canvas.unit
    if not setting.at("space"):
        cloud = noise(chance, (7, 5), (canvas.width, max(1, int(height))))
        canvas.veil(cloud.point([max(0, i - 120) * 2 // 5 for i in range(256)]), mix(setting.sky[-1], WHITE, 0.25))
    points = canvas.sheet((0, 0, width, height))
    count = int(min(420.0, 190 * canvas.width * canvas.height / (unit * unit)) * thickness)
    for index in range(count):
        x, y = chance.between(0, width), chance.between(0, 1) * chance.between(0.15, 1) * height * 0.96
        size = unit * (0.0007 + 0.0022 * chance.between(0, 1) * chance.between(0, 1) * chance.between(0, 1))
        points.ellipse((x, y), max(0.5, size), cover=240 if index % 5 == 0 else 120)
    points.paint(mix(setting.sky[-1], WHITE, 0.8))
    sparkle = canvas.sheet((0, 0, width, height))
    for _ in range(int(5 * thickness)):
        x, y = chance.between(0.05, 0.95) * width, chance.between(0.04, 0.6) * height
        arm, waist = unit * chance.between(0.007, 0.014), unit * 0.0011
        side = [(x, y - arm), (x + waist, y - waist), (x + arm, y), (x + waist, y + waist), (x, y + arm)]
        sparkle.polygon([*side, *((2 * x - px, py) for px, py in side[::-1])])
        canvas.glow((x, y), arm * 1.6, setting.mood.glow, 90)
    sparkle.paint(WHITE, opacity=235)


def paint_disc(setting: Setting) -> None:
    """Sun or moon with the light around it."""
    canvas, mood, radius = setting.canvas, setting.mood, setting.radius
    hidden = setting.name in ("storm",) and not setting.has("moon", "sun")
    canvas.glow(setting.sun, canvas.unit * 1.1, mood.glow, 60 if hidden else 120)
    if hidden:
        return
    canvas.glow(setting.sun, radius * 4.4, mix(mood.glow, WHITE, 0.3), 150)
    x, y = setting.sun
    sheet = canvas.sheet((x - radius - 2, y - radius - 2, x + radius + 2, y + radius + 2))
    sheet.ellipse((x, y), radius)
    if setting.name == "neon":
        for bar in range(6):
            top = y - radius * 0.05 + radius * 0.17 * bar
            sheet.box((x - radius, top, x + radius, top + radius * (0.02 + 0.016 * bar)), cover=0)
        sheet.paint(colour("fff08a"), colour("ff8a5c"), colour("ff2f8e"))
    elif setting.name == "night" and setting.chance.of("phase").happens(0.45):
        sheet.ellipse((x + radius * 0.42, y - radius * 0.18), radius * 0.86, cover=0)
        sheet.paint(mood.disc)
    else:
        sheet.paint(mix(mood.disc, WHITE, 0.5), mood.disc)
        if setting.name == "night":
            _paint_maria(setting)


def _paint_maria(setting: Setting) -> None:
    """The grey seas of a full moon."""
    x, y = setting.sun
    radius, chance = setting.radius, setting.chance.of("maria")
    sheet = setting.canvas.sheet((x - radius, y - radius, x + radius, y + radius))
    for _ in range(6):
        away, (cosine, sine) = radius * chance.between(0.1, 0.58), turn(chance.between(0, 1))
        size = radius * chance.between(0.1, 0.3)
        sheet.ellipse((x + cosine * away, y + sine * away), size, size * 0.85)
    sheet.paint(mix(setting.mood.disc, setting.mood.glow, 0.7), opacity=90)


def paint_clouds(setting: Setting) -> None:
    """Heaped clouds by day, long bars at dusk, a lid in a storm."""
    chance, canvas = setting.chance.of("clouds"), setting.canvas
    if setting.name == "storm":
        for layer in range(3):
            _paint_lid(setting, layer)
        return
    count = {"day": 4, "spring": 4, "winter": 3, "autumn": 4, "sunset": 6, "dawn": 5, "neon": 3, "night": 3, "mist": 0}
    wide = canvas.width / canvas.unit
    heaped = setting.name in ("day", "spring", "winter", "autumn")
    number = int((count[setting.name] + (2 if setting.has("aloft") else 0)) * (0.5 + 0.5 * wide))
    for index in range(number):
        depth = (index + 0.5) / number
        y = setting.horizon * (0.2 + 0.62 * depth + chance.between(-0.08, 0.08))
        x = canvas.width * chance.between(-0.05, 1.05)
        size = canvas.unit * (0.3 - 0.17 * depth) * chance.between(0.7, 1.25)
        if heaped:
            _paint_heap(setting, chance, (x, y), size, depth)
        else:
            _paint_bar(setting, chance, (x, y), size * 1.35, depth)


def _paint_heap(setting: Setting, chance: Chance, middle: tuple[float, float], size: float, depth: float) -> None:
    x, y = middle
    sheet = setting.canvas.sheet((x - size * 1.1, y - size * 0.55, x + size * 1.1, y + size * 0.14))
    lumps = chance.whole(5, 8)
    for lump in range(lumps):
        place = (lump + 0.5) / lumps * 2.0 - 1.0
        swell = (1.0 - place * place) * 0.75 + 0.25
        radius = size * 0.27 * swell * chance.between(0.75, 1.2)
        sheet.ellipse((x + place * size * 0.78, y - radius * chance.between(0.35, 0.75)), radius)
    sheet.polygon(
        [
            (x - size * 0.86, y),
            (x + size * 0.86, y),
            (x + size * 0.7, y - size * 0.09),
            (x - size * 0.7, y - size * 0.09),
        ]
    )
    sheet.ellipse((x, y), size * 0.98, size * 0.05)
    air = mix(setting.mood.belly, setting.haze, 0.25 + 0.5 * depth)
    sheet.paint(
        mix(setting.mood.crown, setting.haze, 0.35 * depth), mix(setting.mood.crown, air, 0.3), air, opacity=225
    )


def _paint_bar(setting: Setting, chance: Chance, middle: tuple[float, float], size: float, depth: float) -> None:
    x, y = middle
    thick = size * chance.between(0.045, 0.075)
    sheet = setting.canvas.sheet((x - size * 1.2, y - thick * 4, x + size * 1.2, y + thick * 3))
    for _ in range(4):
        half = size * chance.between(0.35, 0.8)
        cx, cy = x + size * chance.between(-0.35, 0.35), y + thick * chance.between(-1.6, 1.4)
        upper = bow((cx - half, cy), (cx, cy - thick * 2.2), (cx + half, cy), 16)
        sheet.polygon(upper + bow((cx + half, cy), (cx, cy + thick * 0.9), (cx - half, cy), 16))
    low = mix(setting.mood.crown, setting.sky[-1], 0.4 * depth)
    sheet.paint(
        mix(setting.mood.belly, low, 0.35 + 0.45 * depth),
        low,
        opacity=95 if setting.name == "night" else 150 if setting.dark else 190,
    )


def _paint_lid(setting: Setting, layer: int) -> None:
    canvas, chance = setting.canvas, setting.chance.of("lid", layer)
    bottom = setting.horizon * (0.62 - 0.19 * layer)
    line = wander(chance, 60, 5, 3, 0.55)
    points = [(canvas.width * i / 59, bottom - height * setting.horizon * 0.24) for i, height in enumerate(line)]
    sheet = canvas.sheet((0, 0, canvas.width, bottom + 2))
    sheet.polygon([(0.0, -4.0), *points, (float(canvas.width), -4.0)])
    for x, y in points[::2]:
        sheet.ellipse((x, y), canvas.unit * chance.between(0.02, 0.05), canvas.unit * chance.between(0.015, 0.03))
    dark = mix(setting.mood.belly, setting.sky[1], 0.4)
    sheet.paint(
        setting.sky[0],
        mix(dark, setting.sky[2], 0.3 - 0.15 * layer),
        mix(setting.mood.crown, dark, 0.25 * layer),
        opacity=205,
    )


def paint_aurora(setting: Setting) -> None:
    """Curtains: a wandering lower edge from which light rises and fades."""
    canvas, chance = setting.canvas, setting.chance.of("aurora")
    width, height = canvas.width, max(2, int(setting.horizon))
    low, mid, high = chance.pick(AURORAS)
    fall = Image.new("L", (1, 64))
    fall.putdata([i * i * 255 // 2304 if i < 48 else (63 - i) ** 2 * 255 // 225 for i in range(64)])
    for curtain in range(3):
        line = wander(chance, 192, 3 + curtain, 2, 0.35)
        broad, thin = (noise(chance, (cells, 1), (192, 64)) for cells in (9, 54))
        rays = ImageChops.multiply(
            broad.point([40 + i * 215 // 255 for i in range(256)]),
            thin.point([120 + i * 135 // 255 for i in range(256)]),
        )
        light = ImageChops.multiply(rays, fall.resize((192, 64), Image.Resampling.BILINEAR))
        bent = Image.new("L", (192, 88))
        for column in range(192):
            bent.paste(light.crop((column, 0, column + 1, 64)), (column, int(23 * line[column])))
        tall = int(height * chance.between(0.7, 0.85))
        body = bent.resize((width, tall), Image.Resampling.BICUBIC).point([i * (7 - curtain) // 8 for i in range(256)])
        top = int(height * (-0.08 + 0.13 * curtain))
        canvas.image.paste(gradient((high, mid, low, low), width, tall), (0, top), body)


def paint_rainbow(setting: Setting) -> None:
    canvas, chance = setting.canvas, setting.chance.of("rainbow")
    centre = (canvas.width * chance.between(0.3, 0.7), setting.horizon * 1.06)
    outer, band = setting.horizon * 0.82, setting.horizon * 0.016
    box = (centre[0] - outer, centre[1] - outer, centre[0] + outer, setting.horizon)
    for index, hue in enumerate(RAINBOW):
        sheet = canvas.sheet(box)
        sheet.ellipse(centre, outer - band * index)
        sheet.ellipse(centre, outer - band * (index + 1), cover=0)
        sheet.paint(hue, opacity=105)


def paint_comet(setting: Setting) -> None:
    canvas, chance = setting.canvas, setting.chance.of("comet")
    left = setting.sun[0] > canvas.width / 2
    for size in (1.0, 0.45):
        x = canvas.width * (chance.between(0.1, 0.3) if left else chance.between(0.5, 0.7))
        y = setting.horizon * chance.between(0.14, 0.44)
        reach = canvas.unit * 0.26 * size
        tail = [(x + reach * i / 8, y - reach * 0.42 * i / 8) for i in range(9)]
        for width, opacity in ((0.02, 70), (0.009, 150)):
            sheet = canvas.sheet((x - 9, y - reach * 0.6, x + reach, y + 9))
            sheet.polygon(stroke(tail, canvas.unit * width * size, 0.5))
            sheet.paint(mix(setting.mood.glow, WHITE, 0.5), opacity=opacity)
        canvas.glow((x, y), canvas.unit * 0.03 * size, WHITE, 230)
