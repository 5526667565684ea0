"""Nested values in form fields, as official clients write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.brackets import nested, scalar
from normalization.errors import InvalidValue
from providers.forms import written


def test_what_openais_python_client_writes_is_read_back() -> None:
    fields = [
        ("prompt", "a fox"),
        ("seed", "3"),
        ("provider_options[a]", "1"),
        ("provider_options[b][]", "1"),
        ("provider_options[b][]", "x"),
        ("provider_options[image][steps]", "28"),
        ("flag", "true"),
    ]
    assert nested(fields) == {
        "prompt": "a fox",
        "seed": "3",
        "provider_options": {"a": 1, "b": [1, "x"], "image": {"steps": 28}},
        "flag": "true",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("0", 0),
        ("-7", -7),
        ("3.50", 3.5),
        ("007", "007"),
        ("1e3", "1e3"),
        ("True", "True"),
        ("", ""),
        ("9" * 30, "9" * 30),
        ("NaN", "NaN"),
    ],
)
def test_inside_brackets_a_word_is_what_it_was_before_it_was_text(text: str, value: Any) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_empty_text_says_nothing_but_an_empty_prompt_is_one() -> None:
    assert nested([("size", ""), ("prompt", "")]) == {"prompt": ""}


def test_of_a_name_that_comes_twice_the_last_counts() -> None:
    assert nested([("size", "1x1"), ("size", "2x2"), ("a[b]", "1"), ("a[b]", "2")]) == {"size": "2x2", "a": {"b": 2}}


@pytest.mark.parametrize("fields", [["a[]", "a[b]"], ["a[b]", "a[]"], ["a", "a[b]"], ["a[b]", "a[b][c]"]])
def test_names_that_contradict_each_other_are_refused_by_name(fields: list[str]) -> None:
    with pytest.raises(InvalidValue) as caught:
        nested([(name, "1") for name in fields])
    assert caught.value.param == fields[1]


def test_a_bottomless_name_is_refused() -> None:
    with pytest.raises(InvalidValue, match="brackets"):
        nested([("a" + "[b]" * 9, "1")])


_KEYS = st.text("abcdefgh_", min_size=1, max_size=5)
_LEAVES = st.one_of(st.integers(-999, 999), st.booleans(), st.text("xyz /:", max_size=5))
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.dictionaries(_KEYS, inner, min_size=1, max_size=3) | st.lists(_LEAVES, min_size=1),
    max_leaves=8,
)


@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4))
def test_what_was_written_is_read(options: dict[str, Any]) -> None:
    assert nested(written({"provider_options": options, "seed": None})) == {"provider_options": options}


@given(st.lists(st.tuples(st.text("ab[]", max_size=8), st.text(max_size=4)), max_size=8))
def test_no_field_does_more_than_be_refused(fields: list[tuple[str, str]]) -> None:
    refused = []
    try:
        assert isinstance(nested(fields), dict)
    except InvalidValue as refusal:
        refused.append(refusal.param)
    assert all(refused)
