"""The proxy does to a connection what it was told, and knows what passed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.faults.happenings import DROPPED, NOTHING, Fault, own
from tests.faults.proxy import TLS, Proxy, fault_proxy
from tests.simulators.http import Answer, Received, serving

BODY = b"0123456789"
ANSWER = b"the provider's own words"
RESET = (httpx.NetworkError, httpx.RemoteProtocolError)
"""A reset is told as whatever the client was doing, sometimes as a failure to connect."""


class Upstream:
    def __init__(self) -> None:
        self.received: list[Received] = []

    async def handle(self, received: Received) -> Answer:
        self.received.append(received)
        return Answer(body=ANSWER)


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[Proxy]:
    with serving(upstream.handle) as origin, fault_proxy(origin) as found:
        yield found


def post(proxy: Proxy, path: str = "/submit") -> httpx.Response:
    return httpx.post(proxy.origin + path, content=BODY, timeout=20)


def test_what_nothing_is_told_about_passes_whole(proxy: Proxy, upstream: Upstream) -> None:
    answer = post(proxy)
    assert (answer.content, answer.headers["connection"]) == (ANSWER, "close")
    assert upstream.received[0].body == BODY
    (exchange,) = proxy.exchanges
    assert (exchange.forwarded, exchange.told, exchange.purpose) == (True, True, "submit")


@pytest.mark.parametrize(
    ("fault", "read"),
    [
        (Fault(read=0, end="reset"), 0),
        (Fault(read=7, end="reset"), 7),
        (Fault(read=7, end="close"), 7),
        (Fault(read=4, in_body=True, end="reset"), None),
    ],
)
def test_a_connection_can_end_anywhere_in_the_request(
    fault: Fault, read: int | None, proxy: Proxy, upstream: Upstream
) -> None:
    proxy.next(fault)
    with pytest.raises(RESET):
        post(proxy)
    (exchange,) = proxy.exchanges
    assert exchange.request.endswith(BODY[:4]) if read is None else len(exchange.request) == read
    assert (exchange.forwarded, exchange.told, upstream.received) == (False, False, [])
    assert post(proxy).content == ANSWER, "one fault is for one request"


@pytest.mark.parametrize(
    ("fault", "forwarded", "error"),
    [
        (DROPPED, True, httpx.RemoteProtocolError),
        (Fault(answer=NOTHING, end="reset"), True, httpx.ReadError),
        (Fault(forward=False, answer=NOTHING, end="close"), False, httpx.RemoteProtocolError),
        (Fault(upto=12, end="close"), True, httpx.RemoteProtocolError),
        (Fault(upto=5, in_body=True, end="close"), True, httpx.RemoteProtocolError),
        (Fault(upto=-1, end="reset"), True, httpx.ReadError),
        (Fault(forward=False, answer=b"what is this\r\n\r\n"), False, httpx.RemoteProtocolError),
    ],
)
def test_an_answer_can_be_lost_whether_or_not_the_work_was_done(
    fault: Fault, forwarded: bool, error: type[Exception], proxy: Proxy, upstream: Upstream
) -> None:
    proxy.next(fault)
    with pytest.raises(error):
        post(proxy)
    (exchange,) = proxy.exchanges
    assert (exchange.forwarded, exchange.told) == (forwarded, False)
    assert len(upstream.received) == forwarded


def test_an_answer_can_be_another_and_only_a_refusal_leaves_no_doubt(proxy: Proxy, upstream: Upstream) -> None:
    for status in (200, 404, 429, 502):
        proxy.next(Fault(forward=status == 502, answer=own(status, b"{}", retry_after="7")))
    answers = [post(proxy) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 404, 429, 502]
    assert answers[0].headers["retry-after"] == "7"
    assert [exchange.told for exchange in proxy.exchanges] == [False, True, True, False]
    assert len(upstream.received) == 1


def test_an_answer_can_come_by_the_byte(proxy: Proxy) -> None:
    proxy.next(Fault(drip=True))
    assert post(proxy).content == ANSWER


def test_an_answer_waits_until_it_is_let_go(proxy: Proxy, upstream: Upstream) -> None:
    proxy.next(Fault(hold=True))
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(post(proxy)))
    thread.start()
    assert proxy.held.wait(20)
    assert (len(upstream.received), answers) == (1, [])
    proxy.release()
    thread.join(20)
    assert answers[0].content == ANSWER


def test_who_is_never_read_gets_no_answer(proxy: Proxy, upstream: Upstream) -> None:
    proxy.next(Fault(read=0, end="hold"))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{proxy.origin}/submit", content=BODY, timeout=0.2)
    proxy.reset()
    assert upstream.received == []


def test_nobody_listens_while_it_refuses(proxy: Proxy) -> None:
    with proxy.refusing(), pytest.raises(httpx.ConnectError):
        post(proxy)
    assert post(proxy).content == ANSWER


def test_faults_wait_for_their_kind_of_request_and_some_stay(proxy: Proxy) -> None:
    proxy.next(Fault(on="poll", forward=False, answer=own(404, b"")))
    proxy.always(Fault(on="picture", forward=False, answer=own(403, b"")))
    seen = [httpx.get(proxy.origin + path).status_code for path in ("/files/a", "/v2/jobs/a", "/v2/jobs/a", "/files/a")]
    assert (post(proxy).status_code, seen) == (200, [403, 404, 200, 403])
    proxy.reset()
    assert httpx.get(f"{proxy.origin}/files/a").status_code == 200


def test_a_connection_that_is_kept_can_be_closed_on_its_second_request(upstream: Upstream) -> None:
    with serving(upstream.handle) as origin, fault_proxy(origin, keep_alive=True) as proxy:
        proxy.next(Fault(), Fault(forward=False, answer=NOTHING, end="close"))
        with httpx.Client() as client:
            assert client.post(f"{proxy.origin}/submit", content=BODY).content == ANSWER
            with pytest.raises(httpx.RemoteProtocolError):
                client.post(f"{proxy.origin}/submit", content=BODY)
    assert len(upstream.received) == 1


def test_a_client_of_tls_meets_a_server_that_speaks_none(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 20) as client:
        client.sendall(TLS + b"\x03\x01 and so on")
        assert client.recv(100).startswith(b"HTTP/1.1 400")
