"""Bodies on the wire are exact, and held once."""

from __future__ import annotations

import base64
import email.parser
import email.policy
import tracemalloc
from types import MappingProxyType

import orjson
import pytest

from normalization.vocabulary import Format
from providers.base import FilePart, Hosted, Inline, WireRequest
from providers.bodies import SLICE, Body, Gathering, TooLarge, encode
from tests.given import picture_of


def joined(body: Body) -> bytes:
    return b"".join(bytes(view) for view in body.slices())


def test_request_without_json_or_form_has_no_body() -> None:
    assert encode(WireRequest("GET", "/jobs/1")) == Body()


def test_json_goes_out_as_it_stands() -> None:
    body = encode(WireRequest("POST", "/", json=MappingProxyType({"prompt": "füchs", "n": 2, "sizes": (1, 2)})))
    assert body.content_type == "application/json"
    assert orjson.loads(joined(body)) == {"prompt": "füchs", "n": 2, "sizes": [1, 2]}
    assert body.length == len(joined(body))


def test_value_that_json_lacks_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="bytes"):
        encode(WireRequest("POST", "/", json={"image": b"raw"}))


def test_json_and_form_at_once_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="both json and form"):
        encode(WireRequest("POST", "/", json={}, form=()))


def test_form_is_read_back_as_it_was_meant() -> None:
    picture = bytes(range(256)) * 1000
    form = (
        ("prompt", "a red fox\r\n--boundary"),
        FilePart("image[]", "fox.png", picture_of(picture)),
        FilePart("image[]", "", picture_of(b"", Format.WEBP)),
        ("n", "2"),
    )
    body = encode(WireRequest("POST", "/", form=form))
    assert body.length == len(joined(body))
    parsed = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        f"Content-Type: {body.content_type}\r\n\r\n".encode() + joined(body)
    )
    parts = [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in parsed.iter_parts()
    ]
    assert parts == [
        ("prompt", None, "text/plain", b"a red fox\r\n--boundary"),
        ("image[]", "fox.png", "image/png", picture),
        ("image[]", "", "image/webp", b""),
        ("n", None, "text/plain", b"2"),
    ]


def test_pictures_in_json_go_out_as_base64_slice_by_slice() -> None:
    first, second = picture_of(bytes(range(256)) * 999), picture_of(b"RIFF", Format.WEBP)
    images = [Inline(first), {"deep": Inline(second, bare=True)}, Inline(picture_of(b""))]
    body = encode(WireRequest("POST", "/", json={"prompt": "a fox", "images": images}))
    assert max(len(part) for part in body.slices()) <= SLICE
    assert body.length == len(joined(body))
    prefix = "data:image/png;base64,"
    assert orjson.loads(joined(body)) == {
        "prompt": "a fox",
        "images": [
            prefix + base64.b64encode(first.content.read()).decode(),
            {"deep": base64.b64encode(b"RIFF").decode()},
            prefix,
        ],
    }


def test_a_picture_that_has_no_url_yet_cannot_be_sent() -> None:
    with pytest.raises(TypeError):
        encode(WireRequest("POST", "/", json={"image": Hosted(picture_of(b"x"))}))


def test_name_cannot_add_a_header_to_its_part() -> None:
    evil = 'a"\r\nX-Evil: 1'
    body = encode(WireRequest("POST", "/", form=((evil, "v"), FilePart(evil, evil, picture_of(b"")))))
    assert b"\r\nX-Evil" not in joined(body)


def test_boundary_differs_from_form_to_form() -> None:
    request = WireRequest("POST", "/", form=(("a", "b"),))
    assert encode(request).content_type != encode(request).content_type


def test_slices_are_views_of_bounded_size() -> None:
    piece = b"x" * (2 * SLICE + 1)
    views = list(Body((piece, b"tail")).slices())
    assert [len(view) for view in views] == [SLICE, SLICE, 1, 4]
    assert all(isinstance(view, memoryview) and view.obj is piece for view in views[:3])


def test_body_does_not_show_its_content() -> None:
    assert "planted" not in repr(encode(WireRequest("POST", "/", json={"key": "planted"})))


@pytest.mark.parametrize("declared", [None, 5, 3, 9, 100_000_000])
def test_reply_is_what_was_received_whatever_length_was_declared(declared: int | None) -> None:
    gathering = Gathering(declared, 200_000_000)
    gathering.add(b"he")
    gathering.add(b"llo")
    assert gathering.body() == b"hello"


def test_reply_beyond_the_limit_is_given_up_at_once() -> None:
    with pytest.raises(TooLarge):
        Gathering(11, 10)
    gathering = Gathering(None, 10)
    gathering.add(b"0123456789")
    with pytest.raises(TooLarge):
        gathering.add(b"!")


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
def test_reply_of_megabytes_is_held_once(declared: bool) -> None:
    size, chunk = 3_000_000, b"z" * 10_000
    tracemalloc.start()
    try:
        gathering = Gathering(size if declared else None, size)
        for _ in range(size // len(chunk)):
            gathering.add(chunk)
        body = gathering.body()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(body) == size
    assert peak < 1.3 * size
