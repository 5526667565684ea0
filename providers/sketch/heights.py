"""Mountains, hills and dunes: the lines of land against the sky, with light on one flank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from providers.sketch.chance import Chance
from providers.sketch.curves import Point, sample, wander
from providers.sketch.palette import WHITE, Colour, colour, mix
from providers.sketch.setting import Setting

ROCK = colour("5f6f8c")
GRASS = colour("6fa35a")
DRY = colour("c9a45c")
SAND = colour("e8b777")
CLAY = colour("c8683f")


@dataclass(frozen=True, slots=True)
class Peak:
    x: float
    rise: float
    """Share of the range's height."""


def peaks(chance: Chance, count: int) -> list[Peak]:
    """About evenly spread peaks across a width of 1, one of them the highest."""
    master = chance.whole(0, count - 1)
    return [
        Peak((i + 0.5 + chance.between(-0.32, 0.32)) / count, 1.0 if i == master else chance.between(0.45, 0.82))
        for i in range(count)
    ]


def skyline(chance: Chance, tops: Sequence[Peak], count: int, rough: float) -> list[float]:
    """The heights 0..1 of a range with those peaks: straight flanks, broken by ever smaller steps."""
    slopes = [(chance.between(1.1, 1.7) * len(tops) / 2.2, chance.between(1.1, 1.7) * len(tops) / 2.2) for _ in tops]
    detail = wander(chance, count, len(tops) * 4, 4, 0.55)
    heights = []
    for index in range(count):
        x = index / (count - 1)
        height = 0.12
        for top, (left, right) in zip(tops, slopes, strict=True):
            height = max(height, top.rise - abs(x - top.x) * (left if x < top.x else right))
        heights.append(height + (detail[index] - 0.5) * rough * (0.35 + 0.65 * height))
    return heights


