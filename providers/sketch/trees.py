"""What grows: pines, round trees, palms, cacti, grass and flowers."""

from __future__ import annotations

from providers.sketch.canvas import Sheet, Stamp
from providers.sketch.chance import Chance
from providers.sketch.curves import Point, bow, stroke, turn, wander
from providers.sketch.heights import across, fill
from providers.sketch.palette import Colour, colour, colours, mix
from providers.sketch.setting import Setting

PINE = colour("2f5d50")
LEAF = colour("4d8a4f")
AUTUMN = colours("d9652b e8972f c4402b e3b23c b5482f")
BLOSSOM = colours("f7b6cb fbd3de f08fb0 fde6ea")
PETALS = {
    "red": colours("e23b3b f0594a c9283a f7c948"),
    "orange": colours("f28a2e f6b042 e5622d fde6c0"),
    "gold": colours("f7c531 fbdc62 f0a62c fff3cf"),
    "blue": colours("4f7fe0 7ba3f2 3a60c4 cfdcfb"),
    "purple": colours("8d5fd3 b58cec 6f45b8 e3d2f8"),
    "pink": colours("f07ba6 f9aec8 e2558c fde3ec"),
    "white": colours("ffffff fdf2e0 f4f6fb f7d774"),
    "mixed": colours("e9506a f7c948 ffffff a172e0 f58a4b"),
}


def pine(sheet: Sheet, foot: Point, tall: float, chance: Chance) -> None:
    """A conifer as one outline: branches droop, shorter towards the top."""
    x, y = foot
    tiers = 6 if tall > 40 else 4
    half = tall * chance.between(0.17, 0.23)
    left: list[Point] = []
    right: list[Point] = []
    for tier in range(tiers):
        t = (tier + 1) / tiers
        reach, row = half * (0.16 + 0.84 * t), y - tall * (1.0 - 0.93 * t)
        for side, sign in ((left, -1), (right, 1)):
            jut = reach * chance.between(0.86, 1.1)
            side.append((x + sign * jut, row + tall * 0.02))
            side.append((x + sign * jut * 0.46, row - tall * 0.015))
    trunk = tall * 0.02
    sheet.polygon([(x, y - tall), *right, (x + trunk, y), (x - trunk, y), *left[::-1]])
    sheet.box((x - trunk, y - tall * 0.1, x + trunk, y))


def paint_forest(setting: Setting, start: float, layers: int = 4) -> None:
    """Rows of pines from row `start` to the bottom, pale with mist behind and dark in front."""
    canvas = setting.canvas
    depth = canvas.height - start
    snowy = setting.has("snow")
    for layer in range(layers):
        chance, near = setting.chance.of("pines", layer), layer / max(1, layers - 1)
        base = start + depth * (0.1 + 0.82 * layer / layers)
        tall = canvas.unit * (0.11 + 0.15 * near)
        rise = canvas.unit * 0.05
        ground = wander(chance, 100, 3)
        line = across(setting, ground, base, rise)
        dark = setting.lit(mix(PINE, colour("16302e"), 0.25 + 0.45 * near), 0.68 - 0.66 * near)
        sheet = canvas.sheet((0, base - rise - tall * 1.3, canvas.width, base + rise))
        gap = tall * 0.23
        x = -gap * chance.between(0, 1)
        while x < canvas.width + gap:
            place = int(min(max(x / canvas.width, 0), 1) * 99)
            clearing = layer == layers - 1 and 0.3 < x / canvas.width < 0.7
            if not clearing or chance.happens(0.12):
                pine(
                    sheet,
                    (x, line[place][1] + tall * 0.06),
                    tall * chance.between(0.6, 1.2) * (0.6 if clearing else 1),
                    chance,
                )
            x += gap * chance.between(0.6, 1.5)
        fog = mix(dark, setting.haze, 0.55 - 0.35 * near)
        sheet.paint(dark, dark, mix(dark, fog, 0.35))
        soil = mix(setting.snow(0.4 - 0.34 * near), setting.sky[1], 0.12) if snowy else mix(dark, fog, 0.2)
        fill(setting, line, canvas.height, soil, mix(soil, setting.haze if near < 0.9 else setting.sky[0], 0.4))


