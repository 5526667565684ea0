"""The table language: what a provider's model does with each parameter, decided by value.

A `Row` is an ordered tuple of `Way`s. The first way that accepts *this value* answers, and its kind is what the
caller is told: png passes, jpeg is converted to "jpg", avif is emulated. A `Profile` holds one row for every name in
`ROWS`, or importing it fails: a parameter that nobody thought about cannot be lost in silence.

Wire fields are dotted paths into the JSON payload: `"fluxParams.seed"`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal

from normalization.geometry import Offers
from normalization.vocabulary import Behavior, Format

ROWS = (
    "prompt",
    "negative_prompt",
    "seed",
    "quality",
    "steps",
    "guidance",
    "strength",
    "style",
    "background",
    "moderation",
    "input_fidelity",
    "safety_tolerance",
    "prompt_upsampling",
    "enable_safety_checker",
    "sync_mode",
    "user",
    "safety_identifier",
)
"""Attributes of `ImageRequest` that a row decides, in the order in which they are written: where two write the same
field, the later one is the more specific and wins (`steps` over `quality`). Shape, count, output format and pictures
have machinery of their own in `Profile`."""

MEANS_DEFAULT: Mapping[str, frozenset[Any]] = {
    "quality": frozenset({"auto"}),
    "background": frozenset({"auto"}),
    "moderation": frozenset({"auto"}),
    "prompt_upsampling": frozenset({False}),
}
"""Values that ask for what happens anyway: where a provider lacks the parameter, nothing is lost."""

NEVER_DEGRADED = frozenset({"user", "safety_identifier", "enable_safety_checker", "sync_mode"})
"""Names whose absence upstream changes nothing about the picture, so that no note is due (docs/normalization.md)."""

EDIT_ONLY = frozenset({"strength", "input_fidelity"})
"""Names that mean something only where there are input pictures."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to treat a value. `takes` None accepts every value; `using` turns the value into the wire's.

    `also` are constant fields without which the provider would ignore this one. `why` is the note for the caller,
    either a text or a function of the value; a way without `why` gives precisely what was asked. `domain` says for the
    documentation which values it takes, such as "15 to 50".
    """

    kind: Behavior
    to: str | None = None
    takes: Callable[[Any], bool] | None = None
    using: Callable[[Any], Any] | None = None
    also: tuple[tuple[str, Any], ...] = ()
    why: str | Callable[[Any], str] | None = None
    domain: str | None = None

    def accepts(self, value: Any) -> bool:
        return self.takes is None or self.takes(value)

    def wire(self, value: Any) -> Any:
        return value if self.using is None else self.using(value)

    def note(self, value: Any) -> str | None:
        return self.why(value) if callable(self.why) else self.why


Row = tuple[Way, ...]


def same(to: str) -> Row:
    """The provider's own field of the same meaning and value; reported as passthrough where even the name is ours."""
    return (Way(Behavior.RENAMED, to),)


def converted(to: str, using: Callable[[Any], Any], *, also: tuple[tuple[str, Any], ...] = ()) -> Row:
    """Another spelling of precisely the same meaning."""
    return (Way(Behavior.CONVERTED, to, using=using, also=also),)


def one_of(to: str, words: Mapping[Any, Any], otherwise: Row) -> Row:
    """Values that the provider spells in words of its own; any other value goes the way of `otherwise`."""
    return (
        Way(Behavior.RENAMED, to, takes=lambda value: value in words and words[value] == value),
        Way(Behavior.CONVERTED, to, takes=lambda value: value in words, using=lambda value: words[value]),
        *otherwise,
    )


def within(to: str, least: float, most: float) -> Row:
    """A number that the provider takes between `least` and `most`; others are clamped, with a note, never rescaled."""

    def clamp(value: float) -> float:
        return min(max(value, least), most)

    domain = f"{_spelled(least)} to {_spelled(most)}"
    return (
        Way(Behavior.RENAMED, to, takes=lambda value: least <= value <= most, domain=domain),
        Way(
            Behavior.CONVERTED,
            to,
            using=clamp,
            why=lambda value: f"the provider takes {domain}: {_spelled(clamp(value))} is sent",
        ),
    )


