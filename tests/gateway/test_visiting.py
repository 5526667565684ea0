"""A picture that a client names by URL: it comes through the sink as it is, or one error says that it did not."""

from __future__ import annotations

import asyncio
import errno
import socket
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest

from gateway.config.limits import Limits
from gateway.finishing import result_policy
from gateway.services.visiting import client_policy, visit
from normalization.errors import ImageTooLarge, ImageUrlUnreachable, StorageFull
from providers import fetch as module
from providers.fetch import Fetcher, FetchPolicy
from tests.gateway import visits
from tests.gateway.visits import CLOSED, OPEN, PARAM, Leading, Watch, poured, reason, unreachable
from tests.providers.breaking import sends_gzip
from tests.providers.fetching import PICTURE, serves_a_picture
from tests.providers.sockets import LOOPBACK, Connection, Script, answer, closed_port, serving
from tests.providers.test_fetch_misbehaviour import (
    closes_at_once,
    drips,
    ends_within_a_chunk,
    never_answers,
    resets,
    sends_headers_without_end,
    sends_less_than_declared,
    speaks_another_protocol,
    stalls_after_the_headers,
)

watch = visits.watch
names = visits.names
fetcher = visits.fetcher

UNREACHABLE = {
    "error": {
        "message": "images[0].image_url: no picture could be fetched from this URL; accepted: an http or https URL of "
        "a public host, on port 80 or 443 and without credentials, that answers with the picture itself",
        "type": "invalid_request_error",
        "param": "images[0].image_url",
        "code": "image_url_unreachable",
    }
}


@pytest.mark.anyio
@pytest.mark.parametrize("host", [LOOPBACK, "127.8.9.10", "localhost", "files.example"])
async def test_picture_comes_through_the_sink_byte_for_byte(fetcher: Fetcher, host: str, watch: Watch) -> None:
    picture = PICTURE + bytes(range(256)) * 4000

    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(picture, headers=("Content-Type: image/png",)))

    async with serving(script, host="0.0.0.0") as server:
        assert await poured(fetcher, f"http://{host}:{server.port}/a.png?x=%2F", OPEN) == picture
    assert server.requests[0].startswith(b"GET /a.png?x=%2F HTTP/1.1\r\n")
    assert watch.now == 1000.0, "what succeeds does not wait"


async def says_404(c: Connection) -> None:
    await c.request()
    await c.send(answer(PICTURE, status="404 Not Found"))


async def says_500(c: Connection) -> None:
    await c.request()
    await c.send(answer(PICTURE, status="500 Internal Server Error"))


async def goes_in_circles(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", status="302 Found", headers=("Location: /",)))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("script", "logged"),
    [
        *((says_404, "status"), (says_500, "status"), (goes_in_circles, "redirects"), (sends_gzip, "encoding")),
        *((resets, "refused"), (closes_at_once, "refused"), (speaks_another_protocol, "refused")),
        *((ends_within_a_chunk, "refused"), (sends_less_than_declared, "refused")),
        *((sends_headers_without_end, "refused"), (drips, "slow"), (stalls_after_the_headers, "slow")),
        (never_answers, "timeout"),
    ],
)
async def test_server_that_gives_no_picture_is_told_by_one_error(
    fetcher: Fetcher,
    script: Script,
    logged: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "PACE_GRACE_SECONDS", 0.1)
    policy = replace(OPEN, seconds_most=0.2) if script is never_answers else OPEN
    async with serving(script) as server:
        error = await unreachable(fetcher, f"http://hidden.example:{server.port}/path?sig=planted", policy)
    assert (error.status, error.should_retry, error.body()) == (400, None, UNREACHABLE)
    assert reason(error) == logged
    assert caplog.messages == [f"the picture of images[0].image_url was not fetched: {error.detail}"]
    shown = error.detail + "".join(traceback.format_exception(error))
    for part in ("hidden", "planted", LOOPBACK, str(server.port)):
        assert part not in shown, "neither a host nor an address belongs into a log"


@pytest.mark.anyio
async def test_what_may_not_be_reached_is_told_as_what_cannot_be(
    fetcher: Fetcher, names: Leading, watch: Watch
) -> None:
    """To the word, and to the instant: no timer has run but the one that all wait for."""
    names.answers |= {"empty.example": [], "junk.example": ["no address"]}
    port = closed_port()
    urls = {
        f"http://{LOOPBACK}:{port}/": "refused",
        f"https://{LOOPBACK}:{port}/": "refused",
        "http://10.0.0.1/": "blocked",
        "http://[fe80::1]/": "blocked",
        "http://169.254.169.254/": "blocked",
        "https://8.8.8.8:22/": "blocked",
        "http://empty.example/": "dns",
        "http://junk.example/": "dns",
        "http://2130706433/": "host",
        "http://user@public.example/": "host",
        "ftp://public.example/": "scheme",
        "": "scheme",
    }
    for url, logged in urls.items():
        began = watch.now
        error = await unreachable(fetcher, url)
        assert (reason(error), error.body(), watch.now - began) == (logged, UNREACHABLE, 3.0), url


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    """A port that does not answer who wants to connect, as behind a firewall: its queue is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.anyio
async def test_place_that_keeps_silent_is_given_up_before_the_time_at_which_failures_are_told(
    fetcher: Fetcher, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS_MOST", 60.0)
    hasty = replace(OPEN, reach_seconds_most=0.1, seconds_most=60.0)
    async with silent_port() as port:
        error = await asyncio.wait_for(unreachable(fetcher, f"http://{LOOPBACK}:{port}/", hasty), 10)
    assert (reason(error), error.body(), watch.now) == ("timeout", UNREACHABLE, 1003.0)

    async def mute(c: Connection) -> None:
        await c.silence()

    async with serving(mute) as server:
        url = f"https://{LOOPBACK}:{server.port}/"
        error = await asyncio.wait_for(unreachable(fetcher, url, hasty), 10)
    assert (reason(error), error.body(), watch.now) == ("timeout", UNREACHABLE, 1006.0)


@pytest.mark.anyio
async def test_name_server_that_keeps_silent_is_given_up_before_that_too(watch: Watch) -> None:
    async def never(name: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    hasty = replace(OPEN, reach_seconds_most=0.05, resolve_seconds_most=60.0)
    async with Fetcher(resolve=never, floor=lambda: 0.0, clock=watch, sleep=watch.sleep) as fetcher:
        error = await asyncio.wait_for(unreachable(fetcher, "http://slow.example/", hasty), 10)
    assert (reason(error), error.body(), watch.now) == ("dns", UNREACHABLE, 1003.0)


@pytest.mark.anyio
async def test_redirect_that_comes_late_takes_no_time_from_what_it_leads_to(fetcher: Fetcher, watch: Watch) -> None:
    """Or a server could wait until the time is up, and then have each address tried in the open."""

    async def script(c: Connection) -> None:
        await c.request()
        watch.now += 10
        await c.send(answer(b"", status="302 Found", headers=("Location: http://10.0.0.1/",)))

    async with serving(script) as server:
        assert reason(await unreachable(fetcher, server.url)) == "blocked"
    assert watch.now == 1013.0


@pytest.mark.anyio
@pytest.mark.parametrize(("seconds_most", "deadline", "ends"), [(2.0, 1e12, 1002.0), (20.0, 1001.0, 1001.0)])
async def test_nothing_waits_beyond_the_time_that_was_left(
    fetcher: Fetcher, watch: Watch, seconds_most: float, deadline: float, ends: float
) -> None:
    policy = replace(CLOSED, seconds_most=seconds_most)
    with pytest.raises(ImageUrlUnreachable):
        await visit(fetcher, "http://10.0.0.1/", bytearray().extend, param=PARAM, policy=policy, deadline=deadline)
    assert watch.now == ends


@pytest.mark.anyio
@pytest.mark.parametrize("declared", [True, False])
async def test_picture_that_is_too_large_is_said_to_be(fetcher: Fetcher, declared: bool) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(PICTURE) if declared else b"HTTP/1.1 200 OK\r\n\r\n" + PICTURE)

    policy = replace(OPEN, bytes_most=len(PICTURE) - 1)
    async with serving(script) as server:
        with pytest.raises(ImageTooLarge) as raised:
            await poured(fetcher, f"{server.url}/a.png", policy)
    assert raised.value.param == PARAM
    assert raised.value.message == (
        f"images[0].image_url: the picture at this URL is too large; accepted: up to {len(PICTURE) - 1} bytes"
    )


@pytest.mark.anyio
@pytest.mark.parametrize("error", [StorageFull("no room"), OSError(errno.ENOSPC, "No space left"), TimeoutError()])
async def test_what_the_sink_raises_is_no_fault_of_the_url(fetcher: Fetcher, watch: Watch, error: Exception) -> None:
    def full(chunk: bytes) -> None:
        raise error

    async with serving(serves_a_picture) as server:
        with pytest.raises(type(error)) as raised:
            await visit(fetcher, server.url, full, param=PARAM, policy=OPEN, deadline=1e12)
    assert raised.value is error
    assert watch.now == 1000.0


def test_policy_is_what_the_operator_set() -> None:
    limits = Limits(
        picture_bytes=1,
        fetch_seconds=2,
        fetch_redirects=0,
        fetch_dns_seconds=4,
        fetch_connect_seconds=5,
        fetch_bytes_per_second=0,
    )
    opened = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert client_policy(limits, opened) == FetchPolicy(
        bytes_most=1,
        seconds_most=2,
        redirects_most=0,
        allow_private=opened,
        trusted_origin=None,
        allow_http=True,
        min_rate=0,
        resolve_seconds_most=4,
        reach_seconds_most=5,
        failure_seconds_least=5,
    )


def test_results_are_fetched_by_the_same_limits_but_their_own_size_and_time() -> None:
    limits = Limits(
        result_bytes=1,
        result_seconds=2,
        fetch_redirects=0,
        fetch_dns_seconds=4,
        fetch_bytes_per_second=0,
        fetch_seconds=9,
    )
    opened = (ip_network("10.0.0.0/8"),)
    assert result_policy(limits, opened) == FetchPolicy(
        bytes_most=1, seconds_most=2, redirects_most=0, allow_private=opened, min_rate=0, resolve_seconds_most=4
    )
