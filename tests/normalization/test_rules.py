"""The table language: a row decides by value, a profile decides everything or cannot be made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.rules import (
    MEANS_DEFAULT,
    NEVER_DEGRADED,
    RESERVED,
    ROWS,
    Row,
    Way,
    bare,
    converted,
    emulated,
    one_of,
    same,
    unsupported,
    within,
)
from normalization.vocabulary import Behavior
from tests.normalization.profiles import RATIO_ONLY, rows


def chosen(row: Row, value: Any) -> tuple[Behavior, str | None, Any, str | None]:
    way = next(way for way in row if way.accepts(value))
    return way.kind, way.to, way.wire(value), way.note(value)


def test_the_same_value_goes_to_the_providers_field() -> None:
    assert chosen(same("options.seed"), 7) == (Behavior.RENAMED, "options.seed", 7, None)


def test_a_conversion_of_the_same_meaning_has_no_note() -> None:
    row = converted("cfg", lambda value: value * 2, also=(("use_cfg", True),))
    assert chosen(row, 3) == (Behavior.CONVERTED, "cfg", 6, None)
    assert row[0].also == (("use_cfg", True),)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("low", (Behavior.RENAMED, "quality", "low", None)),
        ("hd", (Behavior.CONVERTED, "quality", "high", None)),
        ("max", (Behavior.DROPPED, None, "max", "no such quality")),
    ],
)
def test_words_are_decided_one_by_one(value: str, expected: Any) -> None:
    row = one_of("quality", {"low": "low", "hd": "high"}, unsupported("no such quality"))
    assert chosen(row, value) == expected


@pytest.mark.parametrize(
    ("value", "kind", "wire", "note"),
    [
        (15, Behavior.RENAMED, 15, None),
        (50, Behavior.RENAMED, 50, None),
        (14, Behavior.CONVERTED, 15, "the provider takes 15 to 50: 15 is sent"),
        (51, Behavior.CONVERTED, 50, "the provider takes 15 to 50: 50 is sent"),
    ],
)
def test_a_number_out_of_the_providers_range_is_clamped_with_a_note(
    value: int, kind: Behavior, wire: int, note: str | None
) -> None:
    assert chosen(within("steps", 15, 50), value) == (kind, "steps", wire, note)


def test_a_note_spells_large_and_broken_bounds_in_full() -> None:
    assert chosen(within("seed", 0, 2**31 - 1), 2**32)[3] == "the provider takes 0 to 2147483647: 2147483647 is sent"
    assert chosen(within("cfg", 0.25, 1), 0)[3] == "the provider takes 0.25 to 1: 0.25 is sent"


@given(st.floats(-1e6, 1e6), st.integers(-100, 100), st.integers(0, 100))
def test_a_clamped_number_is_in_range_and_noted_exactly_when_changed(value: float, least: int, span: int) -> None:
    _, _, wire, note = chosen(within("x", least, least + span), value)
    assert least <= wire <= least + span
    assert (note is None) == (wire == value)


def test_what_cannot_be_given_is_dropped_with_the_reason() -> None:
    assert chosen(unsupported("no styles"), "vivid") == (Behavior.DROPPED, None, "vivid", "no styles")


def test_what_the_gateway_gives_itself_has_no_note() -> None:
    assert chosen(emulated(), "opaque") == (Behavior.EMULATED, None, "opaque", None)


def test_a_note_may_depend_on_the_value() -> None:
    assert Way(Behavior.DROPPED, why=lambda value: f"not {value}").note(3) == "not 3"


@pytest.mark.parametrize("name", ROWS)
def test_a_profile_without_a_row_cannot_be_made(name: str) -> None:
    with pytest.raises(ValueError, match=rf"profile relay/max: rows missing \['{name}'\]"):
        replace(RATIO_ONLY, rows={each: row for each, row in rows().items() if each != name})


def test_a_profile_with_an_empty_row_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"missing \['steps'\]"):
        replace(RATIO_ONLY, rows=rows(steps=()))


def test_a_profile_with_a_row_that_nobody_reads_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"unknown \['size'\]"):
        replace(RATIO_ONLY, rows=rows(size=same("size")))


def test_a_profile_that_leaves_a_value_undecided_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"without a last unconditional way \['steps'\]"):
        replace(RATIO_ONLY, rows=rows(steps=(Way(Behavior.RENAMED, "steps", takes=lambda value: value < 5),)))


def test_lists_of_rows_name_rows() -> None:
    assert set(MEANS_DEFAULT) <= set(ROWS)
    assert set(NEVER_DEGRADED) <= set(ROWS)
    assert len(set(ROWS)) == len(ROWS)


def test_the_more_specific_of_two_rows_comes_later() -> None:
    assert ROWS.index("quality") < ROWS.index("steps")


@pytest.mark.parametrize("name", ["X-API-Key", "x_api_key", "xApiKey", "x api.key"])
def test_every_spelling_of_a_key_is_the_same_key(name: str) -> None:
    assert bare(name) == "xapikey"
    assert bare(name) in RESERVED


def test_reserved_names_are_written_bare() -> None:
    assert {bare(name) for name in RESERVED} == RESERVED
