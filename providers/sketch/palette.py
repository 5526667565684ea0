"""Colours, and the light that each mood throws on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


def colour(text: str) -> Colour:
    """`"ff8000"` as a colour."""
    value = int(text, 16)
    return value >> 16, value >> 8 & 255, value & 255


def colours(text: str) -> tuple[Colour, ...]:
    """Several colours, set apart by spaces."""
    return tuple(colour(word) for word in text.split())


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` 0 is the one, 1 is the other."""
    part = int(min(max(share, 0.0), 1.0) * 1024)
    return (
        one[0] + ((other[0] - one[0]) * part >> 10),
        one[1] + ((other[1] - one[1]) * part >> 10),
        one[2] + ((other[2] - one[2]) * part >> 10),
    )


def under(paint: Colour, light: Colour) -> Colour:
    """What `paint` looks like in `light`."""
    return paint[0] * light[0] // 255, paint[1] * light[1] // 255, paint[2] * light[2] // 255


def ramp(stops: Sequence[Colour], count: int) -> list[Colour]:
    """`count` colours that pass evenly through `stops`."""
    last = len(stops) - 1
    shades = []
    for index in range(count):
        place = index * last / max(1, count - 1)
        cell = min(int(place), max(0, last - 1))
        shades.append(mix(stops[cell], stops[min(last, cell + 1)], place - cell))
    return shades


@dataclass(frozen=True, slots=True)
class Mood:
    """The light of a scene. `skies` run from the zenith to the horizon; one of them is chosen.

    `ambient` is the light on the land, `disc` the sun or moon, `glow` the air around it, `crown` and `belly` the top
    and the bottom of a cloud. `altitude` says how far up the sky the sun stands: 0 on the horizon, 1 at the zenith.
    `stars` is how thick they stand: 0 none, 1 a clear night.
    """

    skies: tuple[tuple[Colour, ...], ...]
    ambient: Colour
    disc: Colour
    glow: Colour
    crown: Colour
    belly: Colour
    altitude: tuple[float, float]
    window: Colour = (255, 214, 130)
    stars: float = 0.0


