"""Put a picture together from what the words ask for, from the farthest thing to the nearest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from providers.sketch import abstract, buildings, city, figures, foreground, heights, sky, space, water, weather
from providers.sketch.canvas import Canvas
from providers.sketch.chance import Chance
from providers.sketch.palette import MOODS
from providers.sketch.setting import Setting
from providers.sketch.words import Brief

IMPLIED: Mapping[str, tuple[str, ...]] = {
    "lighthouse": ("sea",),
    "boat": ("sea",),
    "wave": ("sea",),
    "palm": ("island",),
    "cactus": ("desert",),
    "pyramid": ("desert",),
    "rocket": ("space",),
    "ring": ("space",),
    "lavender": ("field",),
    "flowers": ("field",),
    "windmill": ("field",),
    "castle": ("mountains", "hills"),
    "tent": ("mountains", "lake"),
    "lantern": ("mountains", "lake"),
    "cabin": ("mountains", "hills"),
    "blossom": ("field", "hills"),
    "autumn": ("forest",),
    "balloon": ("mountains", "hills"),
    "aurora": ("mountains", "lake"),
    "snow": ("mountains", "forest"),
}
"""Where a thing stands when the prompt names no place; the first that is there decides."""

ANYWHERE = (("mountains", "lake"), ("hills",), ("sea",), ("mountains", "forest"), ("field",))
"""For a mood without a place."""

MOODLESS: Mapping[str, tuple[str, ...]] = {
    "city": ("day", "sunset", "night", "dawn"),
    "desert": ("day", "sunset", "dawn"),
    "canyon": ("day", "sunset"),
    "forest": ("mist", "day", "dawn"),
    "volcano": ("sunset", "night"),
    "space": ("night",),
}
RADIUS = {"neon": 0.15, "sunset": 0.068, "dawn": 0.06, "night": 0.055, "mist": 0.055}
"""Of sun or moon, in shares of the shorter side."""


def paint(canvas: Canvas, prompt: str, brief: Brief, seed: int) -> None:
    """Paint the whole canvas. The same prompt and seed give the same composition in every size."""
    chance = Chance(prompt, seed)
    if brief.abstract:
        abstract.paint_abstract(canvas, brief, chance.of("abstract"))
        return
    brief = replace(brief, places=_places(brief, chance.of("place")))
    setting = _setting(canvas, brief, chance)
    if setting.at("space"):
        space.paint_space(setting)
        return
    sky.paint_sky(setting)
    if setting.has("lightning"):
        weather.paint_lightning(setting)
    _paint_backdrop(setting)
    if setting.has("balloon"):
        figures.paint_balloons(setting)
    _paint_water(setting)
    foreground.paint_foreground(setting)
    _paint_air(setting)


def _places(brief: Brief, chance: Chance) -> frozenset[str]:
    if brief.places:
        return brief.places
    for thing, places in IMPLIED.items():
        if thing in brief.things:
            return frozenset(places)
    return frozenset(chance.pick(ANYWHERE))


def _setting(canvas: Canvas, brief: Brief, chance: Chance) -> Setting:
    light = chance.of("light")
    choices = next(
        (moods for place, moods in MOODLESS.items() if place in brief.places), ("day", "day", "dawn", "sunset")
    )
    name = brief.mood or ("night" if brief.things & {"moon", "stars"} else light.pick(choices))
    mood = MOODS[name]
    wet = bool(brief.places & {"lake", "sea", "island"})
    horizon = canvas.height * _horizon(brief, wet)
    radius = canvas.unit * RADIUS.get(name, 0.05)
    altitude = light.between(*mood.altitude)
    if altitude < 0.3 and brief.places & {"mountains", "canyon", "volcano", "city"}:
        altitude += 0.24  # else the land would hide the sun that makes the mood
    sun = (canvas.width * light.pick((light.between(0.2, 0.42), light.between(0.58, 0.8))), horizon * (1 - altitude))
    return Setting(canvas, brief, name, mood, light.pick(mood.skies), horizon, sun, radius, chance)


def _horizon(brief: Brief, wet: bool) -> float:
    """The horizon's row as a share of the height."""
    places = brief.places
    if "space" in places:
        return 1.0
    if wet:
        return 0.6
    if "city" in places:
        return 0.84
    if places & {"desert", "canyon"}:
        return 0.6
    if "field" in places:
        return 0.54
    if "mountains" in places or "volcano" in places:
        return 0.66
    return 0.5


def _paint_backdrop(setting: Setting) -> None:
    """What stands on the horizon."""
    canvas = setting.canvas
    rise = min(setting.horizon * 0.62, canvas.unit * 0.46)
    if setting.at("volcano"):
        heights.paint_ranges(setting, rise * 0.45, 1)
        heights.paint_volcano(setting, rise * 1.05)
    elif setting.at("mountains"):
        heights.paint_ranges(setting, rise)
    elif setting.at("lake", "island") or (setting.at("field") and setting.chance.of("far").happens(0.6)):
        heights.paint_ranges(setting, rise * 0.4, 2)
    if setting.at("canyon"):
        heights.paint_canyon(setting, rise * 0.8)
    if setting.has("pyramid"):
        buildings.paint_pyramids(setting)
    if setting.at("lake", "sea", "island") and setting.at("forest", "hills", "island"):
        foreground.paint_far_shore(setting)
    if setting.at("city"):
        city.paint_city(setting, setting.horizon, float(canvas.height))


def _paint_water(setting: Setting) -> None:
    if setting.at("lake", "sea", "island"):
        calm = setting.at("lake") or setting.name not in ("storm",)
        if setting.has("castle"):
            foreground.paint_on_hill(setting)
        water.paint_water(setting, setting.horizon, calm)
        if setting.has("wave") or (setting.at("sea") and setting.name == "storm"):
            water.paint_waves(setting, setting.horizon)
        if setting.has("boat"):
            figures.paint_boats(setting, setting.horizon)
    elif setting.at("city"):
        water.paint_water(setting, setting.horizon, True)


def _paint_air(setting: Setting) -> None:
    """What is nearer than the land."""
    if setting.has("fog"):
        weather.paint_fog(setting)
    if setting.has("lantern"):
        figures.paint_lanterns(setting)
    quiet = setting.name in ("day", "dawn", "sunset", "autumn", "spring") and not setting.at("city")
    if setting.has("bird") or (quiet and setting.chance.of("flock").happens(0.45)):
        figures.paint_birds(setting)
    if setting.has("rain"):
        weather.paint_rain(setting)
    if setting.has("snowfall") or (
        setting.has("snow") and setting.name != "night" and setting.chance.of("snowfall").happens(0.4)
    ):
        weather.paint_snowfall(setting)
