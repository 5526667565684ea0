"""What other processes have left: one that is stuck holds up nobody, and what it says too late is not lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway import peers as of_peers
from gateway.peers import LEFT, LET_GO, Peers
from gateway.services.sharing import Alone

pytestmark = pytest.mark.anyio
PATIENCE = 15.0
FOUND = ["gen_1", "req_1", "web", "/v1/images/generations", "m", 1.0]


class Stuck(Alone):
    """Another process that says nothing until it goes on, and whether it works on what it has left."""

    def __init__(self, *, works: bool) -> None:
        self.works = works
        self.asked, self.goes_on, self.given_back = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def inquire(self, event: str, body: Any) -> Any:
        if event == LEFT:
            self.asked.set()
            await self.goes_on.wait()
            return FOUND
        assert (event, body) == (LET_GO, "gen_1")
        self.given_back.set()
        return self.works or None


async def given_back(sharing: Stuck, peers: Peers) -> list[str]:
    """What is on record as nobody's once the other process has answered."""
    nobodys: list[str] = []

    async def note(id: str) -> None:
        nobodys.append(id)

    async def none(fingerprint: str, key_name: str | None) -> None:
        return None

    peers.answer(none, lambda id: False, lambda id, key_name: None, note)
    sharing.goes_on.set()
    async with asyncio.timeout(PATIENCE):
        await sharing.given_back.wait()
        while peers._giving_back:  # noqa: ASYNC110  (nothing tells)
            await asyncio.sleep(0)
    return nobodys


@pytest.mark.parametrize("works", [True, False])
async def test_one_that_is_stuck_holds_up_nobody_and_has_back_what_it_gives_too_late(
    *, works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_peers, "ASK_SECONDS", 0.0)
    sharing = Stuck(works=works)
    peers = Peers(sharing)
    async with asyncio.timeout(PATIENCE):
        assert await peers.left("f", "web") is None
    assert await given_back(sharing, peers) == ([] if works else ["gen_1"])


async def test_what_is_found_for_a_client_that_has_left_is_anybodys_again() -> None:
    sharing = Stuck(works=False)
    peers = Peers(sharing)
    looking = asyncio.create_task(peers.left("f", "web"))
    await sharing.asked.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert await given_back(sharing, peers) == ["gen_1"]


async def test_what_is_found_in_time_is_the_client_s() -> None:
    sharing = Stuck(works=True)
    sharing.goes_on.set()
    found = await Peers(sharing).left("f", "web")
    assert found is not None
    assert (found.new.id, found.status) == ("gen_1", "running")
    assert not sharing.given_back.is_set()
