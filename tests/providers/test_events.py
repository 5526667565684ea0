"""Server-sent events as a provider's reply: each is told as it comes, and the last one is the reply's body."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from providers.bodies import TooLarge
from providers.events import Events, body_of, streamed, unheard

STREAM = b': waiting\n\nevent: a\ndata: {"n": 1}\n\ndata: {"n":\r\ndata:  2}\r\n\r\ndata: [DONE]\n\ndata: cut off'


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


async def coming(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_however_they_are_cut(size: int) -> None:
    events = Events(1000)
    told = list(itertools.chain.from_iterable(events.add(chunk) for chunk in cut(STREAM, size)))
    assert told == [b'{"n": 1}', b'{"n":\n 2}']


def test_an_event_is_bounded_and_a_stream_is_not() -> None:
    events = Events(100)
    for _ in range(50):
        list(events.add(b": waiting\n\n" + b"data: " + b"x" * 50 + b"\n\n"))
    with pytest.raises(TooLarge):
        list(events.add(b"data: " + b"x" * 101))


@pytest.mark.anyio
async def test_the_last_event_is_the_body_and_each_is_told() -> None:
    told: list[bytes] = []
    assert await body_of(coming(cut(STREAM, 9)), None, 1000, told.append) == b'{"n":\n 2}'
    assert told == [b'{"n": 1}', b'{"n":\n 2}']
    assert await body_of(coming([b"data: 1\n\n"]), None, 1000, unheard) == b"1"


@pytest.mark.anyio
async def test_a_reply_that_is_no_stream_comes_whole() -> None:
    assert await body_of(coming(cut(STREAM, 9)), len(STREAM), 1000, None) == STREAM
    with pytest.raises(TooLarge):
        await body_of(coming([STREAM]), None, 10, None)


def test_a_stream_is_told_by_its_content_type() -> None:
    assert streamed({"content-type": "text/event-stream; charset=utf-8"})
    assert not streamed({"content-type": "application/json"})
    assert not streamed({})