def paint_banks(setting: Setting) -> None:
    """Pines left and right in the foreground, framing the view."""
    canvas = setting.canvas
    chance = setting.chance.of("banks")
    dark = setting.lit(mix(PINE, colour("0c1f22"), 0.62), 0.0)
    tall = min(canvas.unit * 0.46, canvas.height * 0.5)
    for side in (-1, 1):
        edge = 0.0 if side < 0 else float(canvas.width)
        reach = min(canvas.width * 0.36, canvas.unit * 0.5) * chance.between(0.75, 1.1)
        top, low = canvas.height - tall * 1.35, float(canvas.height)
        sheet = canvas.sheet((edge - reach * 1.2, top, edge + reach * 1.2, low))
        shore = [(edge - side * reach * i / 12, low - canvas.unit * 0.155 * (1 - (i / 12) ** 2)) for i in range(13)]
        sheet.polygon([*shore, (edge, low + 4), (edge + side * 4, low), (edge + side * 4, shore[0][1])])
        for index in range(8):
            t = chance.between(0, 1) * 0.2 + index / 9
            foot = (edge - side * reach * t * 0.92, low - canvas.unit * 0.12 * (1 - t * t) + 6)
            pine(sheet, foot, tall * (1.02 - 0.72 * t) * chance.between(0.75, 1.1), chance)
        sheet.paint(mix(dark, setting.haze, 0.08), mix(dark, setting.sky[0], 0.3))


def paint_round_tree(setting: Setting, foot: Point, tall: float, leaves: tuple[Colour, ...]) -> None:
    """A trunk that forks, and a crown of many leaf clumps lit from the sun's side."""
    canvas, chance = setting.canvas, setting.chance.of("tree", int(foot[0]))
    x, y = foot
    box = (x - tall * 0.7, y - tall * 1.15, x + tall * 0.7, y + 2)
    bark = setting.lit(mix(colour("4a342c"), setting.sky[0], 0.2), 0.0)
    trunk = canvas.sheet(box)
    trunk.polygon(
        stroke(
            bow((x, y), (x + tall * 0.03, y - tall * 0.3), (x - tall * 0.02, y - tall * 0.62)),
            tall * 0.075,
            tall * 0.03,
        )
    )
    for sign in (-1, 1):
        tip = (x + sign * tall * 0.25, y - tall * chance.between(0.62, 0.76))
        trunk.polygon(
            stroke(bow((x, y - tall * 0.34), (x + sign * tall * 0.08, y - tall * 0.5), tip), tall * 0.04, tall * 0.014)
        )
    trunk.paint(bark)
    clumps = []
    for _ in range(110):
        (cosine, sine), away = turn(chance.between(0, 1)), 1.0 - chance.between(0, 1) * chance.between(0, 1)
        at = (x + cosine * away * tall * 0.42, y - tall * 0.7 + sine * away * tall * 0.3)
        clumps.append((*at, tall * chance.between(0.045, 0.085) * (1.25 - 0.5 * away)))
    lit = -1 if setting.sun[0] < x else 1
    for shade in range(3):
        sheet = canvas.sheet(box)
        if shade == 0:
            sheet.ellipse((x, y - tall * 0.7), tall * 0.38, tall * 0.27)
        for cx, cy, radius in clumps[:: shade + 1]:
            sheet.ellipse((cx + lit * shade * tall * 0.03, cy - shade * tall * 0.03), radius * (1 - 0.22 * shade))
        leaf = setting.lit(leaves[shade % len(leaves)], 0.0)
        tone = (mix(leaf, setting.sky[0], 0.16), leaf, mix(leaf, setting.mood.disc, 0.25))[shade]
        sheet.paint(tone, mix(tone, leaf, 0.5), mix(tone, setting.sky[0], 0.12), opacity=(255, 170, 120)[shade])


