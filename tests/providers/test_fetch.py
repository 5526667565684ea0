"""A URL that somebody else named leads where it may, and nowhere else: the canary must never see a connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import aiohttp
import pytest
from yarl import URL

from providers import fetch as module
from providers.fetch import Fetched, Fetcher, FetchPolicy, PinnedConnector, Unpinned
from providers.resolver import SystemResolver
from providers.transport import causes_of, trust
from tests.providers import fetching
from tests.providers.fetching import OPEN, PICTURE, Names, refusal, serves_a_picture
from tests.providers.sockets import LOOPBACK, Connection, Server, closed_port, serving, soon

names = fetching.names
fetcher = fetching.fetcher
canary = fetching.canary


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


@pytest.mark.anyio
async def test_http_is_refused_where_the_policy_says_so(fetcher: Fetcher, canary: Server) -> None:
    policy = FetchPolicy(allow_private=OPEN.allow_private, allow_http=False)
    assert (await refusal(fetcher, canary.url, policy)).code == "scheme"


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
async def test_proxy_from_the_environment_is_not_used(
    fetcher: Fetcher, canary: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, canary.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with serving(serves_a_picture) as server:
        assert (await fetcher.fetch(server.url, policy=OPEN, deadline=soon())).data == PICTURE
