"""What crosses the pipes, and the little that a reply can become."""

from __future__ import annotations

import json
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services import codec_sandbox
from gateway.services.codec_frames import (
    PART_BYTES_LEAST,
    SLICE_BYTES,
    Answer,
    Job,
    Sink,
    read_answer,
    read_job,
    write,
    write_answer,
    write_job,
)
from gateway.services.spool import Spool
from normalization.pictures import Finished, Header
from normalization.plan import Composite, Finish
from normalization.vocabulary import Format, Held, Picture, Size

FINISHED = Finished(b"data", Format.AVIF, Size(3, 2), Format.PNG, Size(6, 4), decoded=True, thumbnail=b"small")


def heard(data: bytes, sink: Sink | None = None) -> Answer:
    return read_answer(BytesIO(data), sink)


def reply(value: object, blobs: bytes) -> bytes:
    head = json.dumps({"kind": "done", "value": value}).encode()
    return struct.pack("<QI", 4 + len(head) + len(blobs), len(head)) + head + blobs


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        1.5,
        True,
        "text",
        b"",
        b"bytes",
        FINISHED,
        Header(Format.GIF, Size(1, 2), frames=3),
        [b"one", [b"two", Size(1, 1)], b"three"],
        Format.JPEG,
    ],
)
def test_an_answer_comes_back_as_it_was(value: Any) -> None:
    answer = heard(b"".join(write_answer(Answer("done", value))))
    assert answer == Answer("done", value)
    assert type(answer.value) is type(value)


@pytest.mark.parametrize("value", [object(), {"a": 1}, Answer("done", 1), Exception("no"), bytearray(b"x")])
def test_an_answer_holds_nothing_else(value: object) -> None:
    with pytest.raises(TypeError, match="may not answer with"):
        write_answer(Answer("done", value))


