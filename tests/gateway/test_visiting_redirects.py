"""Redirects of a client's picture: followed where the URL itself might have led, and no further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

import pytest

from providers.fetch import Fetcher
from tests.gateway import visits
from tests.gateway.visits import BESIDE, INSIDE, OPEN, Watch, poured, reason, unreachable
from tests.providers.fetching import PICTURE
from tests.providers.sockets import LOOPBACK, Connection, Script, Server, answer, serving

watch = visits.watch
names = visits.names
fetcher = visits.fetcher
canaries = visits.canaries
sockets = visits.sockets

STATUSES = ("301", "302", "303", "307", "308")


def chain(places: Sequence[str], canary: int = 0, statuses: Sequence[str] = STATUSES) -> Script:
    """Answers each request with the next place to go, then with a picture. `{own}` is the server's address, `{inside}`
    a canary's, `{port}` its port."""
    hops = iter(zip(places, cycle(statuses), strict=False))

    async def script(c: Connection) -> None:
        await c.request()
        hop = next(hops, None)
        if hop is None:
            await c.send(answer(PICTURE))
            return
        place = hop[0].replace("{own}", f"{INSIDE}:{c.server.port}").replace("{port}", str(canary))
        place = place.replace("{inside}", f"{LOOPBACK}:{canary}")
        await c.send(answer(b"<html>", status=f"{hop[1]} Go", headers=(f"Location: {place}", "Set-Cookie: a=b")))

    return script


FOLLOWED = (
    *(["/b.png"], ["b.png"], ["../b.png"], ["?x=1"], ["#f"], ["//{own}/b.png"], ["http://{own}/b.png"], ["."]),
    *(["HTTP://{own}/b.png"], ["/b.png#fragment"], ["http://{own}"], ["http://beside.example:{own_port}/b.png"]),
    *(["/b", "/c"], ["/b", "//{own}/c"], ["/b", "/c", "/d"], ["/a.png", "/a.png", "/a.png"]),
)


@pytest.mark.anyio
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("places", FOLLOWED, ids=" ".join)
async def test_picture_comes_from_behind_redirects_to_where_it_may(
    fetcher: Fetcher, names: visits.Leading, sockets: list[str], places: list[str], status: str, watch: Watch
) -> None:
    names.answers["beside.example"] = [INSIDE]
    places = list(places)
    script = chain(places, statuses=[status])
    async with serving(script, host=INSIDE) as server:
        places[:] = [place.replace("{own_port}", str(server.port)) for place in places]
        assert await poured(fetcher, f"http://{INSIDE}:{server.port}/dir/a.png", BESIDE) == PICTURE
    assert server.connections == len(places) + 1
    assert watch.now == 1000.0, "what succeeds does not wait"
    assert set(sockets) == {INSIDE}


REFUSED = (
    # to this machine and its neighbours, by every way of saying so
    *(["http://{inside}/"], ["//{inside}/"], ["http://localhost:{port}/"], ["http://[::1]:{port}/"]),
    *(["http://[::ffff:127.0.0.1]:{port}/"], ["http://2130706433:{port}/"], ["http://127.1:{port}/"]),
    *(["http://0:{port}/"], ["http://0.0.0.0:{port}/"], ["http://intranet.example:{port}/"], ["https://{inside}/"]),
    *(["http://10.0.0.1/"], ["http://192.168.0.1/"], ["http://169.254.169.254/latest/"], ["http://[fd00:ec2::254]/"]),
    *(["http://metadata.google.internal/"], ["http://100.100.100.200/"], ["http://8.8.8.8:22/"], ["//8.8.8.8:6379/"]),
    # with credentials, in two readings, in other schemes
    *(["http://user@{own}/"], ["http://a:b@{own}/b.png"], ["//@{own}/"], ["http://{own}@{inside}/"]),
    *(["http:\\\\{inside}/"], ["/\\{inside}/"], ["//{own}\\@{inside}/"], ["http://{own} /"], ["http://%6c{own}/"]),
    *(["file:///etc/passwd"], ["gopher://{inside}/_"], ["ftp://{inside}/"], ["data:image/png;base64,AAAA"]),
    *(["javascript:1"], ["ws://{own}/"], ["http://"], ["//"], ["http://[::1"], ["/" + "a" * 2048]),
    # after hops that are allowed
    *(["/b", "http://{inside}/"], ["/b", "/c", "//{inside}/"], ["/b", "/c", "http://localhost:{port}/"]),
    # without end
    *(["/a"] * 10, ["http://{own}/a.png"] * 10, ["/b", "/a"] * 5, ["/1", "/2", "/3", "/4"], [""] * 10),
)


