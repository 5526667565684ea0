"""Base64 in all its spellings, values that say nothing, and bodies that are not what they should be."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Artifact
from providers.replies import artifact, decode_base64, images_of, read_object

DATA = b"\x89PNG\r\n\x1a\n\xfb\xff\xbe\x00"


@given(st.binary(max_size=200), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 80))
def test_every_spelling_of_base64_is_the_same_bytes(
    data: bytes, url_safe: bool, padded: bool, prefixed: bool, width: int
) -> None:
    written = (base64.urlsafe_b64encode(data) if url_safe else base64.b64encode(data)).decode()
    written = written if padded else written.rstrip("=")
    written = "\r\n".join(written[start : start + width] for start in range(0, len(written), width))
    assert decode_base64(("Data:image/png;BASE64," if prefixed else "") + written) == data


@pytest.mark.parametrize(
    "written",
    ["%%%%", "A", "AAAAA", "QUJD*", "QQ==QQ==", "data:image/png,QUJD", "data:image/png;base64", "Ü", "https://x/y"],
)
def test_what_is_not_base64_is_not_guessed_at(written: str) -> None:
    assert decode_base64(written) is None


@pytest.mark.parametrize("nothing", [None, "", "  ", 0, False, [], {}])
def test_a_picture_that_was_not_handed_over_is_none(nothing: Any) -> None:
    assert artifact(nothing, nothing) is None


def test_a_picture_that_cannot_be_read_keeps_its_place() -> None:
    assert artifact("%%%") == Artifact()
    assert artifact(None, "data:image/png;base64,%%%") == Artifact()


def test_an_address_that_is_the_picture_itself_is_read_at_once() -> None:
    written = base64.b64encode(DATA).decode()
    assert artifact(None, f"data:image/png;base64,{written}") == Artifact(data=DATA)
    assert artifact("", "https://x/1.png") == Artifact(url="https://x/1.png")


def test_what_comes_with_a_picture_is_kept_where_it_is_of_its_kind() -> None:
    assert artifact(None, "/1.png", seed=7, revised_prompt="x") == Artifact(url="/1.png", seed=7, revised_prompt="x")
    assert artifact(None, "/1.png", seed=True, revised_prompt="") == Artifact(url="/1.png")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"{", b"<html>", b"\xff", b"NaN", b"[" * 5000])
def test_a_body_that_is_no_object_is_none(body: bytes) -> None:
    assert read_object(body) is None


@pytest.mark.parametrize("data", [None, "x", 7, {}, [None, 7, "x", [], {}]])
def test_a_list_of_pictures_that_is_none_has_no_pictures(data: Any) -> None:
    assert list(images_of({"data": data})) == []