@pytest.mark.parametrize(
    "value",
    [
        {"class": "Answer", "fields": []},
        {"class": "Popen", "fields": [["args", "true"]]},
        {"class": "Size", "fields": [["depth", 1]]},
        {"class": "Size"},
        {"class": ["Size"], "fields": []},
        {"bytes": 4},
        {"bytes": -1},
        {"bytes": "all"},
        {"format": "svg"},
        {},
        {"class": "Size", "fields": 3},
    ],
)
def test_a_forged_answer_is_refused(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the type is the promise
        heard(reply(value, b"abc"))


@pytest.mark.parametrize("blob", [b"ab", b"abcd"])
def test_an_answer_has_exactly_the_bytes_that_it_points_to(blob: bytes) -> None:
    assert heard(reply({"bytes": 3}, b"abc")).value == b"abc"
    with pytest.raises(ValueError, match="than it says"):
        heard(reply({"bytes": 3}, blob))


@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_refused(body: bytes) -> None:
    for data in (body, struct.pack("<Q", len(body)) + body):
        with pytest.raises((ValueError, EOFError)):
            heard(data)


def test_an_answer_that_breaks_off_is_told_from_one_that_lies() -> None:
    whole = b"".join(write_answer(Answer("done", FINISHED)))
    for length in range(len(whole)):
        with pytest.raises(EOFError):
            heard(whole[:length])


@pytest.mark.parametrize("length", [0, 3, 101, 1 << 60])
def test_a_message_beyond_the_bounds_is_refused_before_memory_is_taken(length: int) -> None:
    with pytest.raises(ValueError, match="at most 100 are accepted"):
        read_answer(BytesIO(struct.pack("<Q", length) + bytes(200)), most=100)


def test_a_head_longer_than_its_message_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than it says"):
        heard(struct.pack("<QI", 10, 7) + bytes(20))


def test_a_pictures_bytes_go_to_a_sink_in_slices_and_nowhere_else() -> None:
    data = os.urandom(2 * SLICE_BYTES + 7)
    pieces: list[bytes] = []
    done = Finished(data, Format.PNG, Size(1, 2), Format.GIF, Size(1, 2))
    answer = heard(b"".join(write_answer(Answer("done", done))), pieces.append)
    assert b"".join(pieces) == data
    assert [len(piece) for piece in pieces] == [SLICE_BYTES, SLICE_BYTES, 7]
    assert answer.value == Finished(b"", Format.PNG, Size(1, 2), Format.GIF, Size(1, 2))


@pytest.mark.parametrize("body", [b"", b"x", os.urandom(40_000)])
def test_all_is_written(body: bytes) -> None:
    here, there = os.pipe()
    write(there, body)
    os.close(there)
    with open(here, "rb") as pipe:
        assert pipe.read() == body


def job(**arguments: Any) -> Job:
    return Job("a:b", arguments, 1, 2.0, 3)


def crossed(sent: Job) -> Job | None:
    return read_job(BytesIO(b"".join(write_job(sent))))


@pytest.mark.parametrize("size", [0, 1, PART_BYTES_LEAST - 1, PART_BYTES_LEAST, 3 * SLICE_BYTES + 1])
def test_a_job_is_read_as_it_was_written(size: int) -> None:
    data = os.urandom(size)
    sent = job(data=data, held=Held(data), both=[data, 1, {"a": Held(b"x")}])
    assert crossed(sent) == sent


def test_a_spooled_picture_arrives_as_content_in_memory(tmp_path: Path) -> None:
    data = os.urandom(SLICE_BYTES + 5)
    spooled = Spool(tmp_path).new()
    spooled.write(data)
    picture = Picture(spooled, Format.PNG, Size(3, 2), spooled.sha256)
    mask = Picture(Held(b"mask"), Format.PNG, Size(3, 2), "")
    got = crossed(job(finish=Finish(Format.PNG, composite=Composite(picture, mask))))
    assert got is not None
    composite = got.arguments["finish"].composite
    assert composite == Composite(picture, mask)
    assert composite.original.content == Held(data)
    assert composite.mask.content == Held(b"mask")


@dataclass
class Watched:
    """Content that tells when it is read, and may lie about its length."""

    length: int
    pieces: tuple[bytes, ...]
    reads: int = 0

    def slices(self, most: int) -> Iterator[bytes]:
        for piece in self.pieces:
            self.reads += 1
            yield piece

    def read(self) -> bytes:
        raise AssertionError("read whole")


def test_content_is_read_only_as_its_turn_on_the_wire_comes() -> None:
    watched = Watched(4, (b"ab", b"cd"))
    pieces = write_job(job(content=watched))
    next(pieces)
    assert watched.reads == 0
    assert next(pieces) == b"ab"
    assert watched.reads == 1
    assert list(pieces) == [b"cd"]


@pytest.mark.parametrize("given", [(b"ab",), (b"abc", b"def"), ()])
def test_content_of_another_length_than_it_said_is_an_error_and_sends_no_more_than_it_said(
    given: tuple[bytes, ...],
) -> None:
    sent: list[bytes] = []
    with pytest.raises(ValueError, match="said to be of 4 bytes"):
        sent.extend(write_job(job(content=Watched(4, given))))
    assert sum(map(len, sent[1:])) <= 4


def test_what_cannot_be_pickled_is_an_error_before_anything_is_sent() -> None:
    with pytest.raises((TypeError, AttributeError)):
        write_job(job(data=lambda: None, content=Watched(4, ())))


def test_a_request_that_breaks_off_is_none_and_nothing_but_a_job_is_a_request() -> None:
    whole = b"".join(write_job(job(content=Held(b"x"))))
    for length in range(len(whole)):
        assert read_job(BytesIO(whole[:length])) is None
    with pytest.raises(TypeError, match="a request is a Job"):
        crossed("job")  # type: ignore[arg-type]


def test_on_an_unknown_machine_calls_are_not_filtered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    codec_sandbox._filter_calls(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_jumps_to_its_refusal_from_everywhere(machine: str) -> None:
    number, calls = codec_sandbox._MACHINES[machine]
    code = codec_sandbox._code(number, calls)
    steps = [struct.unpack_from("<HBBI", code, at) for at in range(0, len(code), 8)]

    def verdict(machine: int, call: int) -> int:
        at, loaded = 0, 0
        while True:
            kind, yes, no, value = steps[at]
            if kind == 0x06:
                return int(value)
            if kind == 0x20:
                loaded, at = (call, machine)[value == 4], at + 1
            else:
                at += 1 + (yes if (loaded >= value if kind == 0x35 else loaded == value) else no)

    assert {verdict(number, call) for call in calls} == {0x00050001}
    assert verdict(number + 1, 0) == 0x00050001
    assert verdict(number, 0x40000000) == 0x00050001
    assert {verdict(number, call) for call in range(430) if call not in calls} == {0x7FFF0000}