MOODS: Mapping[str, Mood] = {
    "day": Mood(
        skies=(
            colours("2f7fd0 5fa5e6 9ccdf3 d0e9f7 f2f6ee"),
            colours("2a72bb 4fa3d3 8fd0e0 cbeee6 fbf5de"),
            colours("3f74c8 78a3e2 b3cbf2 e0e0f5 fdf0e6"),
        ),
        ambient=colour("fcfaf4"),
        disc=colour("fffbe6"),
        glow=colour("fff6d8"),
        crown=colour("ffffff"),
        belly=colour("cfe2f1"),
        altitude=(0.62, 0.8),
    ),
    "dawn": Mood(
        skies=(
            colours("3b4a80 7c77ab c88fac f3b3a4 fde0bb"),
            colours("41618c 8492bc d3adc0 fbcdb2 fff0d0"),
        ),
        ambient=colour("c4a2b4"),
        disc=colour("fff4d6"),
        glow=colour("ffe3b8"),
        crown=colour("ffe0d0"),
        belly=colour("b891b4"),
        altitude=(0.1, 0.24),
    ),
    "sunset": Mood(
        skies=(
            colours("241247 63296f b4436c f07a55 fcb55f ffe29a"),
            colours("1d2b53 5a3f74 c0566f f58e5b ffd58a"),
            colours("2e1f5e 7a3d8a d65f94 ff9a8b ffd9a0"),
        ),
        ambient=colour("8c5268"),
        disc=colour("fff0b8"),
        glow=colour("ffcf7d"),
        crown=colour("ffb48a"),
        belly=colour("8a3f78"),
        altitude=(0.06, 0.2),
    ),
    "night": Mood(
        skies=(
            colours("040714 0a1230 142352 27407a 5273a6"),
            colours("030a14 07202f 0f3a4c 20606b 5a9994"),
            colours("0a0618 190f3a 2f1f62 4d3b8c 8a78b8"),
        ),
        ambient=colour("3a4a78"),
        disc=colour("f6f3df"),
        glow=colour("a8bce8"),
        crown=colour("50659c"),
        belly=colour("1c2a52"),
        altitude=(0.6, 0.82),
        stars=1.0,
    ),
    "neon": Mood(
        skies=(
            colours("0b0221 240a52 5b1187 b3179a ff4d8d ffa56b"),
            colours("04051e 14105a 4a1a9a a020b0 ff3fa4 ff9d7a"),
        ),
        ambient=colour("502a80"),
        disc=colour("ffd36b"),
        glow=colour("ff5fa2"),
        crown=colour("d43aa8"),
        belly=colour("4a1488"),
        altitude=(0.16, 0.26),
        window=colour("ffd27a"),
        stars=0.5,
    ),
    "storm": Mood(
        skies=(colours("1b222a 333e49 54616d 808d98 b4bec4"), colours("1d2433 353f55 56607a 8089a0 b3b5c6")),
        ambient=colour("66727e"),
        disc=colour("dfe6ea"),
        glow=colour("c3ced6"),
        crown=colour("7b8893"),
        belly=colour("343e48"),
        altitude=(0.6, 0.75),
    ),
    "mist": Mood(
        skies=(colours("a3b4ba bccacc d2dcd9 e6eae4 f3f2e8"), colours("b3b3c4 c9c6d2 ddd8dc ece6e2 f6f0e8")),
        ambient=colour("b4c2c0"),
        disc=colour("fffdf2"),
        glow=colour("fffaea"),
        crown=colour("f2f4f0"),
        belly=colour("ccd6d6"),
        altitude=(0.4, 0.55),
    ),
    "winter": Mood(
        skies=(colours("6f97bd 98bcd7 c3d9e9 e6eff4 faf4ec"), colours("8591bd b0b8d8 d3d5e8 eee6ec fdf0e4")),
        ambient=colour("dbe6f2"),
        disc=colour("fffcee"),
        glow=colour("fff6e2"),
        crown=colour("ffffff"),
        belly=colour("c4d6e6"),
        altitude=(0.3, 0.5),
    ),
    "autumn": Mood(
        skies=(colours("5b7fa6 9db3bd e3cfae f6c98a fbe3b4"), colours("6a86a0 b3bdb4 ecd6a8 f9d493 fdebc4")),
        ambient=colour("eacaa8"),
        disc=colour("fff3cc"),
        glow=colour("ffe2a2"),
        crown=colour("fff0da"),
        belly=colour("dcb698"),
        altitude=(0.24, 0.4),
    ),
    "spring": Mood(
        skies=(colours("62abe0 9ccdf0 d2e6f6 f9e0ea fff1ea"), colours("6fb9d6 a8dbe2 d8f0e6 fbeadd fff3e2")),
        ambient=colour("faf2ee"),
        disc=colour("fffae6"),
        glow=colour("fff0e6"),
        crown=colour("ffffff"),
        belly=colour("e8d8ea"),
        altitude=(0.55, 0.75),
    ),
}

THEMES: Mapping[str, tuple[Colour, ...]] = {
    "red": colours("2a0a14 6d1426 b92836 e8594a f79a76 fde3cf"),
    "orange": colours("2b1220 7a2a22 c9501f f2853a fbb968 ffeccb"),
    "gold": colours("231a12 5f4418 a87a22 dcae48 f3d68a fff6df"),
    "green": colours("0b2420 14493c 2b7a57 62aa6d aed596 f3f5d8"),
    "teal": colours("06232d 0d4a55 1b7f83 52b3a9 a5dccb f2f7e6"),
    "blue": colours("0b1636 173a78 2c6bb8 62a2dd aed3f1 f4f7f4"),
    "purple": colours("1a1036 43206f 7a3fa8 b277cf dcb6e6 faf0f4"),
    "pink": colours("331233 7d2157 c8457f ee7fa0 f9bcc2 fff1ea"),
    "brown": colours("20140f 4a2c1d 80502f b5835a dcb995 f8ecdd"),
    "grey": colours("15181d 343b44 616b75 969fa6 c8cdcf f3f3f0"),
    "dusk": colours("1b1440 4a2a75 96417f e0706d f9b278 fff0cf"),
    "reef": colours("10253f 1d5673 2f9a9b f2a65a f6cf8b fff4e0"),
    "meadow": colours("1c3a3a 2f6b58 7fae64 e3b94f f1dd9b fdf6e3"),
    "candy": colours("33204f 6b3f8f 3fa3b8 f58fa8 fbc9a5 fff3e3"),
    "clay": colours("2d1e2f 6a3d4a a85d4f d98e5f 8fb0a0 f7ead2"),
    "nordic": colours("1d2b3a 3a5568 7391a0 d97b66 efc4a4 f6f1e7"),
}
"""Palettes from dark to light for pictures that show no place."""