def _spelled(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"


def unsupported(why: str) -> Row:
    """No faithful way exists: the value is dropped and the caller is told `why`."""
    return (Way(Behavior.DROPPED, why=why),)


def emulated() -> Row:
    """The gateway itself gives what was asked."""
    return (Way(Behavior.EMULATED),)


@dataclass(frozen=True, slots=True)
class Count:
    """How many pictures one call can make. `batch_seeds` says that picture k of a batch with seed s is the picture of
    seed s + k made alone; elsewhere a seeded request is split into single calls, so that each can be made again."""

    to: str | None = None
    most: int = 1
    batch_seeds: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """Which file formats the provider makes (`names`: ours to its word), and where it wants to be told.

    `always` asks for a format even where the caller said none, because the provider's own default is not png.
    `quality_to` takes an encoder quality, 0..100 with 100 best.
    """

    to: str | None = None
    names: Mapping[Format, str] = field(default_factory=lambda: {Format.PNG: "png"})
    always: bool = False
    quality_to: str | None = None


INPUT_MEGAPIXELS_MOST = 4
"""Megapixels of an input picture that are charged at most. Source: the pricing notes of the FLUX.2 models at
lumenfall.ai: rounded up for each reference and the output alone, at least 1 each, "images exceeding 4 megapixels are
resized to 4 megapixels"."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars. Several parts add up: "7 cents for the first megapixel, 3 for each further one" is 4 for the picture
    and 3 for each megapixel.

    Megapixels are counted up to the next whole one, for each picture; those of an input picture up to
    `INPUT_MEGAPIXELS_MOST`. Input pictures are counted for every submission, since each sends them again; a mask is
    not counted.
    """

    usd_per_image: Decimal | None = None
    usd_per_megapixel: Decimal | None = None
    usd_per_request: Decimal | None = None
    usd_per_input_image: Decimal | None = None
    usd_per_input_megapixel: Decimal | None = None

    @property
    def parts(self) -> Mapping[str, Decimal]:
        """The parts that are set, by their names."""
        named = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: usd for name, usd in named if usd is not None}

    @property
    def free(self) -> bool:
        return not any(self.parts.values())


FREE = Price(usd_per_image=Decimal(0))


@dataclass(frozen=True, slots=True)
class Profile:
    """All that a plan needs to know about one model of one provider.

    Raises ValueError when built with a parameter missing from `rows`, or with a row whose last way is conditional.
    """

    provider: str
    """The adapter's type, such as `apiframe`."""
    model: str
    """The provider's own model id."""
    rows: Mapping[str, Row]
    offers: Offers
    constants: tuple[tuple[str, Any], ...] = ()
    output: Output = field(default_factory=Output)
    count: Count = field(default_factory=Count)
    extra: Literal["forward", "drop"] = "drop"
    extra_under: str | None = None
    """The payload's object that extras and provider_options are merged into; None = the top level."""
    tolerates: frozenset[str] = frozenset()
    """Extras that are forwarded even where `extra` is "drop": the provider's own words that we have none for."""
    reserved: frozenset[str] = frozenset()
    """Wire names that extras and provider_options may not set, besides `RESERVED` and the payload's own objects."""
    operations: tuple[Literal["generate", "edit"], ...] = ("generate",)
    input_images_max: int = 0
    hosted: bool = False
    """Input pictures go as URLs that the provider fetches."""
    mask: Literal["native", "emulated"] | None = None
    mask_keeps: bool = True
    """With a native mask, what it does not show is the provider's to keep. Otherwise the picture is laid back here."""
    prompt_optional: bool = False
    """An edit can do without a prompt."""
    prompt_max: int | None = None
    """Characters of prompt that the provider takes; a longer one is for another route (docs/normalization.md)."""
    price: Price | None = None
    needs_seed: bool = False
    """The provider draws no seed of its own: where the caller says none, 0 is sent."""
    shows_partials: bool = False
    """The provider is known to show pictures in between, to whoever follows a stream."""
    notes: str = ""

    @property
    def lays_back(self) -> bool:
        """What a mask does not show stays exactly as it was, because the picture is laid back into its original here.
        What a provider keeps by itself is no promise: it may follow a mask roughly, and code the picture anew."""
        return not (self.mask == "native" and self.mask_keeps)

    def __post_init__(self) -> None:
        missing = [name for name in ROWS if not self.rows.get(name)]
        unknown = [name for name in self.rows if name not in ROWS]
        open_ended = [name for name, row in self.rows.items() if row and row[-1].takes is not None]
        if missing or unknown or open_ended:
            raise ValueError(
                f"profile {self.provider}/{self.model}: rows missing {missing}, unknown {unknown}, "
                f"without a last unconditional way {open_ended}"
            )


RESERVED = frozenset(
    {
        "apikey",
        "authorization",
        "callback",
        "callbackurl",
        "count",
        "fluxparams",
        "image",
        "images",
        "imagelist",
        "imageurl",
        "imageurls",
        "inputimage",
        "inputimages",
        "inputreferences",
        "key",
        "mask",
        "maskimage",
        "maskurl",
        "megapixels",
        "model",
        "n",
        "numberofimages",
        "numimages",
        "numoutputs",
        "prompt",
        "promptobject",
        "responseformat",
        "samplecount",
        "secret",
        "size",
        "stream",
        "syncmode",
        "token",
        "type",
        "webhook",
        "webhookevents",
        "webhooksecret",
        "webhookurl",
        "width",
        "height",
        "xapikey",
    }
)
"""What an adapter sets or bills by, in any spelling: lower case, letters and digits only."""


def bare(name: str) -> str:
    """A field name for comparison: `X-API-Key` and `x_api_key` are the same key."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
