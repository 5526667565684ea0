"""A URL that somebody else named leads where it may, and nowhere else: the canary must never see a connection."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address, ip_network

import aiohttp
import pytest
from yarl import URL

from providers import fetch as module
from providers.base import WireReply, WireRequest
from providers.fetch import Fetched, Fetcher, FetchPolicy, PinnedConnector, Unfetchable, Unpinned, least_seconds
from providers.resolver import SystemResolver
from providers.transport import Target, Transport, causes_of, trust
from tests.providers.sockets import LOOPBACK, Connection, Script, Server, answer, closed_port, serving

CLOSED = FetchPolicy()
OPEN = FetchPolicy(allow_private=(ip_network("127.0.0.0/8"),))
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(1000)


class Names:
    """A resolver that knows what a test tells it, and remembers what it was asked."""

    def __init__(self, **answers: Sequence[str]) -> None:
        self.answers = {name.replace("_", "."): found for name, found in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        if name not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.answers[name]


@pytest.fixture
def names() -> Names:
    return Names(good_example=[LOOPBACK], localhost=[LOOPBACK])


@pytest.fixture
async def fetcher(names: Names) -> AsyncIterator[Fetcher]:
    async with Fetcher(resolve=names, floor=lambda: 0.0) as made:
        yield made


@pytest.fixture
async def canary(anyio_backend: object) -> AsyncIterator[Server]:
    """Listens where no foreign URL may lead; at the end of the test it must have been left alone."""
    async with serving(serves_a_picture) as server:
        yield server
    assert server.connections == 0


async def serves_a_picture(c: Connection) -> None:
    await c.request()
    await c.send(answer(PICTURE, headers=("Content-Type: image/png",)))


def soon() -> float:
    return time.monotonic() + 20


async def refusal(fetcher: Fetcher, url: str, policy: FetchPolicy = CLOSED) -> Unfetchable:
    with pytest.raises(Unfetchable) as raised:
        await fetcher.fetch(url, policy=policy, deadline=soon())
    return raised.value


@pytest.mark.anyio
@pytest.mark.parametrize("host", [LOOPBACK, "good.example", "GOOD.example"])
async def test_picture_is_fetched_from_where_it_may(fetcher: Fetcher, host: str) -> None:
    async with serving(serves_a_picture) as server:
        fetched = await fetcher.fetch(f"http://{host}:{server.port}/a.png", policy=OPEN, deadline=soon())
    assert fetched == Fetched(PICTURE, len(PICTURE), host.lower())


@pytest.mark.anyio
async def test_signed_url_arrives_to_the_letter(fetcher: Fetcher) -> None:
    path = "/bucket/a%2Fb%20c/../d.png?X-Sig=a%2Fb%3D+%7e&empty=&X=%C3%BC"
    async with serving(serves_a_picture) as server:
        await fetcher.fetch(f"{server.url}{path}#fragment", policy=OPEN, deadline=soon())
    assert server.requests[0].startswith(f"GET {path} HTTP/1.1\r\n".encode())


@pytest.mark.anyio
async def test_international_url_arrives_encoded(fetcher: Fetcher, names: Names) -> None:
    names.answers["xn--bcher-kva.example"] = [LOOPBACK]
    async with serving(serves_a_picture) as server:
        await fetcher.fetch(f"http://bücher.example:{server.port}/ä.png", policy=OPEN, deadline=soon())
    assert server.requests[0].startswith(b"GET /%C3%A4.png HTTP/1.1\r\nHost: xn--bcher-kva.example:")


SPELLINGS = [
    *("http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://good.example:{port}/", "http://[::1]:{port}/"),
    *("http://2130706433:{port}/", "http://0x7f000001:{port}/", "http://0177.0.0.1:{port}/", "http://127.1:{port}/"),
    *("http://0:{port}/", "http://0.0.0.0:{port}/", "http://[::]:{port}/", "http://127.0.0.1.:{port}/"),
    *("http://①②⑦.0.0.1:{port}/", "http://\uff11\uff12\uff17.0.0.1:{port}/", "http://127。0。0。1:{port}/"),
    *("http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/", "http://[::7f00:1]:{port}/"),
    *("http://[64:ff9b::7f00:1]:{port}/", "http://[64:ff9b:1::7f00:1]:{port}/", "http://[2002:7f00:1::]:{port}/"),
    *("http://[fe80::1%25eth0]:{port}/", "http://[::1%25lo]:{port}/", "http://[::1%lo]:{port}/"),
    *("http://8.8.8.8@127.0.0.1:{port}/", "http://a:b@127.0.0.1:{port}/", "http://@127.0.0.1:{port}/"),
    *("http://8.8.8.8\\@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\a", "http:\\\\127.0.0.1:{port}/"),
    *("http://127.0.0.1%2f.example:{port}/", "http://127.0.0.1%00.example:{port}/", "http://%3127.0.0.1:{port}/"),
    *("http://127.0.0.1:{port}/\r\nHost: evil", "http://127.0.0.1:{port}/a b", " http://127.0.0.1:{port}/"),
    *("http://127.0.0.1\t:{port}/", "http://127.0.0.1:{port}/\x00", "http://127.0.0.1:\uff18\uff10/"),
    *("http://127.0.0.1:+{port}/", "http://127.0.0.1:{port}x/", "http://127.0.0.1:999999/", "http://127.0.0.1:-1/"),
    *("http:///127.0.0.1:{port}/", "http:127.0.0.1:{port}/", "//127.0.0.1:{port}/", "127.0.0.1:{port}", "", "http://"),
    *("https://127.0.0.1:{port}/", "HTTP://LOCALHOST:{port}/", "http://loc\u200balhost:{port}/", "http://[::1/"),
    *("ftp://127.0.0.1:{port}/", "gopher://127.0.0.1:{port}/_GET", "file:///etc/passwd", "file://127.0.0.1/etc/passwd"),
    *("javascript:alert(1)", "data:image/png;base64,AAAA", "ws://127.0.0.1:{port}/", "unix:///run/docker.sock"),
    "http://127.0.0.1:{port}/" + "a" * 2048,
]


@pytest.mark.anyio
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_leads_to_this_machine(fetcher: Fetcher, canary: Server, spelling: str) -> None:
    error = await refusal(fetcher, spelling.replace("{port}", str(canary.port)))
    assert error.code in ("scheme", "host", "blocked")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
        *("[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "metadata.google.internal", "rebound.example"),
    ],
)
async def test_metadata_service_is_out_of_reach_even_when_everything_is_opened(
    fetcher: Fetcher, names: Names, host: str
) -> None:
    names.answers |= {"rebound.example": ["169.254.169.254"], "metadata.google.internal": [LOOPBACK]}
    everything = FetchPolicy(
        allow_private=(ip_network("0.0.0.0/0"), ip_network("::/0")), trusted_origin=f"http://{host}"
    )
    error = await refusal(fetcher, f"http://{host}/latest/meta-data/", everything)
    assert error.code == "blocked"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answers",
    [
        [LOOPBACK],
        ["8.8.8.8", LOOPBACK],
        [LOOPBACK, "8.8.8.8"],
        ["8.8.8.8", "::1"],
        ["8.8.8.8", "::ffff:10.0.0.1"],
        ["8.8.8.8"] * 50 + ["169.254.169.254"],
        ["fe80::1%2"],
    ],
)
async def test_name_is_refused_unless_all_its_addresses_are_public(
    fetcher: Fetcher, names: Names, answers: list[str]
) -> None:
    names.answers["mixed.example"] = answers
    assert (await refusal(fetcher, "http://mixed.example/")).code == "blocked"
    assert names.asked == ["mixed.example"]


@pytest.mark.anyio
@pytest.mark.parametrize("port", [1, 22, 25, 81, 6379, 8080, 8443])
async def test_public_address_is_reached_on_the_usual_ports_only(fetcher: Fetcher, port: int) -> None:
    assert (await refusal(fetcher, f"https://8.8.8.8:{port}/", OPEN)).code == "blocked"


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["http://public.example/", "https://public.example/", "http://public.example:443/"])
async def test_public_name_is_let_through(
    fetcher: Fetcher, names: Names, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test may leave the machine: the connection is refused here, but only after every check has passed."""
    pinned = []

    class Nowhere(PinnedConnector):
        def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
            pinned.append(info[4][0])
            raise ConnectionRefusedError

    monkeypatch.setattr(module, "PinnedConnector", Nowhere)
    names.answers["public.example"] = ["8.8.8.8"]
    assert (await refusal(fetcher, url)).code == "refused"
    assert pinned == ["8.8.8.8"]


