"""The words of the house: what a caller asked for, as frozen values that every room shares.

`None` always means "not said". Sizes are in pixels, ratios are width:height, `MEGAPIXEL` is 1024 x 1024 pixels.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd
from typing import Any, Literal, Protocol

MEGAPIXEL = 1024 * 1024
"""Pixels of a megapixel as the field counts it: 1 MP is the area of 1024 x 1024."""

Operation = Literal["generate", "edit"]


class Behavior(enum.StrEnum):
    """What became of one parameter's value on its way to a provider (docs/normalization.md)."""

    PASSTHROUGH = "passthrough"
    RENAMED = "renamed"
    CONVERTED = "converted"
    EMULATED = "emulated"
    DROPPED = "dropped"


class Format(enum.StrEnum):
    """A picture's file format, by OpenAI's name for it."""

    PNG = "png"
    JPEG = "jpeg"
    GIF = "gif"
    WEBP = "webp"
    AVIF = "avif"

    @property
    def lossless(self) -> bool:
        """True where the encoder has no quality to choose."""
        return self in (Format.PNG, Format.GIF)

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"

    @property
    def extension(self) -> str:
        return "jpg" if self is Format.JPEG else self.value

    @property
    def transparent(self) -> bool:
        """True where the format can hold transparency."""
        return self is not Format.JPEG


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels, width first."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def ratio(self) -> Ratio:
        return Ratio(self.width, self.height)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Width to height as two positive whole numbers, kept in lowest terms: `Ratio(1920, 1080) == Ratio(16, 9)`."""

    a: int
    b: int

    def __post_init__(self) -> None:
        divisor = gcd(self.a, self.b)
        object.__setattr__(self, "a", self.a // divisor)
        object.__setattr__(self, "b", self.b // divisor)

    @property
    def value(self) -> Fraction:
        return Fraction(self.a, self.b)

    def __str__(self) -> str:
        return f"{self.a}:{self.b}"


@dataclass(frozen=True, slots=True)
class Tier:
    """A wish for scale: the area in pixels (exact), and how the caller or the provider spells it ("2K", "1 MP")."""

    area: Fraction
    name: str

    @staticmethod
    def k(text: str) -> Tier:
        """Tier k K is the area of a square of 1024k pixels a side: `Tier.k("0.5")` is 0.5K."""
        return Tier(Fraction(text) ** 2 * MEGAPIXEL, f"{text}K")

    @staticmethod
    def megapixels(text: str, name: str | None = None) -> Tier:
        return Tier(Fraction(text) * MEGAPIXEL, name or f"{text} MP")


@dataclass(frozen=True, slots=True)
class Shape:
    """`size`, `aspect_ratio`, `resolution`, `width` and `height` as one value with one precedence.

    `size` is exact pixels, a promise. Without it `ratio`, `tier` and `match_input` are wishes.
    `said` holds what the caller wrote and what rules, in order, such as `("size", "1000x777")`. Values that mean
    "not said" (`auto`) stand in `said` alone.
    """

    size: Size | None = None
    ratio: Ratio | None = None
    tier: Tier | None = None
    match_input: bool = False
    said: tuple[tuple[str, Any], ...] = ()


class Content(Protocol):
    """The bytes of a picture, in memory or in a file: read in slices where that will do, so that a picture of many
    megabytes need not be held."""

    @property
    def length(self) -> int:
        """Bytes."""
        ...

    def slices(self, most: int) -> Iterator[bytes]:
        """All bytes in order, at most `most` at a time."""
        ...

    def read(self) -> bytes:
        """All bytes at once."""
        ...

    def close(self) -> None:
        """Let go of them: nobody reads them any more."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """Content in memory."""

    data: bytes

    @property
    def length(self) -> int:
        return len(self.data)

    def slices(self, most: int) -> Iterator[bytes]:
        for start in range(0, len(self.data), most):
            yield self.data[start : start + most]

    def read(self) -> bytes:
        return self.data

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Picture:
    """An input picture or mask, oriented upright and stripped of metadata. Two are equal when their bytes are."""

    content: Content = field(repr=False, compare=False)
    format: Format
    size: Size
    sha256: str
    """Of the content, in lower-case hexadecimal."""

    def entry(self) -> dict[str, Any]:
        """How a picture is shown: by its fingerprint, never by its bytes."""
        return {"sha256": self.sha256, "bytes": self.content.length}


@dataclass(frozen=True, slots=True)
class Superseded:
    """A parameter that the caller wrote and that lost to a more specific one, named by `by`."""

    name: str
    value: Any
    by: str


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What the caller asked for, read once at the door. Every `None` means "not said".

    `output_format` is never None: the door fills in the endpoint's default, and `said` tells which names the
    caller really wrote, with the values as written (`{"output_format": "jpg"}`).
    """

    prompt: str
    model: str
    """The model's name as the caller wrote it, or the default model's."""
    operation: Operation = "generate"
    n: int = 1
    shape: Shape = field(default_factory=Shape)
    output_format: Format = Format.PNG
    encoder_quality: int | None = None
    """0..100, 100 = best: `output_quality`, else `output_compression`."""
    seed: int | None = None
    """0..2**32-1; None = not said or random."""
    draw: int = 0
    """A number drawn at the door when the caller asked for a random seed (-1), for providers that draw none."""
    negative_prompt: str | None = None
    steps: int | None = None
    guidance: float | None = None
    strength: float | None = None
    quality: str | None = None
    style: str | None = None
    background: str | None = None
    moderation: str | None = None
    input_fidelity: str | None = None
    safety_tolerance: int | None = None
    prompt_upsampling: bool | None = None
    enable_safety_checker: bool | None = None
    sync_mode: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    pictures: tuple[Picture, ...] = ()
    mask: Picture | None = None
    said: Mapping[str, Any] = field(default_factory=dict)
    superseded: tuple[Superseded, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that we do not know, for upstreams that tolerate them."""
    provider_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By configured provider name: what reaches that provider only, merged last."""


@dataclass(frozen=True, slots=True)
class Applied:
    """One entry of the normalization receipt. `note` is present exactly when the caller does not get what was asked."""

    name: str
    behavior: Behavior
    requested: Any
    sent: Any
    note: str | None = None

    def entry(self) -> dict[str, Any]:
        said = {"name": self.name, "behavior": self.behavior.value, "requested": self.requested, "sent": self.sent}
        return said if self.note is None else {**said, "note": self.note}
