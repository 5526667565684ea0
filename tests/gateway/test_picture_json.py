"""JSON with pictures in it: the pictures go to the spool, and nothing else is changed."""

from __future__ import annotations

import base64
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api import picture_json
from gateway.api.picture_json import parsed
from gateway.services.spool import Spool
from normalization.errors import InvalidJson, InvalidType, RequestTooLarge

DATA = bytes(range(256)) * 64
"""Long enough to be taken for a picture."""


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("head", ["", "data:image/png;base64,", "DATA:;BASE64,", "data:image/png;name=x;base64,"])
def test_long_base64_goes_to_the_spool(spool: Spool, head: str) -> None:
    read = parsed(encoded({"images": [{"image_url": head + base64.b64encode(DATA).decode()}], "n": 1}), spool)
    mark = read.value["images"][0]["image_url"]
    content = read.content(mark)
    assert content is not None
    assert content.read() == DATA
    assert read.value["n"] == 1
    assert read.content("n") is None


def test_what_was_no_picture_is_put_back(spool: Spool) -> None:
    prompt = "aaaa" * 3000
    body = {"prompt": prompt, "deep": [{"x": ["data:a/b;base64," + "ab+/" * 2000]}], "short": "aaaa"}
    read = parsed(encoded(body), spool)
    assert read.value != body
    assert read.restored(read.value) == body


@pytest.mark.parametrize(
    "spelled",
    [
        lambda text: text.replace("/", "\\/"),
        lambda text: text.replace("+", "-").replace("/", "_").rstrip("="),
        lambda text: "\\r\\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
    ],
)
def test_other_spellings_of_a_large_picture_are_read_too(spool: Spool, spelled: Any) -> None:
    data = os.urandom(300_001)
    body = b'{"image": "' + spelled(base64.b64encode(data).decode()).encode() + b'"}'
    read = parsed(body, spool)
    content = read.content(read.value["image"])
    assert content is not None
    assert content.read() == data


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", InvalidJson),
        (b"  ", InvalidJson),
        (b"{", InvalidJson),
        (b'{"a": "', InvalidJson),
        (b'{"a": "\\', InvalidJson),
        (b"[]", InvalidType),
        (b'"x"', InvalidType),
        (b"<html>", InvalidJson),
        (b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", InvalidJson),
        (b"[" * 5000, InvalidJson),
        (b"{" + b",".join(b'"%d":""' % n for n in range(11_000)) + b"}", InvalidJson),
        (b'{"a":"' + b"<" * (5 << 20) + b'"}', RequestTooLarge),
    ],
)
def test_what_is_no_object_is_refused(spool: Spool, body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        parsed(body, spool)


def test_padding_in_the_middle_is_no_base64(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_json, "SLICE", 4096)
    body = {"image": "AAA=" * 3000}
    read = parsed(encoded(body), spool)
    assert read.value == body


def test_a_picture_in_several_slices_comes_out_whole(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_json, "SLICE", 4096)
    for length in (16_384, 16_385, 16_386):
        data = os.urandom(length)
        read = parsed(encoded({"image": base64.b64encode(data).decode()}), spool)
        content = read.content(read.value["image"])
        assert content is not None
        assert content.read() == data


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20) | st.text('"\\/=Aa', max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab"\\', max_size=4), inner, max_size=4),
    max_leaves=12,
)


def test_an_unusual_spelling_is_read_across_slices(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_json, "TEXT_MOST", 5000)
    monkeypatch.setattr(picture_json, "SLICE", 64)
    for length in range(9000, 9006):
        data = os.urandom(length)
        plain = base64.b64encode(data).decode()
        for head in ("", "data:image/png;base64,"):
            for padding in ("", "=="[: -length % 3]):
                text = plain.rstrip("=") + padding
                lined = "\\r\\n".join(text[at : at + 57] for at in range(0, len(text), 57))
                for spelled in (text.replace("/", "\\/"), lined, text.replace("+", "-").replace("/", "_") + "\\n"):
                    read = parsed(b'{"image": "' + (head + spelled).encode() + b'"}', spool)
                    content = read.content(read.value["image"])
                    assert content is not None
                    assert content.read() == data


@pytest.mark.parametrize(
    "text",
    [
        "ab==" + "abcd" * 3000,
        "abcd" * 3000 + "=a",
        "abcd" * 3000 + "a",
        "abcd" * 3000 + "\\u002b",
        "data:image/png," + "abcd\\n" * 3000,
        "abcd" * 3000 + "(",
        "abcd" * 3000 + "\\\\",
        "data:image/png," + "abcd" * 3000,
    ],
)
def test_what_is_no_base64_stays_text(spool: Spool, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(picture_json, "TEXT_MOST", 5000)
    for size in (64, 1 << 20):
        monkeypatch.setattr(picture_json, "SLICE", size)
        body = b'{"image": "' + text.encode() + b'"}'
        assert parsed(body, spool).value == json.loads(body)


def test_many_escaped_quotes_are_not_looked_at_one_by_one(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_json, "QUOTES_MOST", 100)
    assert parsed(encoded({"a": '"' * 100}), spool).value == {"a": '"' * 100}
    with pytest.raises(RequestTooLarge, match="besides"):
        parsed(encoded({"a": '"' * 101}), spool)


def test_backslashes_before_a_quote_are_counted_however_many(spool: Spool) -> None:
    for count in (1, 2, 15, 16, 17, 255, 256, 257, 5000):
        body = {"a": "\\" * count, "b": "\\" * count + '"' + "x" * count}
        assert parsed(encoded(body), spool).value == body


def test_a_picture_of_unusual_spelling_is_looked_through_where_it_lies(spool: Spool) -> None:
    body = spool.new()
    for part in (b'{"image": "', base64.urlsafe_b64encode(os.urandom(12 << 20)).rstrip(b"="), b'", "prompt": "a fox"}'):
        body.write(part)
    tracemalloc.start()
    try:
        read = parsed(body.view(), spool)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read.content(read.value["image"]) is not None
    assert peak < 6 << 20


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=5), _JSON, max_size=4), st.integers(0, 2), st.booleans())
def test_a_body_is_read_as_any_parser_reads_it(
    spool: Spool, body: dict[str, Any], pictures: int, ascii_only: bool
) -> None:
    whole = body | {f"picture{n}": base64.b64encode(DATA + b"x" * n).decode() for n in range(pictures)}
    read = parsed(json.dumps(whole, ensure_ascii=ascii_only).encode(), spool)
    assert read.restored(read.value) == whole


def test_a_large_body_is_looked_through_where_it_lies(spool: Spool) -> None:
    picture = base64.b64encode(os.urandom(12 << 20))
    body = spool.new()
    for part in (b'{"image": "', picture, b'", "prompt": "a fox"}'):
        body.write(part)
    tracemalloc.start()
    try:
        read = parsed(body.view(), spool)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read.value["prompt"] == "a fox"
    assert peak < 6 << 20