@pytest.mark.anyio
async def test_resolver_that_changes_its_mind_cannot_move_a_checked_connection(names: Names) -> None:
    """The name flips between an address that is opened and the loopback address, at every look-up."""
    looks = 0

    async def rebinding(name: str) -> Sequence[str]:
        nonlocal looks
        looks += 1
        return ["127.0.0.2"] if looks % 2 else [LOOPBACK]

    policy = FetchPolicy(allow_private=(ip_network("127.0.0.2/32"),))
    async with (
        serving(serves_a_picture, host="127.0.0.2") as good,
        serving(serves_a_picture, port=good.port) as inside,
        Fetcher(resolve=rebinding, floor=lambda: 0.0) as fetcher,
    ):
        url = f"http://rebinding.example:{good.port}/"
        for _ in range(20):
            assert (await fetcher.fetch(url, policy=policy, deadline=soon())).data == PICTURE
            assert (await refusal(fetcher, url, policy)).code == "blocked"
    assert looks == 40, "resolved once for each fetch, and not again to connect"
    assert (good.connections, inside.connections) == (20, 0)


@pytest.mark.anyio
@pytest.mark.parametrize("host", [LOOPBACK, "anything.example"])
async def test_connector_goes_to_pinned_addresses_only(canary: Server, host: str) -> None:
    """The last line, were everything before it to fail: also where aiohttp asks no resolver."""
    unreachable = (ip_address("192.0.2.1"),) if host == LOOPBACK else (ip_address("192.0.2.1"), ip_address("::1"))
    connector = PinnedConnector(unreachable, trust())
    connector._addresses = frozenset({ip_address("198.51.100.1")})
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as raised:
            await session.get(URL(f"http://{host}:{canary.port}/"))
    assert any(isinstance(cause, Unpinned) for cause in causes_of(raised.value))


