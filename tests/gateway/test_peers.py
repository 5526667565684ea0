"""What one process of a gateway knows of the work of another, before anything of it is on record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from gateway.config.limits import Limits
from gateway.jobs import Job
from gateway.journal import Journal
from gateway.outcome import Order
from gateway.peers import Peers
from gateway.services.generations import Generation, NewGeneration
from gateway.services.sharing import Alone

pytestmark = pytest.mark.anyio

NEW = NewGeneration("gen_1", "req_1", "web-team", "/v1/images/generations", "m", 5.0)


class OneOfTwo(Alone):
    """A process that can ask one other."""

    def __init__(self) -> None:
        self.other: OneOfTwo | None = None
        self.answers: dict[str, Callable[[Any], Awaitable[Any]]] = {}

    def answer(self, event: str, answer: Callable[[Any], Awaitable[Any]]) -> None:
        self.answers[event] = answer

    async def inquire(self, event: str, body: Any) -> Any:
        assert self.other is not None
        return await self.other.answers[event](body)


class NoRecords:
    async def find(self, id: str, key_name: str | None) -> None:
        return None


def two() -> tuple[Journal, Journal, OneOfTwo]:
    """The journals of two processes, and the second one's connection."""
    one, other = OneOfTwo(), OneOfTwo()
    one.other, other.other = other, one
    journals = (
        Journal(
            cast("Any", NoRecords()), cast("Any", None), Limits(), storage_seconds=1, lasting=True, peers=Peers(each)
        )
        for each in (one, other)
    )
    return (*journals, other)  # type: ignore[return-value]  # two of them


async def test_a_generation_that_another_process_has_just_begun_is_running_and_not_unknown() -> None:
    here, there, _ = two()
    there.begun(Job(Order("gen_1", "req_1", "m", "m", (), generation=NEW)))
    found = await here.find("gen_1", "web-team")
    assert isinstance(found, Generation)
    assert (found.status, found.new) == ("running", NEW)
    assert await here.find("gen_2", "web-team") is None


async def test_it_is_nobodys_whose_key_did_not_ask_for_it() -> None:
    here, there, _ = two()
    there.begun(Job(Order("gen_1", "req_1", "m", "m", (), generation=NEW)))
    assert await here.find("gen_1", "other-team") is None
    assert await here.find("gen_1", None) is None


async def test_a_process_that_says_nothing_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.peers.ASK_SECONDS", 0.01)
    here, _, silent = two()

    async def never(body: Any) -> None:
        await asyncio.Event().wait()

    silent.answer("running", never)
    assert await here.find("gen_1", "web-team") is None