def steps(setting: Setting) -> int:
    """Points that a line across the canvas needs."""
    return max(24, min(320, setting.canvas.width // 3))


def across(setting: Setting, heights: Sequence[float], base: float, rise: float) -> list[Point]:
    """Heights 0..1 as points from the left edge to the right, `rise` pixels above row `base`."""
    last = len(heights) - 1
    return [(setting.canvas.width * i / last, base - height * rise) for i, height in enumerate(heights)]


def fill(setting: Setting, line: Sequence[Point], bottom: float, *stops: Colour) -> None:
    """Paint everything from a line down to row `bottom`."""
    top, low = min(y for _, y in line), max(y for _, y in line)
    width = float(setting.canvas.width)
    sheet = setting.canvas.sheet((0, top - 1, width, bottom))
    sheet.polygon([(-2.0, low + 2), *line, (width + 2, line[-1][1]), (width + 2, low + 2)])
    sheet.box((0, low, width + 2, bottom + 2))
    sheet.paint(*stops)


def paint_ranges(setting: Setting, rise: float, layers: int = 3) -> None:
    """Mountains behind mountains, the nearest with light, shadow and snow."""
    base = setting.horizon + 3
    wide = setting.canvas.width / setting.canvas.unit
    for layer in range(layers):
        chance = setting.chance.of("range", layer)
        near = (layer + 1) / layers
        count = max(2, int((5.4 - 1.6 * near * 1.4) * (0.4 + 0.6 * wide)))
        tops = peaks(chance, count)
        line = across(setting, skyline(chance, tops, steps(setting), 0.2), base, rise * (1.06 - 0.3 * near))
        crest = setting.lit(ROCK, 0.78 - 0.6 * near)
        foot = mix(crest, setting.haze, 0.8)
        fill(setting, line, base, crest, foot)
        if layer and setting.name != "neon":
            _paint_snow(setting, chance, line, base, near)
        if layer:
            _paint_shade(setting, chance, tops, line, base)


def _paint_snow(setting: Setting, chance: Chance, line: Sequence[Point], base: float, near: float) -> None:
    """Snow above a ragged line."""
    top = min(y for _, y in line)
    depth = 0.62 if setting.has("snow") else 0.4
    edge = [
        top + (base - top) * (depth + tooth) + (y - top) * 0.3 - (base - top) * 0.14
        for tooth, (_, y) in zip(_teeth(chance, len(line)), line, strict=True)
    ]
    sheet = setting.canvas.sheet((0, top - 1, setting.canvas.width, base))
    run: list[tuple[Point, float]] = []
    for point, low in zip([*line, (line[-1][0], base)], [*edge, -1.0], strict=True):
        if low > point[1] + 1:
            run.append((point, low))
        elif run:
            sheet.polygon([p for p, _ in run] + [(p[0], low) for p, low in run[::-1]])
            run = []
    white = setting.snow(0.42 - 0.36 * near)
    sheet.paint(mix(white, setting.mood.disc, 0.2), mix(white, setting.haze, 0.5), opacity=235)


def _teeth(chance: Chance, count: int) -> list[float]:
    """A ragged line about 0: straight slopes of uneven length, in turn up and down."""
    line: list[float] = [0.0]
    drift = wander(chance, count, 4)
    down = True
    while len(line) < count:
        width = max(2, int(count * chance.between(0.006, 0.03)))
        start, end = line[-1], (0.07 if down else -0.05) * chance.between(0.1, 1.0)
        line.extend(start + (end - start) * (i + 1) / width for i in range(width))
        down = not down
    return [tooth + 0.3 * (slow - 0.5) for tooth, slow in zip(line, drift, strict=False)]


def _paint_shade(setting: Setting, chance: Chance, tops: Sequence[Peak], line: Sequence[Point], base: float) -> None:
    """The flank that the sun does not reach, from each peak down to the next saddle."""
    away = 1 if setting.sun[0] < setting.canvas.width / 2 else -1
    last = len(line) - 1
    top = min(y for _, y in line)
    sheet = setting.canvas.sheet((0, top - 1, setting.canvas.width, base))
    for peak in tops:
        middle = int(peak.x * last)
        reach = range(max(0, middle - last // 40), min(last, middle + last // 40) + 1)
        start = min(reach, key=lambda i: line[i][1], default=middle)
        end = start
        lowest = line[start][1]
        while 0 <= end + away <= last and line[end + away][1] > lowest - (base - top) * 0.05:
            end += away
            lowest = max(lowest, line[end][1])
        flank = [line[i] for i in range(start, end + away, away)]
        (x, y), span = flank[0], abs(flank[-1][0] - flank[0][0])
        if span < 4:
            continue
        rib: list[Point] = []
        for step in range(1, 8):
            sway = (0.2 if step % 2 else -0.06) * chance.between(0.2, 1.0)
            t = (step - 0.4 + chance.between(-0.2, 0.2)) / 7
            rib.append((x + away * span * (0.42 * t + sway * min(1.0, step / 3)), y + (base - y) * t))
        sheet.polygon([*flank, (x + away * span * 0.8, base), *rib[::-1]])
    dark = mix(setting.lit(ROCK, 0.1), setting.sky[0], 0.45)
    sheet.paint(dark, mix(dark, setting.haze, 0.75), opacity=120)


def paint_volcano(setting: Setting, rise: float) -> None:
    """One cone with a glowing mouth and its smoke."""
    canvas, chance, base = setting.canvas, setting.chance.of("volcano"), setting.horizon + 2
    x = canvas.width * chance.between(0.36, 0.64)
    half, mouth, top = min(canvas.width * 0.62, rise * 1.7), rise * 0.13, base - rise
    for puff in range(11):
        t = puff / 10
        size = rise * (0.06 + 0.2 * t)
        sheet = canvas.sheet((x - rise * 2, 0, x + rise * 2, base))
        sheet.ellipse((x + rise * (0.5 * t * t + chance.between(-0.06, 0.06)), top - rise * 0.75 * t), size, size * 0.8)
        sheet.paint(mix(setting.mood.belly, colour("6b5560"), 0.5 - 0.4 * t), opacity=int(150 - 95 * t))
    canvas.glow((x, top), rise * 0.62, colour("ff7a3a"), 190)
    bends = wander(chance, 40, 9, 2)
    left = [
        (x - mouth - (half - mouth) * (i / 39) ** 2 * 0.7 - (half - mouth) * i / 39 * 0.3, top + rise * i / 39)
        for i in range(40)
    ]
    right = [(2 * x - px, py + rise * 0.05 * (bends[i] - 0.5)) for i, (px, py) in enumerate(left)]
    sheet = canvas.sheet((x - half, top - 4, x + half, base))
    sheet.polygon([*left[::-1], (x - mouth * 0.3, top + rise * 0.03), (x + mouth * 0.4, top + rise * 0.025), *right])
    rock = mix(setting.lit(ROCK, 0.05), colour("3a2530"), 0.5)
    sheet.paint(rock, rock, mix(rock, setting.haze, 0.6))
    lava = canvas.sheet((x - half, top, x + half, base))
    for stream in range(3):
        bed, drift = wander(chance, 14, 5), (stream - 1) * rise * 0.3
        path = [
            (x + drift * i / 13 + (bed[i] - 0.5) * rise * 0.1 * min(1, i / 3), top + rise * (0.02 + 0.05 * i))
            for i in range(14)
        ]
        for (ax, ay), (bx, by) in pairwise(path):
            thick = rise * 0.022 * (1.15 - ay / base) + 1
            lava.polygon([(ax - thick, ay), (ax + thick, ay), (bx + thick * 0.8, by), (bx - thick * 0.8, by)])
    lava.paint(colour("ffd76b"), colour("ff6a3a"), mix(colour("b8322a"), rock, 0.4))


def paint_canyon(setting: Setting, rise: float) -> None:
    """Flat-topped rocks in bands of clay, behind one another."""
    canvas, base = setting.canvas, setting.horizon + 3
    for layer in range(3):
        chance, near = setting.chance.of("mesa", layer), (layer + 1) / 3
        count = max(2, int((4 - layer) * (0.4 + 0.6 * canvas.width / canvas.unit)))
        clay = setting.lit(CLAY, 0.66 - 0.5 * near)
        for index in range(count):
            x = canvas.width * (index + chance.between(0.15, 0.85)) / count
            half = canvas.unit * chance.between(0.06, 0.2) * (0.7 + 0.4 * near)
            tall = rise * chance.between(0.5, 1.0) * (0.72 + 0.28 * near)
            _paint_mesa(setting, (x, base), half, tall, clay)
        floor = across(setting, wander(chance, 60, 4, 2), base, rise * 0.07)
        fill(setting, floor, base, mix(clay, setting.haze, 0.25))


def _paint_mesa(setting: Setting, foot: Point, half: float, tall: float, clay: Colour) -> None:
    x, base = foot
    chance = setting.chance.of("mesa", int(x))
    wall, away = tall * 0.62, 1 if setting.sun[0] < x else -1
    left = [(x - half * (1.0 + 0.05 * chance.between(-1, 1)), base - tall + wall * i / 5) for i in range(6)]
    right = [(x + half * (1.0 + 0.05 * chance.between(-1, 1)), base - tall + wall * i / 5) for i in range(6)]
    body = [*left[::-1], *right, (x + half * 1.9, base), (x - half * 1.9, base)]
    box = (x - half * 2, base - tall - 1, x + half * 2, base)
    sheet = setting.canvas.sheet(box)
    sheet.polygon(body)
    sheet.paint(mix(clay, setting.mood.disc, 0.16), clay, mix(clay, setting.haze, 0.3))
    bands = setting.canvas.sheet(box)
    for band in range(5):
        y = base - tall + wall * (band + chance.between(0.2, 0.6)) / 5
        bands.box((x - half * 1.02, y, x + half * 1.02, y + wall * chance.between(0.03, 0.07)))
    bands.paint(mix(clay, colour("5a2a2a"), 0.5), opacity=90)
    shade = setting.canvas.sheet(box)
    split = x + away * half * chance.between(-0.1, 0.3)
    side = right if away > 0 else left
    shade.polygon([(split, base - tall), *side, (x + away * half * 1.9, base), (split + away * half * 0.3, base)])
    shade.paint(mix(clay, setting.sky[0], 0.6), opacity=120)


def paint_dunes(setting: Setting) -> None:
    """Waves of sand; each has a sharp crest with the lit side before it and the shadow behind."""
    canvas, low = setting.canvas, setting.canvas.height
    depth = low - setting.horizon
    away = 1 if setting.sun[0] < canvas.width / 2 else -1
    for layer in range(5):
        chance, near = setting.chance.of("dune", layer), layer / 4
        base = setting.horizon + depth * 0.2 * layer
        line = across(setting, wander(chance, 120, 3 if layer < 3 else 2, 1), base, canvas.unit * (0.07 + 0.1 * near))
        sand = setting.lit(SAND, 0.5 - 0.48 * near)
        fill(setting, line, low, mix(sand, setting.mood.disc, 0.28), sand, mix(sand, setting.sky[0], 0.22))
        crests = [i for i in range(2, 118) if line[i][1] <= line[i - 1][1] and line[i][1] < line[i + 1][1]]
        sheet = canvas.sheet((0, min(y for _, y in line), canvas.width, low))
        for crest in crests:
            end = crest
            while 0 < end < 119 and line[end + away][1] >= line[end][1] - 0.01:
                end += away
            flank = [line[i] for i in range(crest, end + away, away)]
            (x, y), (ex, ey) = flank[0], flank[-1]
            bend = wander(chance, 12, 2)
            rib = []
            for step in range(12):
                t = step / 11
                rx = x + (ex - x) * (t * t * 0.85 + (bend[step] - 0.5) * 0.5 * t * (1 - t))
                ground = sample([height for _, height in line], rx / canvas.width)
                rib.append((rx, max(ground, y + (ey - y + depth * 0.2) * t)))
            sheet.polygon([*flank, (ex, ey + depth * 0.2), *rib[::-1]])
        shadow = mix(setting.lit(colour("8a4f45"), 0.35 - 0.33 * near), setting.sky[0], 0.22)
        sheet.paint(shadow, mix(shadow, sand, 0.65), sand, opacity=200)


def paint_hills(setting: Setting, paint: Colour, start: float, layers: int = 4) -> None:
    """Rolling land from row `start` to the bottom edge, each fold nearer, greener and darker."""
    canvas = setting.canvas
    depth = canvas.height - start
    for layer in range(layers):
        chance, near = setting.chance.of("hill", layer), layer / max(1, layers - 1)
        base = start + depth * 0.76 * layer / layers
        line = across(
            setting, wander(chance, 140, 3 if layer < 2 else 2, 2, 0.25), base, canvas.unit * (0.075 + 0.05 * near)
        )
        tone = setting.lit(mix(paint, colour("23402f"), 0.05 + 0.32 * near), 0.6 - 0.58 * near)
        fill(setting, line, canvas.height, mix(tone, setting.mood.disc, 0.22), tone, mix(tone, setting.sky[0], 0.28))


def paint_snowfield(setting: Setting, start: float) -> None:
    """Snow from row `start` down, blue in its hollows."""
    canvas = setting.canvas
    depth = canvas.height - start
    blue = mix(setting.lit(colour("b9cfe8"), 0.0), setting.sky[1], 0.2)
    for layer in range(3):
        chance = setting.chance.of("drift", layer)
        line = across(setting, wander(chance, 120, 3, 1), start + depth * (0.02 + 0.32 * layer), canvas.unit * 0.05)
        white = mix(setting.snow(0.3 - 0.14 * layer), setting.mood.disc, 0.1)
        fill(setting, line, canvas.height, mix(white, WHITE, 0.2), mix(white, blue, 0.3), mix(white, blue, 0.85))
