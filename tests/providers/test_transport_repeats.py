"""A poll is asked again until it is answered, as the provider asks; a submission never is."""

from __future__ import annotations

import pytest

from providers.base import Broken, WireReply
from providers.transport import Transport, retry_after
from tests import loops
from tests.providers import exchanging
from tests.providers.breaking import closes_after_the_body
from tests.providers.exchanging import POLL, SUBMIT, target
from tests.providers.sockets import Connection, Script, answer, serving, soon

anyio_backend = loops.anyio_backend
transport = exchanging.transport


class Naps:
    """Sleeps that take no time and are remembered."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def answers(*replies: bytes) -> Script:
    left = iter(replies)

    async def script(c: Connection) -> None:
        for reply in left:
            await c.request()
            await c.send(reply)

    return script


UNAVAILABLE = answer(b"", status="503 Service Unavailable")


@pytest.mark.anyio
async def test_poll_is_repeated_until_it_is_answered() -> None:
    naps = Naps()
    script = answers(UNAVAILABLE, answer(b"", status="429 Too Many", headers=("Retry-After: 7",)), answer(b"there"))
    async with Transport(sleep=naps) as transport, serving(script) as server:
        outcome = await transport.repeat(POLL, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)
    assert outcome.body == b"there"
    assert len(naps.seconds) == 2
    assert naps.seconds[0] <= 5
    assert 7 <= naps.seconds[1] <= 12


@pytest.mark.anyio
async def test_broken_poll_is_repeated_and_the_last_outcome_is_returned() -> None:
    async with Transport(sleep=Naps()) as transport, serving(closes_after_the_body) as server:
        outcome = await transport.repeat(POLL, target(server), deadline=soon(), tries=3)
    assert isinstance(outcome, Broken)
    assert (server.connections, len(server.requests)) == (3, 3)


@pytest.mark.anyio
@pytest.mark.parametrize("status", ["404 Not Found", "400 Bad Request", "202 Accepted", "302 Found"])
async def test_definite_answer_is_not_asked_for_again(status: str) -> None:
    async with Transport(sleep=Naps()) as transport, serving(answers(answer(b"", status=status))) as server:
        outcome = await transport.repeat(POLL, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)
    assert len(server.requests) == 1


@pytest.mark.anyio
async def test_repeat_does_not_wait_beyond_the_deadline() -> None:
    naps = Naps()
    busy = answer(b"", status="429 Too Many", headers=("Retry-After: 3600",))
    async with Transport(sleep=naps) as transport, serving(answers(busy)) as server:
        outcome = await transport.repeat(POLL, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)
    assert outcome.status == 429
    assert naps.seconds == []
    assert len(server.requests) == 1


@pytest.mark.anyio
async def test_submission_is_never_repeated(transport: Transport) -> None:
    async with serving(closes_after_the_body) as server:
        with pytest.raises(ValueError, match="never be repeated"):
            await transport.repeat(SUBMIT, target(server), deadline=soon())
    assert server.connections == 0


NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 -0000"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
        ({"retry-after": "99999999999999999999"}, 86_400.0),
        ({"retry-after": "Tue, 14 Nov 99999999999999999999 22:13:50 GMT"}, None),
        ({"retry-after": "Tue, 14 Nov 2023 99999999999999999999:13:50 GMT"}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 +99999999999999999999"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds
