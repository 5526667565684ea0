"""No spelling of a URL, and no answer of a name server, takes a client's picture from where it must not come.

Every name leads to this machine unless the test says otherwise, and canaries listen there: whichever check fails first,
another must hold. What cannot be seen here, a connection that leaves the machine, is counted where sockets are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network

import pytest

from providers.fetch import Fetcher
from tests.gateway import visits
from tests.gateway.visits import BESIDE, CLOSED, CORPUS, GROUPS, INSIDE, OPEN, Leading, Watch, reason, unreachable
from tests.providers.sockets import LOOPBACK, Connection, Server, serving

watch = visits.watch
names = visits.names
fetcher = visits.fetcher
canaries = visits.canaries
sockets = visits.sockets

UNREADABLE = {"host", "scheme"}
"""The reasons for which a spelling is refused before anything is resolved, whatever is opened."""


def spellings(group: str, port: int) -> list[str]:
    return [spelling.replace("{port}", str(port)) for spelling in GROUPS[group]["spellings"]]


def test_the_corpus_is_large_and_says_nothing_twice() -> None:
    everything = [spelling for group in GROUPS.values() for spelling in group["spellings"]]
    assert len(everything) == len(set(everything)) >= 400


@pytest.mark.anyio
@pytest.mark.parametrize("group", GROUPS)
async def test_no_spelling_leads_inside(
    fetcher: Fetcher, canaries: Server, sockets: list[str], group: str, watch: Watch
) -> None:
    told = set()
    for url in spellings(group, canaries.port):
        began = watch.now
        error = await unreachable(fetcher, url, CLOSED)
        assert reason(error) in GROUPS[group]["codes"], ascii(url)
        assert watch.now == began + CLOSED.failure_seconds_least, ascii(url)
        told.add(str(error.body()))
    assert len(told) == 1
    assert sockets == []


@pytest.mark.anyio
@pytest.mark.parametrize("group", [name for name, group in GROUPS.items() if UNREADABLE.issuperset(group["codes"])])
async def test_spelling_that_resolvers_read_in_two_ways_is_refused_also_where_it_leads_to_what_is_opened(
    fetcher: Fetcher, canaries: Server, sockets: list[str], group: str
) -> None:
    for url in spellings(group, canaries.port):
        assert reason(await unreachable(fetcher, url, OPEN)) in UNREADABLE, ascii(url)
    assert sockets == []


@pytest.mark.anyio
@pytest.mark.parametrize("group", GROUPS)
async def test_no_redirect_leads_inside(fetcher: Fetcher, canaries: Server, sockets: list[str], group: str) -> None:
    place = b""

    async def script(c: Connection) -> None:
        await c.request()
        await c.send(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n")

    async with serving(script, host=INSIDE) as server:
        for url in spellings(group, canaries.port):
            place = url.encode("utf-8", "surrogatepass")
            await unreachable(fetcher, f"http://{INSIDE}:{server.port}/a.png", BESIDE)
    assert set(sockets) == {INSIDE}, "places relative to the server itself lead back to it, and nothing else does"


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [*CORPUS["answers"]["private"], *CORPUS["answers"]["metadata"]])
async def test_name_with_an_address_inside_is_refused_whatever_else_it_has(
    fetcher: Fetcher, names: Leading, sockets: list[str], answer: str
) -> None:
    for answers in ([answer], ["8.8.8.8", answer], [answer, "2606:4700:4700::1111"], ["8.8.8.8"] * 20 + [answer]):
        names.answers["mixed.example"] = answers
        for scheme in ("http", "https"):
            assert reason(await unreachable(fetcher, f"{scheme}://mixed.example/a.png", CLOSED)) == "blocked"
    assert sockets == []


@pytest.mark.anyio
@pytest.mark.parametrize("answer", CORPUS["answers"]["metadata"])
async def test_metadata_service_is_out_of_reach_also_where_everything_is_opened(
    fetcher: Fetcher, names: Leading, sockets: list[str], answer: str
) -> None:
    everything = replace(CLOSED, allow_private=(ip_network("0.0.0.0/0"), ip_network("::/0")))
    names.answers["rebound.example"] = [answer]
    for host in ("rebound.example", f"[{answer}]" if ":" in answer else answer, "metadata.google.internal"):
        assert reason(await unreachable(fetcher, f"http://{host}/latest/", everything)) == "blocked"
    assert sockets == []


@pytest.mark.anyio
async def test_name_server_that_changes_its_mind_moves_no_connection(watch: Watch, sockets: list[str]) -> None:
    """Whatever it says next, the connection goes to the address that was checked; each look-up stands for itself."""
    looks = 0

    async def rebinding(name: str) -> Sequence[str]:
        nonlocal looks
        looks += 1
        return [INSIDE] if looks % 2 else [LOOPBACK]

    served = 0

    async def script(c: Connection) -> None:
        nonlocal served
        served += 1
        await c.request()
        await c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")

    async with (
        serving(script, host=INSIDE) as good,
        serving(script, port=good.port) as inside,
        Fetcher(resolve=rebinding, floor=lambda: 0.0, clock=watch, sleep=watch.sleep) as fetcher,
    ):
        url = f"http://rebinding.example:{good.port}/a.png"
        for _ in range(50):
            assert await visits.poured(fetcher, url, BESIDE) == b"abc"
            assert reason(await unreachable(fetcher, url, BESIDE)) == "blocked"
    assert (looks, served, good.connections, inside.connections) == (100, 50, 50, 0)
    assert set(sockets) == {INSIDE}
