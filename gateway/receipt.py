"""The receipt of what really happened: the plan's entries, put right by the pictures that came back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from gateway.outcome import Delivered, Outcome, Part
from normalization.plan import Plan
from normalization.planner import SHAPELESS
from normalization.table import distance
from normalization.vocabulary import Applied, Behavior, ImageRequest, Size

SHAPE_NAMES = frozenset({"size", "width", "height", "aspect_ratio", "resolution"})
RATIO_TOLERANCE = Fraction(103, 100)
"""Providers round a named ratio to their own grid of pixels; up to 3 % is that ratio still."""
SCALE_TOLERANCE = Fraction(3, 2)
"""In area: the nearest tier would be another one beyond the square of 2^(1/4)."""


def receipt(outcome: Outcome, request: ImageRequest) -> tuple[tuple[Applied, ...], tuple[str, ...]]:
    """The entries as they came true, and the repairs that were made, in words."""
    plan = outcome.main.plan
    pictures = outcome.pictures
    promised = request.shape.size is not None
    entries = tuple(_truth(entry, plan, pictures, promised=promised) for entry in plan.applied)
    for part in outcome.parts:
        if part.images and (part.plan.provider, part.plan.model) != (plan.provider, plan.model):
            entries = _with_notes_of(part, entries, len(pictures))
    if any(picture.flattened for picture in pictures) and request.background != "opaque":
        note = f"{request.output_format} holds no transparency: flattened on white"
        entries = tuple(
            replace(entry, note=note) if entry.name == "output_format" and entry.note is None else entry
            for entry in entries
        )
    return entries, tuple(dict.fromkeys(_repairs(outcome)))


def _with_notes_of(part: Part, entries: tuple[Applied, ...], total: int) -> tuple[Applied, ...]:
    """Some of the pictures came by another route: what the caller did not get precisely in those is told of too."""
    came = tuple(picture for result in part.results for picture in result.pictures.values())
    promised = part.candidate.request.shape.size is not None
    truths = (_truth(entry, part.plan, came, promised=promised) for entry in part.plan.applied)
    notes = {
        entry.name: f"{part.images} of {total} came from {part.plan.provider}: {entry.note}"
        for entry in truths
        if entry.note is not None
    }
    return tuple(replace(entry, note=entry.note or notes.get(entry.name)) for entry in entries)


def _truth(entry: Applied, plan: Plan, pictures: tuple[Delivered, ...], *, promised: bool) -> Applied:
    if entry.name == "mask" and plan.finish.composite is not None:
        return _laid(entry, plan.finish.composite.original.size, pictures)
    if entry.behavior is Behavior.DROPPED or entry.name not in SHAPE_NAMES:
        return entry
    if plan.finish.fit is not None:
        return _enlarging(entry, pictures, promised=promised)
    if plan.finish.composite is not None or entry.requested in SHAPELESS:
        return entry
    if plan.yields is not None and entry.note is None:
        return _wish(entry, plan.yields, pictures)
    return entry


def _enlarging(entry: Applied, pictures: tuple[Delivered, ...], *, promised: bool) -> Applied:
    """The size was reached by enlarging, or not, whatever the plan expected."""
    if entry.requested in SHAPELESS:
        return entry
    small = next((picture.source_size for picture in pictures if picture.enlarged), None)
    if small is None:
        return replace(entry, note=None) if promised else entry
    return entry if entry.note else replace(entry, note=f"the provider delivered {small}: the picture is enlarged")


def _laid(entry: Applied, original: Size, pictures: tuple[Delivered, ...]) -> Applied:
    """An edit had to be enlarged to be laid into its original, or not; what is done to both of them afterwards is not
    the mask's."""
    sources = (picture.source_size for picture in pictures)
    small = next((each for each in sources if each is not None and not _covers(each, original)), None)
    if small is None:
        return replace(entry, note=None)
    return entry if entry.note else replace(entry, note=f"the provider delivered {small}: the picture is enlarged")


def _covers(one: Size, other: Size) -> bool:
    return one.width >= other.width and one.height >= other.height


def _wish(entry: Applied, expected: Size, pictures: tuple[Delivered, ...]) -> Applied:
    got = next((picture.size for picture in pictures), expected)
    if entry.name in ("aspect_ratio", "size") and distance(got.ratio.value, expected.ratio.value) > RATIO_TOLERANCE:
        return replace(entry, note=f"the provider delivered {got}")
    scale = distance(Fraction(got.pixels), Fraction(expected.pixels))
    if entry.name == "resolution" and scale > SCALE_TOLERANCE:
        return replace(entry, note=f"the provider delivered {got}")
    return entry


def _repairs(outcome: Outcome) -> Iterable[str]:
    """What a provider gave that was not what it had been asked for, and was put right."""
    for part in outcome.parts:
        yields = part.plan.yields
        for result in part.results:
            for picture in result.pictures.values():
                if yields is not None and picture.source_size not in (None, yields, picture.size):
                    yield f"size: {picture.source_size} came instead of {yields}"
                asked = part.plan.finish.source
                if asked is not None and picture.source_format not in (None, asked):
                    yield f"output_format: {picture.source_format} came instead of {asked}"
                if picture.flattened and part.plan.finish.opaque:
                    yield "background: transparent parts were laid on white"
                if picture.repair is not None:
                    yield picture.repair
            if result.surplus:
                yield f"n: {result.surplus} more than asked for were left out"
            if result.missing and result.pictures:
                yield f"n: {len(result.missing)} of {len(result.places)} did not come"
