"""Rows that more than one provider has, and the reasons for those that a provider lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from normalization.geometry import Grid
from normalization.rules import Row, Way, one_of, same, unsupported
from normalization.vocabulary import Behavior, Size, Tier

THREE_SIZES = (Size(1024, 1024), Size(1536, 1024), Size(1024, 1536))
"""All that GPT Image 1 makes."""

NINE_RATIOS = ("1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3")
"""The ratios of FLUX.2 at its hosts."""

FOUR_TIERS = tuple(Tier.megapixels(area) for area in ("0.5", "1", "2", "4"))

BEST_SPELLINGS = ("xhigh", "max")
"""Qualities above high, which few models have."""

_REASONS: Mapping[str, str] = {
    "negative_prompt": "the provider takes no negative prompt",
    "seed": "the provider takes no seed",
    "quality": "the provider has no qualities to choose from",
    "steps": "the provider does not let the steps be chosen",
    "guidance": "the provider does not let the guidance be chosen",
    "strength": "the provider does not let the strength be chosen",
    "style": "the provider has no styles to choose from",
    "moderation": "the provider has no moderation to set",
    "input_fidelity": "the provider has no fidelity to set",
    "safety_tolerance": "the provider has no safety tolerance to set",
    "prompt_upsampling": "the provider uses the prompt as it is",
    "enable_safety_checker": "the provider has no safety checker to set",
    "sync_mode": "the provider has one way to answer",
    "user": "the provider takes no user",
    "safety_identifier": "the provider takes no identifier of users",
}


def lacking(*names: str) -> dict[str, Row]:
    """Rows of parameters that a provider has no field for: dropped, and the caller is told why."""
    return {name: unsupported(_REASONS[name]) for name in names}


def prompt_alone(to: str) -> dict[str, Row]:
    """Rows of a model that takes nothing but its prompt: what a model's own rows are laid over."""
    return {"prompt": same(to), "background": opaque_only(), **lacking(*_REASONS)}


def opaque_only(why: str = "the provider does not let the background be chosen") -> Row:
    """`background` where a transparent one cannot be asked for; opaque ones are made so here."""
    return (Way(Behavior.EMULATED, takes=lambda value: value == "opaque"), *unsupported(why))


def quality_words(to: str, *, best: str = "high", auto: bool = True) -> Row:
    """`quality` where the provider has OpenAI's three words; `standard` and `hd` are DALL-E's for two of them.

    `best` is the model's highest, high or max; `auto` whether it takes that word too.
    """
    words = {"low": "low", "medium": "medium", "high": "high", "standard": "medium", "hd": "high"}
    if best == "max":
        words |= {word: word for word in BEST_SPELLINGS}
    if auto:
        words["auto"] = "auto"
    high = Way(
        Behavior.CONVERTED,
        to,
        takes=lambda value: value in BEST_SPELLINGS,
        using=lambda value: "high",
        why="the best quality of this model is high",
    )
    return one_of(to, words, (high, *unsupported("the model has no such quality")))


def quality_as_steps(to: str, low: int, medium: int, high: int) -> Row:
    """`quality` where the provider has steps but no qualities: the model's own presets."""
    steps = {"low": low, "medium": medium, "standard": medium, "high": high, "hd": high}
    best = f"the best preset of this model is high: {high} steps"
    return (
        Way(Behavior.CONVERTED, to, takes=lambda value: value in steps, using=lambda value: steps[value]),
        Way(Behavior.CONVERTED, to, takes=lambda value: value in BEST_SPELLINGS, using=lambda value: high, why=best),
        *unsupported("the provider has no qualities to choose from"),
    )


def gpt_image_grid(write: Callable[[Size], Mapping[str, Any]]) -> Grid:
    """What GPT Image 2 and later make: sides in steps of 16 up to 3840, at most 3:1, with bounds on the area."""
    return Grid(write, 16, 16, most=3840, pixels_least=655_360, pixels_most=8_294_400, ratio_most=3)


def as_field(to: str) -> Callable[[Size], Mapping[str, str]]:
    """A size written as one field, `WxH`."""
    return lambda size: {to: str(size)}


def safety_from(to: str, least: int, most: int) -> Row:
    """`safety_tolerance` on the provider's own scale, 0 or 1 = strictest: clamped, but never to the looser side
    without saying so."""
    return (
        Way(Behavior.RENAMED, to, takes=lambda value: least <= value <= most, domain=f"{least} to {most}"),
        Way(
            Behavior.CONVERTED,
            to,
            using=lambda value: min(max(value, least), most),
            why=lambda value: (
                f"the provider's strictest is {least}" if value < least else f"the provider's most permissive is {most}"
            ),
        ),
    )
