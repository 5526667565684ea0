"""What goes out of an answer in pieces: small ones together, large ones by themselves, every byte in its order."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api.answer import TOGETHER, JsonPieces

pytestmark = pytest.mark.anyio


async def sent(*pieces: bytes) -> list[Any]:
    """The messages of an answer."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await JsonPieces(pieces)({"type": "http"}, None, send)  # type: ignore[arg-type]
    return messages


async def test_a_small_answer_is_one_message_after_its_head() -> None:
    head, *body = await sent(b"[", b"1", b",", b"2", b"]")
    assert dict(head["headers"])[b"content-length"] == b"5"
    assert body == [{"type": "http.response.body", "body": b"[1,2]", "more_body": False}]


async def test_large_pieces_are_not_copied_and_only_the_last_message_says_that_it_is_the_last() -> None:
    large = b"x" * (TOGETHER + 1)
    _, *body = await sent(b"[", large, b",", large, b"]")
    assert [len(message["body"]) for message in body] == [1, len(large), 1, len(large), 1]
    assert body[1]["body"] is large
    assert [message["more_body"] for message in body] == [True, True, True, True, False]


async def test_what_is_gathered_stays_bounded() -> None:
    pieces = [bytes([65 + number]) * 1000 for number in range(20)] * 10
    _, *body = await sent(*pieces)
    assert max(len(message["body"]) for message in body) <= TOGETHER
    assert b"".join(message["body"] for message in body) == b"".join(pieces)
