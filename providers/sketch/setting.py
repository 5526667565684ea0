"""Where a scene takes place: what every part of the picture needs to know of the others."""

from __future__ import annotations

from dataclasses import dataclass

from providers.sketch.canvas import Canvas
from providers.sketch.chance import Chance
from providers.sketch.curves import Point
from providers.sketch.palette import WHITE, Colour, Mood, colour, mix, under
from providers.sketch.words import Brief

SNOW = colour("f4f8fd")
DUSKY = ("sunset", "dawn", "neon")


@dataclass(frozen=True, slots=True)
class Setting:
    """`horizon` is a row of the canvas, `sun` the middle of sun or moon, `radius` its size in pixels."""

    canvas: Canvas
    brief: Brief
    name: str
    """The mood's name, a key of `MOODS`."""
    mood: Mood
    sky: tuple[Colour, ...]
    horizon: float
    sun: Point
    radius: float
    chance: Chance

    def has(self, *things: str) -> bool:
        return any(thing in self.brief.things for thing in things)

    def at(self, *places: str) -> bool:
        return any(place in self.brief.places for place in places)

    @property
    def dark(self) -> bool:
        """Lamps are lit."""
        return self.name in ("night", "neon", "sunset", "storm")

    @property
    def haze(self) -> Colour:
        """The air at the horizon."""
        if self.name in DUSKY:
            return mix(self.sky[-2], self.sky[-3], 0.5)
        return mix(self.sky[-1], self.sky[-2], 0.35)

    @property
    def air(self) -> Colour:
        """What far land fades into: at dusk a deeper shade than the bright rim of the sky, so that it stands out."""
        return mix(self.sky[-3], self.sky[-4], 0.3) if self.name in DUSKY else self.haze

    def snow(self, distance: float) -> Colour:
        """Snow, which throws back more light than it gets from the sun alone."""
        return mix(under(SNOW, mix(self.mood.ambient, WHITE, 0.38)), self.air, distance)

    def lit(self, paint: Colour, distance: float) -> Colour:
        """What `paint` looks like in this light; `distance` 0 is here, 1 has vanished into the air."""
        return mix(under(paint, self.mood.ambient), self.air, distance)
