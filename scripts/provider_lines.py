"""What one model does with each parameter, as lines of a table: asked of the planner with values of every kind, so that
a line says what a request would meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from normalization.capabilities import behaviors
from normalization.geometry import Grid, Offers
from normalization.parameters import BY_NAME, Parameter
from normalization.planner import plan
from normalization.reading import read
from normalization.rules import EDIT_ONLY, NEVER_DEGRADED, ROWS, Profile
from normalization.vocabulary import Applied, Behavior, Format, Operation, Size
from scripts.markdown import code

SHAPE_VALUES = {
    "size": ("64x64", "4096x4096"),
    "aspect_ratio": ("21:9", "4:3", "1:8"),
    "resolution": ("0.5K", "4K"),
}
"""Wishes that many a provider cannot meet to the letter."""

SEED_MOST = 2**32 - 1

ANY = "any"


@dataclass(frozen=True, slots=True)
class Note:
    """What callers of these values are told; no values = of all."""

    text: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{code(self.values)}: {self.text}" if self.values else self.text


@dataclass(frozen=True, slots=True)
class Line:
    """Parameters with one fate. `fields` are the places on the wire, `takes` says which values go there and how."""

    names: tuple[str, ...]
    behavior: str
    fields: tuple[str, ...]
    takes: str = ANY
    notes: tuple[Note, ...] = ()

    @property
    def dropped(self) -> bool:
        return self.behavior == Behavior.DROPPED and not self.fields

    @property
    def kept_here(self) -> bool:
        """Nothing about the picture depends on it, and the provider has no field for it."""
        return self.behavior == Behavior.EMULATED and set(self.names) <= NEVER_DEGRADED


def lines(profile: Profile, operation: Operation = "generate") -> list[Line]:
    """Every parameter that a profile decides: the prompt, the shape, how many, the rest, the format."""
    found = behaviors(profile)
    names = [name for name in ROWS if operation == "edit" or name not in EDIT_ONLY]
    prompt, *rows = [_row(profile, name, found[name], operation) for name in names]
    return [prompt, *_shape(profile, found, operation), _count(profile, found["n"]), *rows, *_output(profile, found)]


def entry(profile: Profile, name: str, value: Any, operation: Operation) -> Applied:
    """The receipt of one parameter of a request that says it alone."""
    request = read({"prompt": "a red fox", name: value}, default_model="m", operation=operation).request
    (found,) = [each for each in plan(request, profile, name="p").applied if each.name == name]
    return found


def values(parameter: Parameter) -> tuple[Any, ...]:
    """Values that show all that a row can do with a parameter: its words, or its bounds."""
    match parameter.kind:
        case "choice":
            return parameter.choices
        case "boolean":
            return (True, False)
        case "integer" | "number":
            least = max(parameter.least or 0, 0) + (0.01 if parameter.least_excluded else 0)
            return (least, SEED_MOST if parameter.most is None else parameter.most)
        case _:
            return ("a text",)


def _row(profile: Profile, name: str, behavior: str, operation: Operation) -> Line:
    parameter, row = BY_NAME[name], profile.rows[name]
    told = [(value, entry(profile, name, value, operation)) for value in values(parameter)]
    also = dict(pair for way in row for pair in way.also)
    fields = dict.fromkeys([*(way.to for way in row if way.to), *also])
    takes = row[0].domain or ANY
    if parameter.kind in ("choice", "boolean"):
        takes = _words([(value, each) for value, each in told if each.note is None]) or ANY
    if name == "prompt" and profile.prompt_max is not None:
        takes = f"at most {profile.prompt_max} characters; a longer one is for another route"
    beside = [f"with `{path}` {value}" for path, value in also.items()]
    return Line((name,), behavior, tuple(fields), ", ".join([takes, *beside]), _notes(told))


def _words(told: Sequence[tuple[Any, Applied]]) -> str:
    """Words of ours and what they become: the same, another, made here, or nothing because they ask for nothing."""
    same = [_json(value) for value, each in told if each.sent == value]
    other = [f"`{_json(value)}` as `{_json(each.sent)}`" for value, each in told if each.sent not in (None, value)]
    silent = [(_json(value), each.behavior) for value, each in told if each.sent is None]
    made = [value for value, behavior in silent if behavior is Behavior.EMULATED]
    nothing = [value for value, behavior in silent if behavior is not Behavior.EMULATED]
    parts = [", ".join(filter(None, [code(same), *other]))]
    parts += [f"{code(made)} made here"] if made else []
    parts += [f"{code(nothing)} by sending nothing"] if nothing else []
    return "; ".join(filter(None, parts))


def _json(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _notes(told: Sequence[tuple[Any, Applied]]) -> tuple[Note, ...]:
    """Each note once, with the values that meet it; a note that all meet needs none named."""
    found: dict[str, list[str]] = {}
    for value, each in told:
        if each.note is not None:
            found.setdefault(each.note, []).append(_json(value))
    return tuple(Note(text, () if len(those) == len(told) else tuple(those)) for text, those in found.items())


def _shape(profile: Profile, found: dict[str, str], operation: Operation) -> Iterator[Line]:
    offers = profile.offers
    pixels = tuple(dict.fromkeys(path for fields in _written(offers) for path in fields))
    ratio = () if offers.ratios is None else (offers.ratios.to,)
    tier = () if offers.ratios is None or not offers.ratios.tiers else tuple(filter(None, (offers.ratios.tier_to,)))
    named = (*ratio, *tier)

    def told(name: str) -> tuple[Note, ...]:
        return _notes([(value, entry(profile, name, value, operation)) for value in SHAPE_VALUES[name]])

    names = ("size", "width", "height")
    for behavior in dict.fromkeys(found[name] for name in names):
        same = tuple(name for name in names if found[name] == behavior)
        yield Line(same, behavior, pixels or named, _exact(offers), told("size") if "size" in same else ())
    for name, by_name, words in (("aspect_ratio", ratio, _ratio(offers)), ("resolution", tier, _scale(offers))):
        fields = tuple(dict.fromkeys((*pixels, *by_name)))
        yield Line((name,), found[name], fields, words or ANY, told(name))


def _written(offers: Offers) -> list[tuple[str, ...]]:
    return [tuple(each.write(Size(1024, 1024))) for each in (offers.grid, offers.sizes) if each is not None]


def _exact(offers: Offers) -> str:
    """What is asked for where pixels are."""
    if offers.grid is not None:
        return _bounds(offers.grid)
    if offers.sizes is not None:
        return f"one of {code(offers.sizes.sizes)}"
    return "made here of what comes" if offers.ratios is None else "by the nearest ratio"


def _ratio(offers: Offers) -> str:
    """What is asked for where a ratio is."""
    ratios = "" if offers.ratios is None else code(offers.ratios.names)
    if offers.grid is not None:
        return "by pixels" + (f"; beyond them one of {ratios}" if ratios else "")
    sizes = "" if offers.sizes is None else code(offers.sizes.sizes)
    return f"nearest of {ratios or sizes}" if ratios or sizes else ""


def _scale(offers: Offers) -> str:
    """What is asked for where a resolution is."""
    tiers = "" if offers.ratios is None else code(tier.name for tier in offers.ratios.tiers)
    if offers.grid is not None:
        return "by pixels" + (f"; beyond them one of {tiers}" if tiers else "")
    if offers.sizes is not None:
        return f"nearest of {code(offers.sizes.sizes)}"
    only = offers.ratios is not None and offers.ratios.tier_to is None
    return "" if not tiers else f"always {tiers}" if only else f"nearest of {tiers}"


def _bounds(grid: Grid) -> str:
    sides = f"sides of {grid.least} to {grid.most}"
    parts = [sides if grid.multiple == 1 else f"{sides} in steps of {grid.multiple}"]
    if grid.pixels_least is not None:
        parts.append(f"at least {grid.pixels_least:,} pixels")
    if grid.pixels_most is not None:
        parts.append(f"at most {grid.pixels_most:,} pixels")
    if grid.ratio_most is not None:
        parts.append(f"at most {grid.ratio_most}:1")
    return ", ".join(parts)


def _count(profile: Profile, behavior: str) -> Line:
    count = profile.count
    if count.to is None:
        return Line(("n",), behavior, (), "a call for each picture")
    seeded = profile.rows["seed"][0].to is not None and not count.batch_seeds
    alone = "; with a seed a call for each picture" if seeded else ""
    return Line(("n",), behavior, (count.to,), f"up to {count.most} a call{alone}")


def _output(profile: Profile, found: dict[str, str]) -> Iterator[Line]:
    output = profile.output
    told = ", ".join(f"`{ours}`" if ours == word else f"`{ours}` as `{word}`" for ours, word in output.names.items())
    here = [each for each in Format if each not in output.names]
    always = ", asked for even where nothing is said" if output.always else ""
    takes = f"{told}{always}" if output.to else f"{told or 'one of its own'} comes unasked"
    made = f"; {code(here)} made here" if here else ""
    yield Line(("output_format",), found["output_format"], (output.to,) if output.to else (), f"{takes}{made}")
    quality = (output.quality_to,) if output.quality_to else ()
    names = ("output_quality", "output_compression")
    takes = "0 to 100, 100 the best, unless the picture is encoded here" if quality else "encoded here"
    for behavior in dict.fromkeys(found[name] for name in names):
        yield Line(tuple(name for name in names if found[name] == behavior), behavior, quality, takes)