@pytest.mark.anyio
@pytest.mark.parametrize("places", REFUSED, ids=lambda places: ascii(" ".join(places))[:60])
async def test_redirect_to_where_no_picture_may_come_from_is_like_any_other_failure(
    fetcher: Fetcher, canaries: Server, sockets: list[str], places: list[str], watch: Watch
) -> None:
    async with serving(chain(places, canaries.port), host=INSIDE) as server:
        error = await unreachable(fetcher, f"http://{INSIDE}:{server.port}/a.png", BESIDE)
    assert reason(error) in ("scheme", "host", "blocked", "redirects")
    assert server.connections == min(len(places), BESIDE.redirects_most + 1)
    assert watch.now == 1000.0 + BESIDE.failure_seconds_least
    assert set(sockets) == {INSIDE}


@pytest.mark.anyio
@pytest.mark.parametrize("limit", [0, 1, 2, 5])
async def test_limit_of_redirects_is_exact(fetcher: Fetcher, limit: int) -> None:
    policy = replace(BESIDE, redirects_most=limit)
    async with serving(chain(["/x"] * limit), host=INSIDE) as server:
        assert await poured(fetcher, f"http://{INSIDE}:{server.port}/", policy) == PICTURE
    async with serving(chain(["/x"] * (limit + 1)), host=INSIDE) as server:
        assert reason(await unreachable(fetcher, f"http://{INSIDE}:{server.port}/", policy)) == "redirects"


@pytest.mark.anyio
@pytest.mark.parametrize("status", ["300", "305", "306", "309", "399", "201", "401", "407"])
async def test_place_named_by_another_status_is_not_followed(fetcher: Fetcher, canaries: Server, status: str) -> None:
    async with serving(chain(["http://{inside}/"], canaries.port, [status]), host=INSIDE) as server:
        assert reason(await unreachable(fetcher, f"http://{INSIDE}:{server.port}/", BESIDE)) == "status"
    assert server.connections == 1


@pytest.mark.anyio
async def test_page_that_sends_a_browser_elsewhere_is_taken_as_it_is(fetcher: Fetcher, canaries: Server) -> None:
    """Whether it is a picture is for others to see; nothing in it is obeyed."""
    page = f'<meta http-equiv="refresh" content="0; url={canaries.url}"><script>location="{canaries.url}"</script>'

    async def script(c: Connection) -> None:
        await c.request()
        elsewhere = f"{canaries.url}/"
        await c.send(
            answer(
                page.encode(),
                headers=(f"Refresh: 0; url={elsewhere}", f"Location: {elsewhere}", f"Link: <{elsewhere}>"),
            )
        )

    async with serving(script, host=INSIDE) as server:
        assert await poured(fetcher, f"http://{INSIDE}:{server.port}/", BESIDE) == page.encode()


@pytest.mark.anyio
async def test_nothing_of_the_client_or_of_the_way_is_sent_along(fetcher: Fetcher) -> None:
    async with serving(chain(["/b?c", "/d"]), host=INSIDE) as server:
        await poured(fetcher, f"http://{INSIDE}:{server.port}/a?secret=1", OPEN)
    sent = [dict(line.split(": ", 1) for line in raw.decode().strip().split("\r\n")[1:]) for raw in server.requests]
    assert (
        sent
        == [
            {
                "Host": f"{INSIDE}:{server.port}",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "User-Agent": "imagegate",
                "Connection": "close",
            }
        ]
        * 3
    )
