"""The near half of a scene: shores, fields, woods, sand, and what stands on them."""

from __future__ import annotations

from providers.sketch import buildings, heights, trees
from providers.sketch.curves import Point, wander
from providers.sketch.palette import Colour, colour, mix
from providers.sketch.setting import Setting
from providers.sketch.trees import PETALS

GREEN = {"autumn": heights.DRY, "winter": colour("a9b8a0")}


def paint_foreground(setting: Setting) -> None:
    """Whatever the words put between the horizon and the eye."""
    if setting.at("lake", "sea", "island"):
        _paint_shore(setting)
    elif setting.at("desert", "canyon"):
        _paint_sand(setting)
    elif not setting.at("city"):
        _paint_land(setting)


def _paint_land(setting: Setting) -> None:
    canvas = setting.canvas
    start = setting.horizon
    leafy = setting.has("autumn", "blossom") and not setting.has("pine")
    if setting.has("castle"):
        paint_on_hill(setting)
    if setting.at("field"):
        grass = heights.DRY if setting.has("wheat") else GREEN.get(setting.name, heights.GRASS)
        heights.paint_hills(setting, grass, start, 3)
        _paint_crop(setting, start + (canvas.height - start) * 0.3)
    elif setting.at("forest"):
        if leafy:
            trees.paint_grove(setting, start)
        else:
            trees.paint_forest(setting, start - canvas.height * (0.0 if setting.at("mountains") else 0.1))
    elif setting.has("snow"):
        heights.paint_snowfield(setting, start)
    else:
        heights.paint_hills(setting, GREEN.get(setting.name, heights.GRASS), start)
    _paint_landmark(setting, start)
    if leafy and not setting.at("forest"):
        _paint_lone_tree(setting)
    elif (
        (setting.at("hills") or setting.has("snow"))
        and not setting.at("forest", "field")
        and setting.chance.of("copse").happens(0.6)
    ):
        trees.paint_banks(setting)


def _paint_crop(setting: Setting, start: float) -> None:
    if setting.has("lavender"):
        trees.paint_lavender(setting, start)
        return
    plain = setting.has("wheat") or setting.name not in ("spring", "day", "sunset", "dawn")
    if setting.has("flowers") or not plain:
        named = next((hue for hue in setting.brief.colours if hue in PETALS), "mixed")
        trees.paint_meadow(setting, start, PETALS[named])
    if not setting.has("windmill", "cabin", "blossom", "autumn") and setting.chance.of("oak").happens(0.6):
        _paint_lone_tree(setting)


def _paint_lone_tree(setting: Setting) -> None:
    canvas = setting.canvas
    leaves: tuple[Colour, ...] = (trees.LEAF, colour("6fae5c"), colour("a8cf7a"))
    if setting.has("blossom"):
        leaves = trees.BLOSSOM[:3]
    elif setting.has("autumn"):
        leaves = trees.AUTUMN[:3]
    blooming = setting.has("blossom")
    ashore = setting.at("lake", "sea", "island")
    side = 0.13 if ashore else 0.28
    foot = (side if setting.sun[0] > canvas.width / 2 else 1 - side) * canvas.width
    low = canvas.height * (0.93 if ashore else 0.86 if blooming else 0.74)
    trees.paint_round_tree(setting, (foot, low), canvas.unit * (0.5 if blooming else 0.26), leaves)


def _paint_landmark(setting: Setting, start: float) -> None:
    canvas, chance = setting.canvas, setting.chance.of("landmark")
    depth = canvas.height - start
    at: Point = (
        canvas.width * chance.pick((chance.between(0.24, 0.38), chance.between(0.62, 0.76))),
        start + depth * 0.42,
    )
    if setting.has("windmill"):
        buildings.paint_windmill(setting, (at[0], start + depth * 0.2), canvas.unit * 0.2)
    if setting.has("cabin"):
        buildings.paint_cabin(setting, at, canvas.unit * 0.1)
        if setting.has("village"):
            _paint_neighbours(setting, at, start)
    if setting.has("tent"):
        buildings.paint_tent(setting, (canvas.width - at[0], start + depth * 0.62), canvas.unit * 0.1)
    if setting.has("lighthouse"):
        buildings.paint_lighthouse(setting, at, canvas.unit * 0.3)


def _paint_neighbours(setting: Setting, at: Point, start: float) -> None:
    """More houses around the first, the far ones smaller."""
    canvas = setting.canvas
    depth, side = canvas.height - start, 1 if at[0] < canvas.width / 2 else -1
    for away, down, size in ((0.17, 0.3, 0.062), (0.34, 0.36, 0.078), (-0.15, 0.34, 0.07), (0.24, 0.56, 0.11)):
        place = (at[0] + side * away * canvas.unit, start + depth * down)
        buildings.paint_cabin(setting, place, canvas.unit * size)


def paint_on_hill(setting: Setting) -> None:
    """A castle on its crag, at the horizon."""
    canvas, chance = setting.canvas, setting.chance.of("castle")
    buildings.paint_castle(
        setting, (canvas.width * chance.between(0.36, 0.64), setting.horizon - canvas.unit * 0.09), canvas.unit * 0.2
    )


