"""One value of one parameter: both sides of every bound, and errors that say what is accepted and nothing more."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.errors import InvalidType, InvalidValue
from normalization.parameters import BY_NAME, IMAGE_OPTIONS
from normalization.values import DEPTH_MOST, SHOWN_MOST, check_plain, named, read_value, shown

ALL = {**IMAGE_OPTIONS, **BY_NAME}
MANY_DIGITS = pytest.param(10**5000, id="many digits")
"""More digits than Python writes out, and than any number here can mean."""


def value_of(name: str, value: Any) -> Any:
    return read_value(ALL[name], value, name)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("n", 1, 10),
        ("output_compression", 0, 100),
        ("output_quality", 0, 100),
        ("partial_images", 0, 3),
        ("steps", 1, 1000),
        ("width", 1, 14142),
        ("height", 1, 14142),
        ("safety_tolerance", 0, 6),
    ],
)
def test_integers_within_their_bounds_and_not_one_beyond(name: str, least: int, most: int) -> None:
    for good in (least, most):
        for spelled in (good, str(good), float(good), f"{good}.0", f"{good}."):
            found = value_of(name, spelled)
            assert found == good
            assert type(found) is int
    for bad in (least - 1, most + 1, str(least - 1), str(most + 1), float(most + 1)):
        with pytest.raises(InvalidValue, match=rf"^Invalid value for {name}: .*Accepted: an integer from") as error:
            value_of(name, bad)
        assert error.value.param == name


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("guidance", (0, 100, 3.5), (-0.001, 100.001, -1)),
        ("strength", (0.001, 1), (0, 1.001, -1)),
        ("true_cfg_scale", (0.001, 1e9), (0, -1)),
        ("flow_shift", (0.001,), (0,)),
        ("cfg_truncation", (0.001,), (0,)),
    ],
)
def test_numbers_within_their_bounds_and_not_beyond(name: str, good: tuple[float, ...], bad: tuple[float, ...]) -> None:
    for value in good:
        for spelled in (value, str(value)):
            found = value_of(name, spelled)
            assert found == value
            assert type(found) is float
    for value in bad:
        with pytest.raises(InvalidValue, match=name):
            value_of(name, value)


@pytest.mark.parametrize("value", [-1, 0, 2**32 - 1, 2**32, 2**64 + 1, 10**99])
def test_a_seed_is_any_integer_from_minus_one(value: int) -> None:
    assert value_of("seed", value) == value
    assert value_of("seed", str(value)) == value


@pytest.mark.parametrize("value", [-2, "-2", -(10**30), 10**101, MANY_DIGITS, 1e101])
def test_a_seed_below_minus_one_or_absurd_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^Invalid value for seed"):
        value_of("seed", value)


@pytest.mark.parametrize("name", ["n", "guidance", "resolution", "seed", "true_cfg_scale"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1e999", "nan", "inf", "Infinity", "NaN"])
def test_what_is_no_finite_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises((InvalidValue, InvalidType), match=name):
        value_of(name, value)


@pytest.mark.parametrize("name", ["n", "guidance", "steps", "seed"])
@pytest.mark.parametrize(
    "value", [True, False, [], {}, [1], "", " 1", "1 ", "1\n", "one", "1_000", "0x10", "\uff11", "+1", "1e", "--1", "."]
)
def test_what_is_no_number_has_the_wrong_type(name: str, value: Any) -> None:
    with pytest.raises(InvalidType, match=rf"^Invalid type for {name}: .*Accepted: an? ") as error:
        value_of(name, value)
    assert error.value.code == "invalid_type"


@pytest.mark.parametrize("value", [1.5, "1.5", "15e-1"])
def test_a_fraction_is_no_integer(value: Any) -> None:
    with pytest.raises(InvalidType, match="an integer from 1 to 10"):
        value_of("n", value)


@pytest.mark.parametrize(("text", "number"), [("2e0", 2), ("20E-1", 2), ("2.000", 2)])
def test_integers_may_be_spelled_as_whole_decimals(text: str, number: int) -> None:
    assert value_of("n", text) == number


@pytest.mark.parametrize(("text", "number"), [(".5", 0.5), ("3.", 3.0), ("1e1", 10.0), ("007", 7.0)])
def test_numbers_may_be_spelled_as_people_do(text: str, number: float) -> None:
    assert value_of("guidance", text) == number


def test_a_whole_number_in_a_string_loses_no_digit() -> None:
    assert value_of("seed", "18446744073709551617") == 2**64 + 1
    assert value_of("seed", "18446744073709551617.0") == 2**64 + 1


@pytest.mark.parametrize("value", [True, "true", "True", "TRUE"])
def test_true_in_its_spellings(value: Any) -> None:
    assert value_of("stream", value) is True


@pytest.mark.parametrize("value", [False, "false", "False"])
def test_false_in_its_spellings(value: Any) -> None:
    assert value_of("stream", value) is False


@pytest.mark.parametrize("value", [0, 1, 1.0, "1", "yes", "", "\u017false", [], {}])
def test_anything_else_is_no_boolean(value: Any) -> None:
    with pytest.raises(InvalidType, match=r"^Invalid type for stream: .* Accepted: true or false"):
        value_of("stream", value)


@pytest.mark.parametrize(
    ("name", "least", "most"), [("prompt", 1, 32000), ("negative_prompt", 0, 32000), ("style", 1, 64), ("user", 0, 512)]
)
def test_strings_within_their_lengths_and_not_one_character_beyond(name: str, least: int, most: int) -> None:
    assert value_of(name, "é" * most) == "é" * most
    with pytest.raises(InvalidValue, match=f"a string of {least} to {most} characters"):
        value_of(name, "é" * (most + 1))
    if least:
        with pytest.raises(InvalidValue, match=name):
            value_of(name, "")
    else:
        assert value_of(name, "") is None


@pytest.mark.parametrize("value", [5, True, ["a fox"], {"text": "a fox"}])
@pytest.mark.parametrize("name", ["prompt", "quality", "size", "aspect_ratio"])
def test_what_is_no_string_has_the_wrong_type(name: str, value: Any) -> None:
    with pytest.raises(InvalidType, match=rf"^Invalid type for {name}: .* Accepted: "):
        value_of(name, value)


def test_lone_surrogates_are_refused_because_no_json_holds_them() -> None:
    with pytest.raises(InvalidValue, match="without lone surrogates") as error:
        value_of("prompt", "a \ud800 fox")
    error.value.message.encode()


CHOICES = {
    "quality": ("low", "medium", "high", "xhigh", "max", "auto", "standard", "hd"),
    "background": ("transparent", "opaque", "auto"),
    "moderation": ("low", "auto"),
    "response_format": ("url", "b64_json"),
    "output_format": ("png", "jpeg", "jpg", "gif", "webp", "avif"),
    "input_fidelity": ("high", "low"),
}


@pytest.mark.parametrize(("name", "words"), CHOICES.items())
def test_choices_are_their_words_and_no_other(name: str, words: tuple[str, ...]) -> None:
    for word in words:
        assert value_of(name, word) == word
    for wrong in (words[0].upper(), f" {words[0]}", "", "ultra", "svg"):
        with pytest.raises(InvalidValue, match=rf"^Invalid value for {name}: .* Accepted: one of {words[0]}, "):
            value_of(name, wrong)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a" * 500, "'" + "a" * 98 + "…"),
        ("a\x00\ud800b", r"'a\x00\ud800b'"),
        ([1, 2], "an array"),
        ((1, 2), "an array"),
        ({"a": 1}, "an object"),
        pytest.param(10**5000, "an integer of more than 77 digits", id="many digits"),
        (10**70, "1" + "0" * 70),
        (1.5, "1.5"),
        (True, "True"),
    ],
)
def test_an_error_shows_a_value_shortly(value: Any, text: str) -> None:
    assert shown(value) == text


@given(st.text(max_size=400))
def test_whatever_is_shown_is_short_and_can_be_sent(text: str) -> None:
    for form in (shown(text), named(text)):
        assert len(form) <= SHOWN_MOST
        assert form.isprintable()
        form.encode()


def test_names_are_shown_as_they_are() -> None:
    assert named("größe") == "größe"
    assert named("a\ud800\n") == r"a\ud800\n"


def nest(depth: int) -> Any:
    value: Any = "leaf"
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


def test_nesting_is_refused_beyond_its_bound_only() -> None:
    check_plain(nest(DEPTH_MOST), "loras")
    with pytest.raises(InvalidValue, match=rf"^Invalid value for loras: .* nested at most {DEPTH_MOST} deep") as error:
        check_plain(nest(DEPTH_MOST + 1), "loras")
    assert error.value.param == "loras"
    with pytest.raises(InvalidValue, match="nested"):
        check_plain(nest(20_000), "loras")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (math.nan, "finite"),
        (math.inf, "finite"),
        (2**64, "64 bits"),
        (-(2**63) - 1, "64 bits"),
        pytest.param(10**5000, "64 bits", id="many digits"),
        ("\udfff", "surrogates"),
        ({"\udfff": 1}, "surrogates"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [{"deep": (value,)}]], ids=["bare", "nested"])
def test_what_json_cannot_hold_is_not_passed_on(value: Any, why: str, wrap: Any) -> None:
    with pytest.raises(InvalidValue, match=rf"^Invalid value for loras: .*{why}"):
        check_plain(wrap(value), "loras")


@pytest.mark.parametrize("value", [None, True, 0, 2**64 - 1, -(2**63), 1.5, "é", [], {}, [{"a": [None, ""]}]])
def test_plain_json_is_passed_on(value: Any) -> None:
    check_plain(value, "loras")


def test_a_key_that_json_cannot_hold_is_not_passed_on() -> None:
    with pytest.raises(InvalidValue, match="surrogates") as error:
        check_plain(1, "a\ud800")
    assert error.value.param == r"a\ud800"
