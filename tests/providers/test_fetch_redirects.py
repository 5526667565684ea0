"""A redirect leads no further than the URL itself may, and takes no secret along."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from providers.base import WireReply, WireRequest
from providers.fetch import Fetcher, FetchPolicy
from providers.transport import Target, Transport
from tests.providers import fetching
from tests.providers.fetching import OPEN, PICTURE, refusal
from tests.providers.sockets import LOOPBACK, Connection, Script, Server, answer, serving, soon

names = fetching.names
fetcher = fetching.fetcher
canary = fetching.canary


def redirecting(*hops: tuple[str, str]) -> Script:
    """Answers each request with the next status and Location, then with a picture. `{url}` is the server's own."""
    left = iter(hops)

    async def script(c: Connection) -> None:
        await c.request()
        for status, place in left:
            place = place.replace("{url}", c.server.url)
            await c.send(answer(b"<html>", status=f"{status} Go", headers=(f"Location: {place}", "Set-Cookie: a=b")))
            return
        await c.send(answer(PICTURE))

    return script


@pytest.mark.anyio
@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("/b.png", "/b.png"),
        ("b.png?x=1", "/dir/b.png?x=1"),
        ("../b.png", "/b.png"),
        ("?sig=%2F", "/dir/a.png?sig=%2F"),
        ("{url}/b.png#f", "/b.png"),
    ],
)
async def test_redirect_is_followed(fetcher: Fetcher, status: str, place: str, path: str) -> None:
    async with serving(redirecting((status, place))) as server:
        fetched = await fetcher.fetch(f"{server.url}/dir/a.png", policy=OPEN, deadline=soon())
    assert fetched.data == PICTURE
    assert server.requests[1].startswith(f"GET {path} HTTP/1.1\r\n".encode())


@pytest.mark.anyio
@pytest.mark.parametrize("status", ["200", "201", "204", "206", "300", "304", "305", "401", "403", "404", "410", "500"])
async def test_any_answer_but_200_gives_nothing(fetcher: Fetcher, status: str) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        body = PICTURE if status == "200" else b""
        await c.send(answer(body, status=f"{status} So", headers=("Location: /elsewhere",)))

    async with serving(script) as server:
        if status == "200":
            assert (await fetcher.fetch(server.url, policy=OPEN, deadline=soon())).data == PICTURE
            return
        error = await refusal(fetcher, server.url, OPEN)
    assert (error.code, error.status) == ("status", int(status))
    assert server.connections == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    "place",
    [
        *("http://{inside}/", "//{inside}/", "http://localhost:{port}/", "http://[::ffff:127.0.0.1]:{port}/"),
        *("http://2130706433:{port}/", "http://a@{inside}/", "http://127.1:{port}/", "http:\\\\{inside}/"),
        *("http://169.254.169.254/latest/", "http://10.0.0.1/", "http://[::1]:{port}/", "http://8.8.8.8:22/"),
        *("file:///etc/passwd", "gopher://{inside}/_", "ftp://{inside}/", "data:image/png;base64,AAAA", "javascript:1"),
    ],
)
async def test_redirect_to_where_no_url_may_lead_is_refused(fetcher: Fetcher, canary: Server, place: str) -> None:
    policy = FetchPolicy(allow_private=(ip_network("127.0.0.2/32"),))
    place = place.replace("{inside}", f"{LOOPBACK}:{canary.port}").replace("{port}", str(canary.port))
    async with serving(redirecting(("302", place)), host="127.0.0.2") as server:
        error = await refusal(fetcher, f"http://127.0.0.2:{server.port}/", policy)
    assert server.connections == 1
    assert error.code in ("scheme", "host", "blocked")


@pytest.mark.anyio
async def test_redirects_end(fetcher: Fetcher) -> None:
    async with serving(redirecting(*[("302", "/again")] * 10)) as server:
        assert (await refusal(fetcher, server.url, OPEN)).code == "redirects"
    assert server.connections == 4


@pytest.mark.anyio
@pytest.mark.parametrize("headers", [(), ("Location: /a", "Location: /b")], ids=["nowhere", "two places"])
async def test_redirect_without_one_place_to_go_is_refused(fetcher: Fetcher, headers: tuple[str, ...]) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"", status="302 Found", headers=headers))

    async with serving(script) as server:
        assert (await refusal(fetcher, server.url, OPEN)).code == "redirects"


@pytest.mark.anyio
async def test_redirect_from_https_to_http_is_refused(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    async def redirects(*_: object) -> str:
        return "http://good.example/"

    monkeypatch.setattr(Fetcher, "_visit", redirects)
    assert (await refusal(fetcher, "https://good.example/", OPEN)).code == "scheme"


@pytest.mark.anyio
async def test_trusted_origin_may_redirect_within_itself_and_not_to_its_neighbours(
    fetcher: Fetcher, canary: Server
) -> None:
    async with serving(redirecting(("302", "/b.png"))) as server:
        policy = FetchPolicy(trusted_origin=server.url)
        assert (await fetcher.fetch(f"{server.url}/a.png", policy=policy, deadline=soon())).data == PICTURE
    async with serving(redirecting(("302", f"http://{LOOPBACK}:{canary.port}/"))) as server:
        policy = FetchPolicy(trusted_origin=server.url)
        assert (await refusal(fetcher, f"{server.url}/a.png", policy)).code == "blocked"


@pytest.mark.anyio
async def test_stranger_cannot_redirect_to_the_trusted_origin(fetcher: Fetcher, canary: Server) -> None:
    async with serving(redirecting(("302", f"{canary.url}/")), host="127.0.0.2") as stranger:
        policy = FetchPolicy(allow_private=(ip_network("127.0.0.2/32"),), trusted_origin=canary.url)
        error = await refusal(fetcher, f"http://127.0.0.2:{stranger.port}/", policy)
    assert error.code == "blocked"


@pytest.mark.anyio
async def test_key_is_not_sent_to_the_host_that_serves_the_picture(fetcher: Fetcher) -> None:
    async def provider(c: Connection) -> None:
        await c.request()
        await c.send(answer(b'{"url": "there"}', headers=("Set-Cookie: session=planted",)))

    async with (
        serving(provider) as paid,
        serving(redirecting(("302", "/b.png"))) as storage,
        Transport() as transport,
    ):
        target = Target(paid.url, {"Authorization": "Bearer sk-planted", "X-Api-Key": "sk-planted"})
        request = WireRequest("POST", "/images", json={})
        assert isinstance(await transport.exchange(request, target, deadline=soon()), WireReply)
        await fetcher.fetch(f"{storage.url}/a.png", policy=OPEN, deadline=soon())
    assert len(storage.requests) == 2
    for request_ in storage.requests:
        lines = request_.decode().strip().split("\r\n")[1:]
        assert {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines} == {
            "host": f"{LOOPBACK}:{storage.port}",
            "accept": "*/*",
            "accept-encoding": "identity",
            "user-agent": "imagegate",
            "connection": "close",
        }
