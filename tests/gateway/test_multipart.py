"""Multipart bodies as every client writes them, and as none should."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from gateway.api.bodies import read_json
from gateway.api.multipart import Form, in_order, read_form
from gateway.api.picture_json import read_picture_json
from gateway.config.limits import Limits
from gateway.services.spool import Spool
from normalization.errors import ImagegateError, ImageTooLarge, InvalidValue, RequestTooLarge, UnsupportedParameter

PNG = b"\x89PNG\r\n\x1a\n" + b"\r\n--x\r\n" * 50

Part = tuple[str, bytes]


def part(name: str, content: bytes, *, filename: str | None = None, more: str = "") -> Part:
    named = "" if filename is None else f'; filename="{filename}"'
    return f'Content-Disposition: form-data; name="{name}"{named}\r\n{more}', content


def body_of(parts: Sequence[Part], boundary: str = "xyz", *, closed: bool = True) -> bytes:
    written = b"".join(f"--{boundary}\r\n{head}\r\n".encode() + content + b"\r\n" for head, content in parts)
    return written + (f"--{boundary}--\r\n".encode() if closed else b"")


def request_of(chunks: Sequence[bytes], content_type: str = "multipart/form-data; boundary=xyz") -> Request:
    left = list(chunks)

    async def receive() -> dict[str, Any]:
        if not left:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type.encode())]}
    return Request(scope, receive)


async def read(tmp_path: Path, chunks: Sequence[bytes], limits: Limits | None = None, **said: Any) -> Form:
    return await read_form(request_of(chunks, **said), Spool(tmp_path), limits or Limits())


@pytest.mark.anyio
async def test_a_form_is_read_in_order_whatever_its_slices(tmp_path: Path) -> None:
    body = body_of(
        [
            part("prompt", "ein füchs".encode()),
            part("image[]", PNG, filename="upload", more="Content-Type: application/octet-stream\r\n"),
            part("n", b"2"),
            part("image[]", PNG[::-1], filename="blob"),
            part("mask", b"m", filename="upload"),
        ]
    )
    chance = random.Random(7)  # noqa: S311
    for most in (1, 3, 64, len(body)):
        cuts, at = [], 0
        while at < len(body):
            step = chance.randint(1, most)
            cuts.append(body[at : at + step])
            at += step
        form = await read(tmp_path, cuts)
        assert form.fields == [("prompt", "ein füchs"), ("n", "2")]
        assert [file.content.read() for file in form.pictures] == [PNG, PNG[::-1]]
        assert [file.content.read() for file in form.masks] == [b"m"]
        assert all(file.named for file in form.pictures)
    assert os.listdir(tmp_path / "spool") == []


@pytest.mark.anyio
async def test_pictures_with_indexes_come_in_their_order(tmp_path: Path) -> None:
    parts = [part(f"image[{index}]", str(index).encode(), filename="a.png") for index in (2, 0, 10, 1)]
    form = await read(tmp_path, [body_of(parts)])
    assert [file.content.read() for file in in_order(form.pictures)] == [b"0", b"1", b"2", b"10"]


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["image", "image[]", "image[3]", "images", "images[]"])
async def test_every_name_of_a_picture_is_one(tmp_path: Path, name: str) -> None:
    form = await read(tmp_path, [body_of([part(name, PNG, filename="x"), part(name, PNG)])])
    assert [file.named for file in form.pictures] == [True, False]


REFUSED: dict[str, tuple[list[bytes], type[ImagegateError], str | None]] = {
    "not closed": ([body_of([part("n", b"1")], closed=False)], InvalidValue, None),
    "nothing": ([b""], InvalidValue, None),
    "not multipart": ([b"prompt=a+fox"], InvalidValue, None),
    "another boundary": ([body_of([part("n", b"1")], "other")], InvalidValue, None),
    "a part without a name": ([body_of([("Content-Disposition: form-data\r\n", b"1")])], InvalidValue, None),
    "endless headers": ([body_of([part("n", b"1", more="X: " + "y" * 9000 + "\r\n")])], InvalidValue, None),
    "text that is no text": ([body_of([part("prompt", b"\xff\xfe")])], InvalidValue, "prompt"),
    "a file of another name": (
        [body_of([part("markup", PNG, filename="x.png")])],
        UnsupportedParameter,
        "markup",
    ),
    "two masks": (
        [body_of([part("mask", b"1", filename="a"), part("mask[]", b"2", filename="b")])],
        InvalidValue,
        "mask",
    ),
    "a hundred pictures": ([body_of([part("image", b"1", filename="a")] * 100)], InvalidValue, "image"),
    "a hundred fields": ([body_of([part(f"f{n}", b"1") for n in range(100)])], InvalidValue, None),
    "a long field": ([body_of([part("prompt", b"x" * 200_000)])], InvalidValue, "prompt"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("case", REFUSED)
async def test_a_form_that_is_none_is_refused_by_name(tmp_path: Path, case: str) -> None:
    chunks, error, param = REFUSED[case]
    with pytest.raises(error) as caught:
        await read(tmp_path, chunks)
    assert type(caught.value) is error
    assert caught.value.param == param


@pytest.mark.anyio
async def test_a_form_without_a_boundary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="boundary"):
        await read(tmp_path, [b""], content_type="multipart/form-data")


@pytest.mark.anyio
async def test_too_much_is_refused_while_it_arrives_and_the_rest_is_read(tmp_path: Path) -> None:
    limits = Limits(picture_bytes=1000, multipart_body_bytes=5000)
    chunks = [body_of([part("image", b"x" * 900, filename="a")] * 9)[at : at + 100] for at in range(0, 9000, 100)]
    with pytest.raises(RequestTooLarge, match="5000"):
        await read(tmp_path, chunks, limits)
    request = request_of([body_of([part("image", b"x" * 1001, filename="a")]), b"more", b"and more"])
    with pytest.raises(ImageTooLarge) as caught:
        await read_form(request, Spool(tmp_path), limits)
    assert caught.value.param == "image"
    assert (await request.receive())["body"] == b""


@pytest.mark.anyio
async def test_a_body_that_stops_is_given_up(tmp_path: Path) -> None:
    hung = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await hung.wait()
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"multipart/form-data; boundary=xyz")]}
    with pytest.raises(InvalidValue, match="did not arrive"):
        await read_form(Request(scope, receive), Spool(tmp_path), Limits(body_seconds=0.01))
    hung.set()
    with pytest.raises(InvalidValue, match="closed before"):
        await read_form(Request(scope, receive), Spool(tmp_path), Limits())


@pytest.mark.anyio
async def test_any_bytes_do_no_more_than_be_refused(tmp_path: Path) -> None:
    chance = random.Random(11)  # noqa: S311
    good = bytearray(body_of([part("prompt", b"a"), part("image", PNG, filename="a"), part("n", b"1")]))
    refused: list[int] = []
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        try:
            await read(tmp_path, [bytes(bad)])
        except ImagegateError as refusal:
            refused.append(refusal.status)
    assert set(refused) <= {400, 413}


@pytest.mark.anyio
@pytest.mark.parametrize("cut", [1, 7, 1000])
async def test_what_stands_before_the_first_boundary_is_passed_over(tmp_path: Path, cut: int) -> None:
    body = (
        b"a preamble -- of two\r\nlines\r\n"
        + body_of([part("prompt", b"a"), part("image", PNG, filename="a")])
        + b"after"
    )
    form = await read(tmp_path, [body[at : at + cut] for at in range(0, len(body), cut)])
    assert form.fields == [("prompt", "a")]
    assert [file.content.read() for file in form.pictures] == [PNG]
    with pytest.raises(InvalidValue):
        await read(tmp_path, [b"x" * 20_000, body])


@pytest.mark.anyio
async def test_a_length_that_is_too_large_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing has to be read")

    headers = [(b"content-type", b"multipart/form-data; boundary=xyz"), (b"content-length", b"300000000")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with pytest.raises(RequestTooLarge):
        await read_form(request, Spool(tmp_path), Limits())
    with pytest.raises(RequestTooLarge):
        await read_picture_json(request, Spool(tmp_path), bytes_most=1000, seconds_most=1)
    with pytest.raises(RequestTooLarge):
        await read_json(request, bytes_most=1000, seconds_most=1)
