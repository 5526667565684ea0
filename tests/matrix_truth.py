"""What must be true of an answer, told from what the client said and what the provider's simulator received and made.

Nothing here knows the plans or the tables of the adapters: a note is due where what arrived is not what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from PIL import Image

Size = tuple[int, int]

EXACT: Mapping[str, Size] = {
    "square": (1024, 1024),
    "off-grid": (1000, 777),
    "dot": (1, 1),
    "sides": (400, 300),
}
"""Shapes that are promises."""

TABLE: Mapping[str, Size] = {
    "wide": (1563, 670),
    "landscape": (1365, 768),
    "quarter": (458, 572),
    "double": (1183, 1774),
}
"""Shapes that are wishes, and what a provider that takes pixels makes of them."""

RATIOS = {"wide": Fraction(21, 9), "landscape": Fraction(16, 9), "quarter": Fraction(4, 5), "double": Fraction(2, 3)}
AREAS = {"quarter": Fraction(1, 4) * 1024 * 1024, "double": Fraction(2) * 1024 * 1024}

GRID_TOLERANCE = Fraction(103, 100)
"""How far a provider's own rounding of sides may take a picture off its ratio."""
AREA_TOLERANCE = Fraction(115, 100)

ALIASES: Mapping[str, frozenset[str]] = {
    "steps": frozenset({"steps", "num_inference_steps"}),
    "guidance": frozenset({"guidance", "guidance_scale"}),
    "negative_prompt": frozenset({"negative_prompt"}),
    "safety_tolerance": frozenset({"safety_tolerance"}),
    "prompt_upsampling": frozenset({"prompt_upsampling", "use_pre_llm", "enhance_prompt"}),
    "sparkle": frozenset({"sparkle"}),
}
"""Parameters that a provider gets as they are or not at all, and its names for them."""


@dataclass(frozen=True)
class Arrival:
    """What the provider received and made: the JSON bodies, and the pixels of each picture."""

    bodies: Sequence[Mapping[str, Any]]
    made: Sequence[Size]

    def values(self, names: frozenset[str]) -> list[Any]:
        """The values of all fields of these names, at any depth, in every body."""
        return [value for body in self.bodies for value in _values(body, names)]


def _values(body: Any, names: frozenset[str]) -> Iterator[Any]:
    for name, value in body.items():
        if name in names:
            yield value
        elif isinstance(value, dict):
            yield from _values(value, names)


def family(model: str) -> str:
    """What the variants of a model have in common: ModelVerse chooses among them by the number of input pictures."""
    return model.removesuffix("/text-to-image").removesuffix("/multi")


def degraded(arrival: Arrival, shape: str, said: Mapping[str, Any], pictures: Sequence[Image.Image]) -> set[str]:
    """The names of the parameters that the client did not get precisely as said."""
    found = {name for name in ALIASES if name in said and not _arrived(name, said[name], arrival)}
    found |= _shape_degraded(arrival, shape, said, pictures[0].size)
    if said.get("seed", -1) != -1 and not arrival.values(frozenset({"seed"})):
        found.add("seed")
    if said.get("output_compression", 100) != 100 and said.get("output_format", "png") in ("png", "gif"):
        found.add("output_compression")
    if said.get("background") == "transparent" and not _transparent(arrival, said):
        found.add("background")
    return found | ({"quality"} if _quality_is_lost(arrival, said) else set())


def _arrived(name: str, value: Any, arrival: Arrival) -> bool:
    wanted = int(value) if name == "safety_tolerance" else value
    got = arrival.values(ALIASES[name])
    return bool(got) and all(each == wanted for each in got)


def _transparent(arrival: Arrival, said: Mapping[str, Any]) -> bool:
    asked = arrival.values(frozenset({"background"}))
    return said.get("output_format") != "jpeg" and asked == ["transparent"] * len(arrival.bodies)


def _quality_is_lost(arrival: Arrival, said: Mapping[str, Any]) -> bool:
    quality = said.get("quality", "auto")
    words = arrival.values(frozenset({"quality"}))
    if quality == "auto":
        return False
    if words:
        return not set(words) <= {quality, {"hd": "high"}.get(quality, quality)}
    steps = arrival.values(ALIASES["steps"])
    return not steps or "steps" in said or quality == "max"


def takes_pixels(arrival: Arrival) -> bool:
    """Whether the provider was asked for pixels, and not for a ratio or one of three sizes."""
    if arrival.values(frozenset({"width"})):
        return True
    model = str(arrival.bodies[0].get("model"))
    three_sizes = re.match(r"gpt-image-1(\.5|-mini)?$", model) is not None
    return not three_sizes and any("x" in str(size) for size in arrival.values(frozenset({"size"})))


def size_due(arrival: Arrival, shape: str) -> Size | None:
    """The pixels that must be delivered; None where a wish is met by what the provider has."""
    if shape in EXACT:
        return EXACT[shape]
    return None if shape in TABLE and takes_pixels(arrival) else arrival.made[0]


def _shape_degraded(arrival: Arrival, shape: str, said: Mapping[str, Any], got: Size) -> set[str]:
    names = {name for name in ("size", "width", "height", "aspect_ratio", "resolution") if name in said}
    if shape in EXACT:
        enlarged = any(made[side] < EXACT[shape][side] for made in arrival.made for side in (0, 1))
        return names if enlarged else set()
    if shape not in TABLE:
        return set()
    if takes_pixels(arrival):
        # Pixels are given exactly or not at all: a scale that is nearly reached is missed.
        return set() if got == TABLE[shape] else _missed(shape, names, got) or names & {"resolution"} or names
    return _missed(shape, names, got)


def _missed(shape: str, names: set[str], got: Size) -> set[str]:
    """The wishes that a picture of these pixels misses."""
    missed = set()
    if _apart(Fraction(*got), RATIOS[shape]) > GRID_TOLERANCE:
        missed |= names - {"resolution"}
    if "resolution" in names and _apart(Fraction(got[0] * got[1]), AREAS[shape]) > AREA_TOLERANCE:
        missed.add("resolution")
    return missed


def _apart(one: Fraction, other: Fraction) -> Fraction:
    return max(one / other, other / one)
