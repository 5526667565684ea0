"""What crosses the pipes, and the little that a reply can become."""

from __future__ import annotations

import os
import platform
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services import codec_sandbox
from gateway.services.codec_frames import Answer, Job, read_answer, read_job, receive, send, write_answer, write_job
from normalization.pictures import Finished, Header
from normalization.vocabulary import Format, Size

FINISHED = Finished(b"data", Format.AVIF, Size(3, 2), Format.PNG, Size(6, 4), decoded=True, thumbnail=b"small")


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
    answer = read_answer(bytearray(write_answer(Answer("done", value))))
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
    import json

    head = json.dumps({"kind": "done", "value": value}).encode()
    with pytest.raises(ValueError):  # noqa: PT011  # the type is the promise
        read_answer(bytearray(struct.pack("<I", len(head)) + head + b"abc"))


@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_answer(bytearray(body))


@pytest.mark.parametrize("body", [b"", b"x", os.urandom(40_000)])
def test_a_message_arrives_whole(body: bytes) -> None:
    here, there = os.pipe()
    send(there, body)
    assert bytes(receive(here) or b"") == body
    os.close(there)
    assert receive(here) is None
    os.close(here)


def test_a_message_that_breaks_off_is_none() -> None:
    here, there = os.pipe()
    os.write(there, struct.pack("<Q", 10) + b"half")
    os.close(there)
    assert receive(here) is None
    os.close(here)


def test_a_message_beyond_the_bound_is_refused_before_memory_is_taken() -> None:
    here, there = os.pipe()
    os.write(there, struct.pack("<Q", 1 << 60))
    with pytest.raises(ValueError, match="at most 100 are accepted"):
        receive(here, most=100)
    os.close(there)
    os.close(here)


def test_a_job_is_read_as_it_was_written_and_nothing_else_is() -> None:
    job = Job("a:b", {"data": b"x"}, 1, 2.0, 3)
    assert read_job(bytearray(write_job(job))) == job
    with pytest.raises(TypeError, match="a request is a Job"):
        read_job(bytearray(write_job("job")))  # type: ignore[arg-type]


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