@pytest.mark.anyio
async def test_peer_is_checked_before_the_request_is_written() -> None:
    silent = asyncio.Event()

    async def script(c: Connection) -> None:
        assert await c.reader.read() == b""
        silent.set()

    async with serving(script) as server:

        class Diverted(PinnedConnector):
            def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
                self._addresses = frozenset({ip_address("198.51.100.1")})
                return socket.socket(info[0], info[1], info[2])

        async with aiohttp.ClientSession(connector=Diverted((ip_address(LOOPBACK),), trust())) as session:
            with pytest.raises(aiohttp.ClientOSError, match="checked"):
                await session.get(server.url)
        await asyncio.wait_for(silent.wait(), 10)


@pytest.mark.anyio
async def test_name_that_does_not_resolve_is_told_apart_in_the_log_alone(fetcher: Fetcher, names: Names) -> None:
    names.answers |= {"empty.example": [], "junk.example": ["not an address"]}
    for name in ("unknown.example", "empty.example", "junk.example"):
        assert (await refusal(fetcher, f"http://{name}/")).code == "dns"


@pytest.mark.anyio
async def test_slow_name_server_is_not_waited_for() -> None:
    async def never(name: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with Fetcher(resolve=never, floor=lambda: 0.0) as fetcher:
        error = await refusal(fetcher, "http://slow.example/", FetchPolicy(resolve_seconds_most=0.05))
    assert error.code == "dns"


@pytest.mark.anyio
async def test_system_resolver_gives_every_address_once() -> None:
    resolver = SystemResolver()
    assert await resolver("127.0.0.1") == ["127.0.0.1"]
    resolver.close()


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
async def test_http_is_refused_where_the_policy_says_so(fetcher: Fetcher, canary: Server) -> None:
    policy = FetchPolicy(allow_private=OPEN.allow_private, allow_http=False)
    assert (await refusal(fetcher, canary.url, policy)).code == "scheme"


async def sends_without_end(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await c.send(b"z" * 65536)


async def sends_chunks_without_end(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await c.send(b"4000\r\n" + b"z" * 0x4000 + b"\r\n")


async def declares_too_much(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", length=10**12))
    await c.silence()


async def drips(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", length=1000))
    while True:
        await c.send(b".")
        await asyncio.sleep(0.01)


async def stalls_after_the_headers(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", length=1000))
    await c.silence()


async def never_answers(c: Connection) -> None:
    await c.request()
    await c.silence()


async def sends_gzip(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"\x1f\x8b", headers=("Content-Encoding: gzip",)))


async def sends_gzip_as_transfer(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n\x1f\x8b\r\n0\r\n\r\n")


async def sends_less_than_declared(c: Connection) -> None:
    await c.request()
    await c.send(answer(PICTURE, length=len(PICTURE) + 1))


async def sends_more_than_declared(c: Connection) -> None:
    await c.request()
    await c.send(answer(PICTURE, length=len(PICTURE) - 1))


async def ends_within_a_chunk(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort")


async def speaks_another_protocol(c: Connection) -> None:
    await c.request()
    await c.send(b"220 mail.example ESMTP\r\n\r\n")


async def sends_headers_without_end(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await c.send(b"X-More: " + b"z" * 8000 + b"\r\n")


async def closes_at_once(c: Connection) -> None:
    await c.request()


async def resets(c: Connection) -> None:
    await c.request()
    c.reset()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("script", "code"),
    [
        (sends_without_end, "too_large"),
        (sends_chunks_without_end, "too_large"),
        (declares_too_much, "too_large"),
        (drips, "slow"),
        (stalls_after_the_headers, "slow"),
        (never_answers, "timeout"),
        (sends_gzip, "encoding"),
        (sends_gzip_as_transfer, "encoding"),
        (sends_less_than_declared, "refused"),
        (sends_more_than_declared, "refused"),
        (ends_within_a_chunk, "refused"),
        (speaks_another_protocol, "refused"),
        (sends_headers_without_end, "refused"),
        (closes_at_once, "refused"),
        (resets, "refused"),
    ],
)
async def test_server_that_misbehaves_gets_no_more_than_its_share(
    fetcher: Fetcher, script: Script, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PACE_GRACE_SECONDS", 0.2)
    seconds = 0.2 if script is never_answers else 10.0
    policy = FetchPolicy(bytes_most=1_000_000, seconds_most=seconds, allow_private=OPEN.allow_private)
    async with serving(script) as server:
        error = await refusal(fetcher, server.url, policy)
    assert error.code == code
    assert server.connections == 1, "a second try would be a second probe"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + PICTURE,
        answer(PICTURE, headers=("Content-Type: text/html",)),
        answer(PICTURE, headers=("Content-Encoding: identity",)),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(PICTURE), PICTURE),
    ],
    ids=["no length", "called HTML", "identity", "chunked"],
)
async def test_odd_but_complete_answer_is_taken(fetcher: Fetcher, reply: bytes) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(reply)

    async with serving(script) as server:
        assert (await fetcher.fetch(server.url, policy=OPEN, deadline=soon())).data == PICTURE


@pytest.mark.anyio
async def test_pace_is_an_average_and_a_fast_start_pays_for_a_pause(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PACE_GRACE_SECONDS", 0.05)

    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"z" * 100_000, length=100_001))
        await asyncio.sleep(0.2)
        await c.send(b"z")

    async with serving(script) as server:
        fetched = await fetcher.fetch(server.url, policy=OPEN, deadline=soon())
    assert fetched.length == 100_001


@pytest.mark.anyio
async def test_deadline_that_has_passed_ends_the_fetch(fetcher: Fetcher) -> None:
    async with serving(serves_a_picture) as server:
        with pytest.raises(Unfetchable) as raised:
            await fetcher.fetch(server.url, policy=OPEN, deadline=time.monotonic() - 1)
    assert raised.value.code == "timeout"
    assert server.requests == []


@pytest.mark.anyio
async def test_closed_port_and_plain_text_on_https_are_refused(fetcher: Fetcher) -> None:
    assert (await refusal(fetcher, f"http://{LOOPBACK}:{closed_port()}/", OPEN)).code == "refused"

    async def in_the_clear(c: Connection) -> None:
        await c.reader.read(1)
        await c.send(answer(PICTURE))

    async with serving(in_the_clear) as server:
        assert (await refusal(fetcher, f"https://{LOOPBACK}:{server.port}/", OPEN)).code == "refused"


@pytest.mark.anyio
async def test_trusted_origin_is_reached_wherever_it_resolves(fetcher: Fetcher, names: Names) -> None:
    names.answers["gpu_worker"] = [LOOPBACK]
    async with serving(serves_a_picture) as server:
        for host in (LOOPBACK, "localhost", "gpu_worker"):
            origin = f"http://{host}:{server.port}"
            policy = FetchPolicy(trusted_origin=f"{origin}/v1", allow_http=False)
            assert (await fetcher.fetch(f"{origin}/files/a.png", policy=policy, deadline=soon())).data == PICTURE


@pytest.mark.anyio
async def test_trust_covers_one_origin_exactly(fetcher: Fetcher, canary: Server) -> None:
    policy = FetchPolicy(trusted_origin=f"http://{LOOPBACK}:{closed_port()}")
    assert (await refusal(fetcher, f"http://{LOOPBACK}:{canary.port}/", policy)).code == "blocked"
    policy = FetchPolicy(trusted_origin=f"https://{LOOPBACK}:{canary.port}")
    assert (await refusal(fetcher, f"http://{LOOPBACK}:{canary.port}/", policy)).code == "blocked"
    policy = FetchPolicy(trusted_origin=f"http://localhost:{canary.port}")
    assert (await refusal(fetcher, f"http://{LOOPBACK}:{canary.port}/", policy)).code == "blocked"


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


@pytest.mark.anyio
async def test_proxy_from_the_environment_is_not_used(
    fetcher: Fetcher, canary: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, canary.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with serving(serves_a_picture) as server:
        assert (await fetcher.fetch(server.url, policy=OPEN, deadline=soon())).data == PICTURE


@pytest.mark.anyio
async def test_error_names_neither_host_nor_path(fetcher: Fetcher) -> None:
    async with serving(resets) as server:
        for url in (
            f"http://good.example:{server.port}/secret-path?sig=planted",
            "http://internal.example/secret-path",
            "http://10.1.2.3/secret-path",
        ):
            told = str(await refusal(fetcher, url, OPEN))
            for part in ("example", "10.1.2.3", "secret-path", "planted", str(server.port), LOOPBACK):
                assert part not in told


@pytest.mark.anyio
async def test_every_failure_takes_a_while_and_not_always_the_same(names: Names) -> None:
    """What is refused without a look and what was tried should not be told apart by a clock."""
    async with Fetcher(resolve=names, floor=lambda: 0.08) as fetcher:
        for url in ("http://10.0.0.1/", f"http://{LOOPBACK}:{closed_port()}/", "http://unknown.example/", "file:///"):
            began = time.monotonic()
            await refusal(fetcher, url, OPEN)
            assert time.monotonic() - began >= 0.07  # the loop's clock may be coarser
    assert len({least_seconds() for _ in range(20)}) > 1
    assert all(0.05 <= least_seconds() < 0.1 for _ in range(20))


@pytest.mark.anyio
async def test_fetch_that_is_cancelled_lets_go_of_its_connection(fetcher: Fetcher) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def script(c: Connection) -> None:
        await c.request()
        begun.set()
        await c.silence()
        gone.set()

    async with serving(script) as server:
        task = asyncio.create_task(fetcher.fetch(server.url, policy=OPEN, deadline=soon()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 10)