def paint_grove(setting: Setting, start: float) -> None:
    """Broad-leaved woods in the colours of the season: crowns in rows, trunks before them."""
    canvas = setting.canvas
    depth = canvas.height - start
    hues = BLOSSOM if setting.has("blossom") else AUTUMN
    toward = -1 if setting.sun[0] < canvas.width / 2 else 1
    for layer in range(4):
        chance, near = setting.chance.of("grove", layer), layer / 3
        base = start + depth * (0.08 + 0.2 * layer)
        size = canvas.unit * (0.035 + 0.06 * near)
        line = across(setting, wander(chance, 80, 3), base, canvas.unit * 0.06)
        box = (0.0, base - canvas.unit * 0.1 - size * 4.2, float(canvas.width), base + size)
        count = int(canvas.width / (size * 0.62))
        spots = [(canvas.width * (i + chance.between(0, 1)) / count, chance.between(0.9, 2.3)) for i in range(count)]
        trunks = canvas.sheet(box)
        for x, lift in spots[::3]:
            y = line[int(min(max(x / canvas.width, 0), 0.999) * 80)][1]
            trunks.polygon(stroke([(x, y + 4), (x + size * 0.1, y - size * lift)], size * 0.16, size * 0.07))
        trunks.paint(setting.lit(mix(colour("4a342c"), setting.sky[0], 0.2), 0.5 - 0.5 * near))
        for index in range(3):
            tone = setting.lit(hues[(index + layer) % len(hues)], 0.62 - 0.6 * near)
            crowns, light = canvas.sheet(box), canvas.sheet(box)
            for x, lift in spots[index::3]:
                y = line[int(min(max(x / canvas.width, 0), 0.999) * 80)][1] - size * lift
                _crown(crowns, chance, (x, y), size)
                _crown(light, chance, (x + toward * size * 0.2, y - size * 0.26), size * 0.56)
            crowns.paint(tone, mix(tone, setting.sky[0], 0.3 * near))
            light.paint(mix(tone, setting.mood.disc, 0.35), opacity=105)
        ground = setting.lit(mix(hues[0], colour("6a5a34"), 0.65), 0.55 - 0.5 * near)
        fill(setting, line, canvas.height, ground, mix(ground, setting.sky[0], 0.3 * near))


def _crown(sheet: Sheet, chance: Chance, centre: Point, size: float) -> None:
    """A crown of leaves: an oval with a bumpy outline."""
    x, y = centre
    across, down = size * chance.between(0.5, 0.62), size * chance.between(0.56, 0.72)
    sheet.ellipse(centre, across, down)
    start = chance.between(0, 1)
    for bump in range(9):
        cosine, sine = turn(start + bump / 9)
        sheet.ellipse((x + cosine * across * 0.9, y + sine * down * 0.9), size * chance.between(0.16, 0.28))


def paint_palm(setting: Setting, foot: Point, tall: float, lean: float) -> None:
    """A leaning trunk with a fan of drooping leaves, in silhouette."""
    canvas, chance = setting.canvas, setting.chance.of("palm", int(foot[0]))
    x, y = foot
    top = (x + lean * tall, y - tall)
    sheet = canvas.sheet((x - tall, y - tall * 1.5, x + tall, y + 2))
    sheet.polygon(stroke(bow(foot, (x + lean * tall * 0.15, y - tall * 0.6), top, 16), tall * 0.06, tall * 0.03))
    for leaf in range(9):
        cosine, sine = turn(0.5 + 0.5 * leaf / 8 + chance.between(-0.02, 0.02))
        reach = tall * chance.between(0.4, 0.54)
        tip = (top[0] + cosine * reach, top[1] + sine * reach * 0.42 + reach * (0.16 + 0.3 * abs(cosine)))
        bend = (top[0] + cosine * reach * 0.55, top[1] + sine * reach * 0.75 - reach * 0.2)
        spine = bow(top, bend, tip, 14)
        under = bow(top, (bend[0] - cosine * reach * 0.08, bend[1] + reach * 0.24), tip, 14)
        sheet.polygon([*spine, *under[::-1]])
    for nut in (-0.035, 0.03):
        sheet.ellipse((top[0] + nut * tall, top[1] + tall * 0.03), tall * 0.028)
    dark = setting.lit(mix(colour("2d5a45"), colour("10201f"), 0.5), 0.0)
    sheet.paint(mix(dark, setting.mood.glow, 0.12), dark)


