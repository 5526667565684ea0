"""Pictures that are kept from the JSON parser: whatever the body, it reads as it would have read whole."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from providers.base import Artifact
from providers.replies import LARGE, LONG, PICTURE_KEYS, decode_base64, images_of, read_object

PICTURE = bytes(range(256)) * 20
WRITTEN = base64.b64encode(PICTURE).decode()
BLANK = " " * LARGE

BASE64 = st.builds(
    lambda prefix, alphabet, text, times, end: prefix + alphabet(text * times).decode().rstrip(end),
    st.sampled_from(["", "", "data:image/png;base64,", "DATA:;charset=utf-8;BASE64,", "data:image/png,", "data:,x"]),
    st.sampled_from([base64.b64encode, base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes]),
    st.binary(min_size=1, max_size=5),
    st.sampled_from([1, LONG // 2, LONG, LONG + 1]),
    st.sampled_from(["", "", "="]),
)
WORDS = st.sampled_from([*PICTURE_KEYS, 'x"b64_json', "b64_json\\", '"b64_json": "', "\\", "é", "data"])
TEXTS = WORDS | BASE64 | BASE64.map(lambda written: f'{{"b64_json": "{written}"}}') | st.text(max_size=5)
KEYS = st.sampled_from(PICTURE_KEYS) | TEXTS


class Pairs(list[tuple[str, Any]]):
    """An object as JSON writes it: names in order, perhaps more than once."""


VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(0, 9) | st.floats(0, 1),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=4).map(Pairs),
    max_leaves=8,
)


def dumped(value: Any, space: str, *, ascii_only: bool, slashes: bool) -> str:
    if isinstance(value, Pairs):
        inner = [
            f"{dumped(name, space, ascii_only=ascii_only, slashes=slashes)}{space}:{space}"
            f"{dumped(each, space, ascii_only=ascii_only, slashes=slashes)}"
            for name, each in value
        ]
        return "{" + f"{space},{space}".join(inner) + space + "}"
    if isinstance(value, list):
        return "[" + ",".join(dumped(each, space, ascii_only=ascii_only, slashes=slashes) for each in value) + "]"
    written = json.dumps(value, ensure_ascii=ascii_only)
    return written.replace("/", "\\/") if slashes else written


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    value = Pairs(draw(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=4)))
    space = draw(st.sampled_from(["", " ", "\n\t"]))
    written = dumped(value, space, ascii_only=draw(st.booleans()), slashes=draw(st.booleans()))
    return (BLANK + written).encode("utf-8", "surrogatepass")


def parsed(body: bytes) -> Any:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def agree(read: Any, whole: Any) -> bool:
    """Whether both say the same, where bytes say what the base64 in their place says."""
    match read, whole:
        case bytes(), str():
            return bool(read == decode_base64(whole))
        case dict(), dict():
            return [*read] == [*whole] and all(agree(read[name], whole[name]) for name in read)
        case list(), list():
            return len(read) == len(whole) and all(map(agree, read, whole))
        case _:
            return type(read) is type(whole) and bool(read == whole)


@settings(deadline=None)
@given(bodies())
@example((BLANK + f'{{"x\\"b64_json": "{WRITTEN}", "b64_json\\"": "{WRITTEN}"}}').encode())
@example((BLANK + f'{{"b64_json": "b64_json", "x": ["image_data", "{WRITTEN}"]}}').encode())
def test_a_large_body_reads_as_it_would_whole(body: bytes) -> None:
    assert agree(read_object(body), parsed(body))


@settings(deadline=None)
@given(bodies(), st.data())
def test_a_large_body_that_is_damaged_is_none_where_it_would_be_whole(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(LARGE, len(body)))
    put = data.draw(st.sampled_from([b"", b'"', b"\\", b"\n", b"\xff", b"\xc3\xa9", b'"b64_json":"', b"="]))
    after = data.draw(st.sampled_from([at, at + 1, len(body)]))
    damaged = body[:at] + put + body[after:]
    assert agree(read_object(damaged), parsed(damaged))


@pytest.mark.parametrize("inside", [b"\n", b"\x00", b"\xff", b'"', b"\\x"])
def test_what_json_forbids_inside_a_picture_is_still_forbidden(inside: bytes) -> None:
    half = WRITTEN.encode()
    body = BLANK.encode() + b'{"b64_json":"' + half + inside + half + b'"}'
    assert parsed(body) is None
    assert read_object(body) is None


@pytest.mark.parametrize("key", PICTURE_KEYS)
def test_a_long_picture_of_a_large_body_stands_there_decoded(key: str) -> None:
    body = (BLANK + f'{{"é": [{{"{key}" : "{WRITTEN}", "n": 1}}]}}').encode()
    assert read_object(body) == {"é": [{key: PICTURE, "n": 1}]}


@pytest.mark.parametrize("key", ["b64", "xb64_json", "b64_json_x", "url"])
def test_what_stands_under_other_keys_stays_as_it_is(key: str) -> None:
    assert read_object((BLANK + f'{{"{key}": "{WRITTEN}"}}').encode()) == {key: WRITTEN}


def test_of_a_name_written_twice_the_last_counts() -> None:
    other = base64.b64encode(PICTURE[::-1]).decode()
    body = BLANK + f'{{"b64_json": "{WRITTEN}", "b64_json": "{other}", "image_data": "{other}", "image_data": 7}}'
    assert read_object(body.encode()) == {"b64_json": PICTURE[::-1], "image_data": 7}


def test_a_body_of_many_strings_is_read_like_any_other() -> None:
    body = orjson.dumps({"strings": ["x"] * LARGE, "data": [{"b64_json": WRITTEN}]})
    read = read_object(body)
    assert read is not None
    assert list(images_of(read)) == [Artifact(PICTURE)]


@pytest.mark.parametrize(
    "written",
    [
        WRITTEN,
        f"data:image/png;base64,{WRITTEN}",
        WRITTEN.rstrip("="),
        WRITTEN.replace("+", "-").replace("/", "_"),
        "\n".join(WRITTEN[start : start + 76] for start in range(0, len(WRITTEN), 76)),
    ],
)
def test_every_spelling_is_the_same_picture_in_a_large_body(written: str) -> None:
    others = {"url": "data:image/png;base64,QQ==", "seed": 7, "revised_prompt": "x" * LARGE}
    for body in ({"data": [{"b64_json": written, **others}]}, {"data": [{**others, "b64_json": written}]}):
        read = read_object(orjson.dumps(body))
        assert read is not None
        repair = "base64: a data: prefix was taken off" if written.startswith("data:") else None
        assert list(images_of(read)) == [Artifact(PICTURE, seed=7, revised_prompt="x" * LARGE, repair=repair)]
