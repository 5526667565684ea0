"""A plan as a value: the exact payloads, the finishing steps and the receipt, before a byte is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from normalization.vocabulary import Applied, Format, Operation, Picture, Size


@dataclass(frozen=True, slots=True)
class Composite:
    """An edit laid back into the picture that was edited: `mask` is transparent where the edit shows, and has the
    size of `original`, as the result has."""

    original: Picture
    mask: Picture


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done to each picture that comes back.

    `composite`: first lay the picture, at the original's size, into the original.
    `fit`: deliver exactly this size. An overshoot of less than `slack` pixels on each side is cut off at the centre;
    otherwise the picture is cropped to the ratio and then resized. None = as it comes.
    `format`: deliver this format. `quality`: 0..100 as the caller means it (100 = best), None = the house default.
    `force`: encode even when the format already matches, because the caller named a quality that the provider
    did not apply. `opaque`: the caller asked for an opaque background. `source`: the format that the provider was
    asked for; None where it was asked for none. `thumbnail`: of the same pixels make a small WebP too, whose longer
    side has at most so many.
    """

    format: Format
    fit: Size | None = None
    slack: int = 0
    quality: int | None = None
    force: bool = False
    opaque: bool = False
    source: Format | None = None
    composite: Composite | None = None
    thumbnail: int | None = None

    def steps(self) -> list[dict[str, Any]]:
        """The steps as the dry run shows them, in order."""
        steps: list[dict[str, Any]] = []
        if self.composite is not None:
            parts = {"original": self.composite.original.entry(), "mask": self.composite.mask.entry()}
            steps.append({"step": "composite", **parts})
        if self.fit is not None:
            steps.append({"step": "fit", "width": self.fit.width, "height": self.fit.height})
        if self.opaque:
            steps.append({"step": "flatten", "background": "white"})
        steps.append(
            {
                "step": "encode",
                "format": self.format.value,
                "quality": self.quality,
                "unless": None if self.force else f"already {self.format.value}",
            }
        )
        if self.thumbnail is not None:
            steps.append({"step": "thumbnail", "format": Format.WEBP.value, "side": self.thumbnail})
        return steps


@dataclass(frozen=True, slots=True)
class Call:
    """One submission. `payload` is the exact JSON body, pictures left out.

    `places` are the positions of its pictures in the answer, in order; `seeds` the seed of each, None = unknown.
    """

    payload: Mapping[str, Any]
    places: tuple[int, ...]
    seeds: tuple[int | None, ...]
    operation: Operation = "generate"
    pictures: tuple[Picture, ...] = ()
    mask: Picture | None = None
    previews: int | None = None
    """Pictures in between that somebody waits for, of each; None = nobody follows the work."""
    previews_format: Format | None = None
    """The format that they are delivered in; None = as they come."""

    @property
    def images(self) -> int:
        return len(self.places)


@dataclass(frozen=True, slots=True)
class Component:
    """One line of a cost estimate: how many of what, at how many US dollars each.

    `quantities` holds one number for each submission. Each is charged, and so rounded to a whole micro-dollar (a
    millionth of a US dollar), on its own: what a plan costs is exactly what its submissions cost one by one.
    """

    type: Literal["output", "input", "request"]
    metric: Literal["image", "megapixel", "request"]
    quantities: tuple[int, ...]
    unit_price: Decimal

    @property
    def quantity(self) -> int:
        return sum(self.quantities)

    @property
    def micros(self) -> int:
        return sum(int((each * self.unit_price * 1_000_000).to_integral_value()) for each in self.quantities)

    def entry(self) -> dict[str, Any]:
        """The line as a dry run shows it: `unit_price` in US dollars, `total_cost` in micro-dollars."""
        return {
            "type": self.type,
            "metric": self.metric,
            "quantity": self.quantity,
            "billable_quantity": self.quantity,
            "unit_price": float(self.unit_price),
            "total_cost": self.micros,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be sent, to whom, and what becomes of each parameter. Equal requests and profiles give equal plans."""

    provider: str
    """The configured provider's name."""
    model: str
    """The provider's own model id."""
    calls: tuple[Call, ...]
    finish: Finish
    applied: tuple[Applied, ...]
    yields: Size | None = None
    """Pixels that each picture should come back with; None where the provider does not say."""
    components: tuple[Component, ...] | None = None
    """What it should cost; None = the price is unknown, which is never 0."""

    def followed(self, previews: int | None) -> Plan:
        """The plan, for somebody who waits for so many pictures in between; None = nobody follows the work."""
        form = None if previews is None else self.finish.format
        calls = (replace(call, previews=previews, previews_format=form) for call in self.calls)
        return replace(self, calls=tuple(calls))

    def with_thumbnails(self, side: int | None) -> Plan:
        """The plan, for somebody who wants a thumbnail of each picture too; None = nobody does."""
        return replace(self, finish=replace(self.finish, thumbnail=side))

    @property
    def lossless(self) -> bool:
        return all(entry.note is None for entry in self.applied)

    @property
    def cost_micros(self) -> int | None:
        return None if self.components is None else sum(part.micros for part in self.components)
