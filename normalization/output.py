"""Which file format to ask a provider for, and what is left for us to encode.

A lossy picture is never encoded twice: where we shall crop, resize or convert, the provider is asked for png.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from normalization.geometry import Match
from normalization.payload import Fields
from normalization.plan import Composite, Finish
from normalization.rules import Output
from normalization.vocabulary import Behavior, Format, ImageRequest


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """What is sent (`fields`), what is done with the answer (`finish`), and what the caller is told of it.

    `word` is the provider's word for the format asked for, None = nothing is said to it.
    """

    fields: Fields
    finish: Finish
    behavior: Behavior
    word: str | None
    quality_behavior: Behavior
    quality_sent: Any
    quality_note: str | None


def choose_output(
    request: ImageRequest, output: Output, matched: Match, composite: Composite | None = None
) -> OutputChoice:
    """The format and encoder quality for one provider; `composite` where the picture is laid into another here."""
    target, quality = request.output_format, request.encoder_quality
    touched = composite is not None or (matched.fit is not None and matched.fit != matched.yields)
    # Transparency is flattened here: a provider refuses it together with a format that has none.
    flattened = request.background == "transparent" and not target.transparent
    native = target in output.names and not (touched or flattened) and _quality_is_native(target, quality, output)
    asked = target if native else _source(output)
    said = request.said.get("output_format")
    fields: Fields = {}
    word = None
    if output.to is not None and asked in output.names and (said is not None or output.always):
        word = fields[output.to] = output.names[asked]
    behavior = Behavior.EMULATED
    if native and word is not None:
        behavior = Behavior.CONVERTED if word != said else Behavior.RENAMED
        behavior = Behavior.PASSTHROUGH if word == said and output.to == "output_format" else behavior
    quality_behavior, quality_note = Behavior.EMULATED, None
    applied = native and quality is not None and not target.lossless and output.quality_to is not None
    if applied and output.quality_to is not None:
        fields[output.quality_to] = quality
        named = "output_quality" if "output_quality" in request.said else "output_compression"
        quality_behavior = Behavior.PASSTHROUGH if output.quality_to == named else Behavior.RENAMED
    elif target.lossless and quality is not None:
        quality_behavior = Behavior.CONVERTED if quality == 100 else Behavior.DROPPED
        quality_note = None if quality == 100 else f"{target} has no quality to choose: ignored"
    finish = Finish(
        format=target,
        fit=matched.fit,
        slack=matched.slack,
        quality=None if target.lossless else quality,
        force=quality is not None and not target.lossless and not applied,
        opaque=request.background == "opaque",
        source=None if word is None else asked,
        composite=composite,
    )
    return OutputChoice(fields, finish, behavior, word, quality_behavior, quality if applied else None, quality_note)


def _quality_is_native(target: Format, quality: int | None, output: Output) -> bool:
    if quality is None or target.lossless:
        return True
    # Quality 100 means lossless to us for WebP; a provider's 100 need not.
    return output.quality_to is not None and not (target is Format.WEBP and quality == 100)


def _source(output: Output) -> Format:
    """The format to convert from: png where the provider makes it."""
    return Format.PNG if Format.PNG in output.names else next(iter(output.names), Format.PNG)