def paint_cactus(setting: Setting, foot: Point, tall: float) -> None:
    """A saguaro: a rounded column with two raised arms."""
    plant = Stamp(setting.canvas, foot, tall, (-0.5, 0, 0.5, 1.05))
    plant.box(-0.1, 0, 0.1, 0.9)
    plant.ellipse((0, 0.9), 0.1)
    for arm, elbow, tip in ((-0.27, 0.42, 0.74), (0.27, 0.3, 0.6)):
        plant.box(min(0.0, arm), elbow - 0.068, max(0.0, arm), elbow + 0.068)
        plant.box(arm - 0.068, elbow, arm + 0.068, tip)
        plant.ellipse((arm, elbow), 0.068)
        plant.ellipse((arm, tip), 0.068)
    dark = setting.lit(mix(colour("3f6b4a"), colour("14231f"), 0.45), 0.0)
    plant.paint(mix(dark, setting.mood.glow, 0.14), dark)


def paint_meadow(setting: Setting, start: float, petals: tuple[Colour, ...]) -> None:
    """Flowers by the hundred, from specks at row `start` to blossoms with stems at the bottom edge."""
    canvas, chance = setting.canvas, setting.chance.of("meadow")
    depth = canvas.height - start
    wide = canvas.width / canvas.unit
    for row in range(7):
        t = (row + 1) / 7
        base = start + depth * t * t * 0.98
        size = canvas.unit * (0.0022 + 0.0105 * t * t)
        count = int((170 - 118 * t) * (0.3 + 0.7 * wide))
        spread = depth * (0.03 + 0.16 * t)
        spots = [
            (chance.between(-0.02, 1.02) * canvas.width, base + chance.between(-1, 1) * spread) for _ in range(count)
        ]
        if row > 2:
            stems = canvas.sheet((0, base - spread - size, canvas.width, canvas.height))
            for x, y in spots:
                sway = size * chance.between(-1.2, 1.2)
                stems.polygon(
                    stroke(bow((x, y), (x, y + size * 3), (x + sway, y + size * 6), 3), size * 0.24, size * 0.4)
                )
            stems.paint(setting.lit(mix(LEAF, colour("1d3a2a"), 0.2 + 0.3 * t), 0.1), opacity=225)
        for hue in range(len(petals)):
            sheet = canvas.sheet((0, base - spread - size * 3, canvas.width, base + spread + size * 3))
            for x, y in spots[hue :: len(petals)]:
                _blossom(sheet, (x, y), size, row)
            sheet.paint(mix(setting.lit(petals[hue], 0.34 - 0.34 * t), petals[hue], 0.3))
        if row > 3:
            hearts = canvas.sheet((0, base - spread - size * 3, canvas.width, base + spread + size * 3))
            for x, y in spots:
                hearts.ellipse((x, y), size * 0.42, size * 0.32)
            hearts.paint(mix(setting.lit(colour("f6c84a"), 0.0), colour("f6c84a"), 0.4))


def _blossom(sheet: Sheet, centre: Point, size: float, row: int) -> None:
    x, y = centre
    if row < 3:
        sheet.ellipse(centre, size, size * 0.75)
        return
    for petal in range(5):
        cosine, sine = turn(petal / 5 + 0.05 + (x - x // 1) * 0.2)
        sheet.ellipse((x + cosine * size * 0.85, y + sine * size * 0.65), size * 0.62, size * 0.5)


def paint_lavender(setting: Setting, start: float) -> None:
    """Rows that run together at the horizon."""
    canvas = setting.canvas
    low, middle = float(canvas.height), canvas.width * setting.chance.of("rows").between(0.35, 0.65)
    rows = 15
    reach = canvas.width * 2.6
    sheet, light = canvas.sheet((0, start, canvas.width, low)), canvas.sheet((0, start, canvas.width, low))
    for row in range(rows):
        left, right = (row / rows - 0.5) * reach, ((row + 0.62) / rows - 0.5) * reach
        top = 0.055
        sheet.polygon(
            [(middle + left * top, start), (middle + right * top, start), (middle + right, low), (middle + left, low)]
        )
        crown = left + (right - left) * 0.34
        light.polygon(
            [(middle + left * top, start), (middle + crown * top, start), (middle + crown, low), (middle + left, low)]
        )
    purple = setting.lit(colour("8a63c9"), 0.0)
    sheet.paint(mix(purple, setting.haze, 0.55), purple, mix(purple, setting.sky[0], 0.4))
    light.paint(
        mix(purple, setting.haze, 0.7), mix(purple, setting.mood.disc, 0.28), mix(purple, setting.mood.disc, 0.12)
    )
