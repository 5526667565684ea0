"""Which file format is asked for, and what is left to encode: never twice lossy, always the format named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.geometry import Match
from normalization.output import OutputChoice, choose_output
from normalization.plan import Finish
from normalization.rules import Output
from normalization.vocabulary import Behavior, Format, Size
from tests.normalization.asking import request

RELAY = Output("output_format", {Format.PNG: "png", Format.JPEG: "jpg"}, quality_to="output_quality")
WEBPS = Output("opts.format", {Format.WEBP: "webp", Format.JPEG: "jpeg"}, always=True, quality_to="opts.q")
PNG_ONLY = Output()
JPEG_ONLY = Output(names={Format.JPEG: "jpeg"})
CROPPED = Match(yields=Size(16, 16), fit=Size(10, 10), slack=16)
AS_IT_COMES = Match(yields=Size(16, 16), fit=Size(16, 16), slack=16)


def choice(output: Output, matched: Match = AS_IT_COMES, **said: Any) -> OutputChoice:
    return choose_output(request(**said), output, matched)


@pytest.mark.parametrize(
    ("output", "said", "fields", "behavior", "word"),
    [
        (RELAY, {"output_format": "png"}, {"output_format": "png"}, Behavior.PASSTHROUGH, "png"),
        (RELAY, {"output_format": "jpeg"}, {"output_format": "jpg"}, Behavior.CONVERTED, "jpg"),
        (RELAY, {"output_format": "jpg"}, {"output_format": "jpg"}, Behavior.PASSTHROUGH, "jpg"),
        (RELAY, {"output_format": "avif"}, {"output_format": "png"}, Behavior.EMULATED, "png"),
        (RELAY, {}, {}, Behavior.EMULATED, None),
        (WEBPS, {"output_format": "webp"}, {"opts.format": "webp"}, Behavior.RENAMED, "webp"),
        (WEBPS, {}, {"opts.format": "webp"}, Behavior.EMULATED, "webp"),
        (PNG_ONLY, {"output_format": "png"}, {}, Behavior.EMULATED, None),
        (JPEG_ONLY, {"output_format": "gif"}, {}, Behavior.EMULATED, None),
        (Output("format", {}), {"output_format": "png"}, {}, Behavior.EMULATED, None),
    ],
)
def test_the_format_that_is_asked_for(
    output: Output, said: dict[str, Any], fields: dict[str, Any], behavior: Behavior, word: str | None
) -> None:
    found = choice(output, **said)
    assert (found.fields, found.behavior, found.word) == (fields, behavior, word)


def test_png_is_asked_for_where_we_shall_cut() -> None:
    found = choice(RELAY, CROPPED, output_format="jpeg", output_quality=80)
    assert found.fields == {"output_format": "png"}
    assert found.behavior is Behavior.EMULATED
    assert found.finish == Finish(Format.JPEG, Size(10, 10), 16, quality=80, force=True, source=Format.PNG)
    assert (found.quality_behavior, found.quality_sent, found.quality_note) == (Behavior.EMULATED, None, None)


def test_a_picture_that_comes_as_asked_is_not_touched() -> None:
    found = choice(RELAY, output_format="jpeg", output_quality=80)
    assert found.fields == {"output_format": "jpg", "output_quality": 80}
    assert found.finish == Finish(Format.JPEG, Size(16, 16), 16, quality=80, source=Format.JPEG)


@pytest.mark.parametrize(
    ("output", "said", "behavior", "sent"),
    [
        (RELAY, {"output_format": "jpeg", "output_quality": 80}, Behavior.PASSTHROUGH, 80),
        (RELAY, {"output_format": "jpeg", "output_compression": 80}, Behavior.RENAMED, 80),
        (RELAY, {"output_format": "webp", "output_quality": 80}, Behavior.EMULATED, None),
        (WEBPS, {"output_format": "webp", "output_quality": 99}, Behavior.RENAMED, 99),
        (WEBPS, {"output_format": "webp", "output_quality": 100}, Behavior.EMULATED, None),
        (WEBPS, {"output_format": "jpeg", "output_quality": 100}, Behavior.RENAMED, 100),
        (JPEG_ONLY, {"output_format": "jpeg", "output_quality": 80}, Behavior.EMULATED, None),
    ],
)
def test_encoder_quality_goes_to_whoever_encodes(
    output: Output, said: dict[str, Any], behavior: Behavior, sent: int | None
) -> None:
    found = choice(output, **said)
    assert (found.quality_behavior, found.quality_sent, found.quality_note) == (behavior, sent, None)
    assert (output.quality_to in found.fields) == (sent is not None)
    assert found.finish.force == (sent is None)


@pytest.mark.parametrize("form", ["png", "gif"])
def test_a_format_without_quality_ignores_it_with_a_note(form: str) -> None:
    found = choice(RELAY, output_format=form, output_quality=80)
    assert found.quality_behavior is Behavior.DROPPED
    assert found.quality_note == f"{form} has no quality to choose: ignored"
    assert (found.finish.quality, found.finish.force) == (None, False)
    assert "output_quality" not in found.fields


@pytest.mark.parametrize("form", ["png", "gif"])
def test_best_quality_is_what_a_lossless_format_gives_anyway(form: str) -> None:
    found = choice(RELAY, output_format=form, output_compression=100)
    assert (found.quality_behavior, found.quality_note) == (Behavior.CONVERTED, None)


def test_an_opaque_background_is_made_here() -> None:
    assert choice(RELAY, background="opaque").finish.opaque
    assert not choice(RELAY, background="transparent").finish.opaque


OUTPUTS = st.sampled_from([RELAY, WEBPS, PNG_ONLY, JPEG_ONLY])


@given(
    OUTPUTS,
    st.sampled_from([AS_IT_COMES, CROPPED, Match(), Match(fit=Size(9, 9))]),
    st.sampled_from(["png", "jpeg", "gif", "webp", "avif"]),
    st.none() | st.integers(0, 100),
)
def test_the_format_named_is_delivered_and_never_encoded_twice_where_png_is_to_be_had(
    output: Output, matched: Match, form: str, quality: int | None
) -> None:
    found = choice(output, matched, output_format=form, output_quality=quality)
    assert found.finish.format == form
    assert found.finish.fit == matched.fit
    asked = next((each for each, word in output.names.items() if word == found.word), None)
    cut = matched.fit is not None and matched.fit != matched.yields
    if asked is not None and (asked != form or cut or found.finish.force) and Format.PNG in output.names:
        assert asked is Format.PNG
    if found.finish.force:
        assert found.finish.quality == quality