def _paint_sand(setting: Setting) -> None:
    canvas, chance = setting.canvas, setting.chance.of("sand")
    heights.paint_dunes(setting)
    depth = canvas.height - setting.horizon
    if setting.has("palm"):
        for index in range(3):
            foot = (canvas.width * (0.68 + 0.07 * index), setting.horizon + depth * (0.42 + 0.05 * index))
            trees.paint_palm(setting, foot, canvas.unit * chance.between(0.2, 0.3), chance.between(-0.3, 0.3))
    if setting.has("cactus") or (setting.at("canyon") and chance.happens(0.5)):
        for place, size in ((0.16, 0.3), (0.8, 0.17), (0.62, 0.1)):
            foot = (canvas.width * (place + chance.between(-0.05, 0.05)), setting.horizon + depth * (0.25 + 1.9 * size))
            trees.paint_cactus(setting, foot, canvas.unit * size)


def paint_far_shore(setting: Setting) -> None:
    """Land beyond the water: a wooded rim, or an island with its own hill."""
    canvas, chance, base = setting.canvas, setting.chance.of("shore"), setting.horizon
    if setting.at("island"):
        for place, half, rise, distance in (
            (chance.between(0.1, 0.3), 0.2, 0.09, 0.45),
            (chance.between(0.55, 0.72), 0.32, 0.17, 0.12),
        ):
            _paint_isle(setting, (canvas.width * place, base + 1), canvas.unit * half, canvas.unit * rise, distance)
        return
    count = 120
    line = wander(chance, count, 5, 2)
    edge = [(canvas.width * i / (count - 1), base - canvas.unit * (0.03 + 0.05 * line[i])) for i in range(count)]
    sheet = canvas.sheet((0, base - canvas.unit * 0.18, canvas.width, base + 1))
    sheet.polygon([*edge, (canvas.width + 2.0, base + 2), (-2.0, base + 2)])
    if setting.at("forest"):
        for x, y in edge:
            foot = (x + canvas.unit * chance.between(-0.01, 0.01), y + 4)
            trees.pine(sheet, foot, canvas.unit * chance.between(0.05, 0.1), chance)
    tone = setting.lit(mix(trees.PINE, colour("1d3a38"), 0.4), 0.3)
    sheet.paint(tone, mix(tone, setting.haze, 0.3))


def _paint_isle(setting: Setting, foot: Point, half: float, rise: float, distance: float) -> None:
    canvas, chance = setting.canvas, setting.chance.of("isle", int(half))
    x, base = foot
    line = wander(chance, 60, 4, 3)
    ridge = [
        (x + half * (i / 29.5 - 1), base - rise * (1 - (i / 29.5 - 1) ** 2) * (0.45 + 0.55 * line[i]))
        for i in range(60)
    ]
    sheet = canvas.sheet((x - half, base - rise * 1.1, x + half, base))
    sheet.polygon([*ridge, (x + half, base + 1), (x - half, base + 1)])
    green = setting.lit(mix(trees.LEAF, colour("1f4a44"), 0.4), distance)
    sheet.paint(mix(green, setting.mood.disc, 0.15), mix(green, setting.sky[0], 0.15))
    beach = canvas.sheet((x - half * 1.1, base - canvas.unit * 0.012, x + half * 1.1, base + 2))
    beach.ellipse((x, base + 1), half * 1.06, canvas.unit * 0.01)
    beach.paint(setting.lit(heights.SAND, distance * 0.7))
    if distance < 0.3:
        for place in (-0.62, -0.48, 0.55):
            trees.paint_palm(
                setting, (x + half * place, base), canvas.unit * chance.between(0.15, 0.21), chance.between(-0.3, 0.3)
            )


def _paint_shore(setting: Setting) -> None:
    """The near bank, when the words ask for something to stand on it."""
    canvas, chance = setting.canvas, setting.chance.of("near shore")
    depth = canvas.height - setting.horizon
    if setting.has("lighthouse"):
        side = 0.24 if setting.sun[0] > canvas.width / 2 else 0.76
        buildings.paint_lighthouse(setting, (canvas.width * side, setting.horizon + depth * 0.16), canvas.unit * 0.38)
    if setting.has("palm") and not setting.at("island"):
        for index in range(2):
            foot = (canvas.width * (0.08 + 0.1 * index), canvas.height * 0.95)
            trees.paint_palm(setting, foot, canvas.unit * chance.between(0.45, 0.6), chance.between(0.1, 0.3))
    framed = setting.at("forest") or (setting.at("lake") and chance.happens(0.55))
    if framed or setting.has("cabin", "tent", "blossom"):
        trees.paint_banks(setting)
    if setting.has("cabin"):
        buildings.paint_cabin(setting, (canvas.width * 0.2, canvas.height * 0.9), canvas.unit * 0.12)
    if setting.has("tent"):
        buildings.paint_tent(setting, (canvas.width * 0.24, canvas.height * 0.91), canvas.unit * 0.12)
    if setting.has("blossom"):
        _paint_lone_tree(setting)
