"""Clients that take too much of the door: too slow, too long, too many. And honest ones, whom nothing of it stops."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.raw import Witness, answer, connected, guarded, refused, until_closed

GET = b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"


def post(path: str, length: int, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: a.example", f"Content-Length: {length}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def eventually(found: Callable[[], object]) -> None:
    """Wait for what another thread is about to do."""
    until = time.monotonic() + 20
    while not found():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


# heads


def test_a_connection_that_says_nothing_is_closed_without_a_word(tmp_path: Path) -> None:
    with guarded(tmp_path, Witness(), limits={"header_seconds": 0.2}) as port, connected(port) as connection:
        assert until_closed(connection) == b""


@pytest.mark.parametrize("sent", [b"\r\n", b"G", GET[:-2]])
def test_a_head_that_does_not_end_is_refused(tmp_path: Path, sent: bytes) -> None:
    with guarded(tmp_path, Witness(), limits={"header_seconds": 0.2}) as port, connected(port) as connection:
        connection.sendall(sent)
        error = refused(until_closed(connection), 400, "invalid_value")
    assert "0.2 seconds" in error["message"]


def test_a_head_that_comes_byte_by_byte_has_no_more_time_than_another(tmp_path: Path) -> None:
    witness = Witness()
    with guarded(tmp_path, witness, limits={"header_seconds": 0.3}) as port, connected(port) as connection:
        connection.sendall(GET[:-2] + b"X: ")
        received = trickled(connection, 1, pause=0.02)
    refused(received, 400, "invalid_value")
    assert witness.seen == []


def test_the_clock_of_a_later_head_begins_with_its_first_byte(tmp_path: Path) -> None:
    limits = {"header_seconds": 0.3, "keep_alive_seconds": 20}
    with guarded(tmp_path, Witness(), limits=limits) as port, connected(port) as connection:
        connection.sendall(GET)
        assert answer(connection)[0] == 200
        time.sleep(0.6)  # longer than a head may take: idle, and not late
        connection.sendall(GET)
        assert answer(connection)[0] == 200
        connection.sendall(GET[:10])
        refused(until_closed(connection), 400, "invalid_value")


def test_an_idle_connection_is_closed_when_its_time_is_over(tmp_path: Path) -> None:
    with guarded(tmp_path, Witness(), limits={"keep_alive_seconds": 0.2}) as port, connected(port) as connection:
        connection.sendall(GET)
        assert answer(connection)[0] == 200
        assert until_closed(connection) == b""


@pytest.mark.parametrize("whole", [True, False])
def test_headers_without_end_are_refused_while_they_come(tmp_path: Path, whole: bool) -> None:
    witness = Witness()
    with guarded(tmp_path, witness, limits={"header_bytes": 2000}) as port, connected(port) as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nHost: a.example\r\nX: " + b"y" * 3000 + (b"\r\n\r\n" if whole else b""))
        error = refused(until_closed(connection), 431, "request_too_large")
    assert "2000 bytes" in error["message"]
    assert error["type"] == "invalid_request_error"
    assert witness.seen == []


def test_more_headers_than_are_read_are_refused(tmp_path: Path) -> None:
    with guarded(tmp_path, Witness(), limits={"header_count": 5}) as port:
        with connected(port) as connection:
            connection.sendall(GET[:-2] + b"X: y\r\n" * 4 + b"\r\n")
            assert answer(connection)[0] == 200
        with connected(port) as connection:
            connection.sendall(GET[:-2] + b"X: y\r\n" * 5 + b"\r\n")
            refused(until_closed(connection), 431, "request_too_large")


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_request_is_the_same_however_its_bytes_are_cut(tmp_path: Path, cut: int) -> None:
    witness = Witness()
    request = post("/cut", 300) + b"x" * 300
    with guarded(tmp_path, witness) as port, connected(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), cut):
            connection.sendall(request[start : start + cut])
        assert answer(connection)[2] == b"/cut"
    assert witness.bodies == [b"x" * 300]


# pipelines


def test_what_is_pipelined_is_answered_in_order(tmp_path: Path) -> None:
    witness = Witness()
    with guarded(tmp_path, witness) as port, connected(port) as connection:
        connection.sendall(b"".join(post(f"/{index}", 1) + b"x" for index in range(8)))
        assert [answer(connection)[2] for _ in range(8)] == [f"/{index}".encode() for index in range(8)]
    assert witness.seen == [f"/{index}" for index in range(8)]


def test_no_more_is_pipelined_than_is_worth_holding(tmp_path: Path) -> None:
    witness = Witness()
    with guarded(tmp_path, witness) as port, connected(port) as connection:
        connection.sendall(GET.replace(b"/a", b"/held") + GET * 1000)
        eventually(lambda: witness.arrived.is_set())
        witness.release.set()
        received = until_closed(connection)
    assert received.count(b"HTTP/1.1 200 ") == len(witness.seen) == 17
    assert received.count(b"connection: close") == 1


# bodies


def test_a_body_that_stops_is_refused_and_the_application_told(tmp_path: Path) -> None:
    witness = Witness()
    with guarded(tmp_path, witness, limits={"body_idle_seconds": 0.2}) as port, connected(port) as connection:
        connection.sendall(post("/a", 10_000) + b"x" * 5000)
        error = refused(until_closed(connection), 400, "invalid_value")
        assert witness.ended.wait(20)
    assert "0.2 seconds" in error["message"]
    assert error["headers"].get("retry-after") is None
    assert witness.whole == []


def test_a_body_that_trickles_is_refused(tmp_path: Path) -> None:
    limits = {"body_idle_seconds": 0.5, "body_bytes_per_second": 10_000}
    witness = Witness()
    with guarded(tmp_path, witness, limits=limits) as port, connected(port) as connection:
        connection.sendall(post("/a", 1_000_000))
        received = trickled(connection, 50, pause=0.02)
    assert "10000 bytes a second" in refused(received, 400, "invalid_value")["message"]
    assert witness.whole == []


def trickled(connection: socket.socket, size: int, *, pause: float) -> bytes:
    """Send a little at a time until something comes back."""
    connection.settimeout(pause)
    for _ in range(1000):
        try:
            connection.sendall(b"x" * size)
            return connection.recv(65536)
        except TimeoutError:
            continue
    raise AssertionError("nothing came")


def test_without_a_rate_only_silence_ends_a_body(tmp_path: Path) -> None:
    limits = {"body_idle_seconds": 0.5, "body_bytes_per_second": 0}
    witness = Witness()
    with guarded(tmp_path, witness, limits=limits) as port, connected(port) as connection:
        connection.sendall(post("/a", 60))
        for _ in range(60):
            connection.sendall(b"x")
            time.sleep(0.02)
        assert answer(connection)[0] == 200
    assert witness.bodies == [b"x" * 60]


def test_an_honest_upload_may_take_its_time(tmp_path: Path) -> None:
    limits = {"body_idle_seconds": 0.3, "body_bytes_per_second": 5000}
    witness = Witness()
    with guarded(tmp_path, witness, limits=limits) as port, connected(port) as connection:
        connection.sendall(post("/a", 40_000))
        for _ in range(40):
            connection.sendall(b"x" * 1000)
            time.sleep(0.03)
        assert answer(connection)[0] == 200
        connection.sendall(GET)
        assert answer(connection)[0] == 200
    assert witness.bodies[0] == b"x" * 40_000


def test_a_small_body_that_comes_late_is_no_slow_one(tmp_path: Path) -> None:
    limits = {"body_idle_seconds": 1, "body_bytes_per_second": 5000}
    with guarded(tmp_path, Witness(), limits=limits) as port, connected(port) as connection:
        connection.sendall(post("/a", 2))
        time.sleep(0.3)
        connection.sendall(b"{}")
        assert answer(connection)[0] == 200


@pytest.mark.parametrize("flood", [b"1;" + b"e" * 500_000, b"0\r\nX: " + b"y" * 500_000, b"1\r\n", b"0\r\nX"])
def test_what_is_said_beside_a_chunked_body_is_bounded(tmp_path: Path, flood: bytes) -> None:
    limits = {"body_idle_seconds": 0.5, "header_bytes": 4000}
    with guarded(tmp_path, Witness(), limits=limits) as port, connected(port) as connection:
        connection.sendall(b"POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(flood)
        refused(until_closed(connection), 400, "invalid_value")


def test_chunks_of_one_byte_are_served(tmp_path: Path) -> None:
    witness = Witness()
    with guarded(tmp_path, witness, limits={"header_bytes": 2000}) as port, connected(port) as connection:
        connection.sendall(b"POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
        assert answer(connection)[0] == 200
    assert witness.bodies == [b"x" * 20_000]


def test_an_upload_waits_for_leave_and_gets_it(tmp_path: Path) -> None:
    witness = Witness()
    with guarded(tmp_path, witness) as port, connected(port) as connection:
        connection.sendall(post("/a", 3_000_000, "Expect: 100-continue"))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"x" * 3_000_000)
        assert answer(connection)[0] == 200
        connection.sendall(GET)
        assert answer(connection)[0] == 200
    assert [len(body) for body in witness.bodies] == [3_000_000, 0]


def test_an_upload_that_was_not_given_leave_ends_its_connection(tmp_path: Path) -> None:
    witness = Witness()
    with guarded(tmp_path, witness) as port, connected(port) as connection:
        connection.sendall(post("/early", len(GET), "Expect: 100-continue"))
        assert answer(connection)[0] == 200
        assert until_closed(connection) == b""
    assert witness.seen == ["/early"]


def test_a_body_that_nobody_wants_may_end_and_the_connection_goes_on(tmp_path: Path) -> None:
    limits = {"keep_alive_seconds": 0.3}
    with guarded(tmp_path, Witness(), limits=limits) as port, connected(port) as connection:
        connection.sendall(post("/early", 500_000) + b"x")
        assert answer(connection)[2] == b"/early"
        connection.sendall(b"x" * 499_999)
        connection.sendall(GET)
        assert answer(connection)[2] == b"/a"
        assert until_closed(connection) == b""


def test_the_connection_is_still_under_a_clock_when_such_a_body_has_ended(tmp_path: Path) -> None:
    limits = {"keep_alive_seconds": 0.3}
    with guarded(tmp_path, Witness(), limits=limits) as port, connected(port) as connection:
        connection.sendall(post("/early", 10) + b"x")
        assert answer(connection)[2] == b"/early"
        connection.sendall(b"x" * 9)
        assert until_closed(connection) == b""


@pytest.mark.parametrize("limits", [{"body_seconds": 0.3}, {"body_idle_seconds": 0.3}])
def test_a_body_that_nobody_wants_is_not_waited_for(tmp_path: Path, limits: dict[str, Any]) -> None:
    with guarded(tmp_path, Witness(), limits=limits) as port, connected(port) as connection:
        connection.sendall(post("/early", 500_000) + b"x")
        assert answer(connection)[2] == b"/early"
        assert until_closed(connection) == b""


# readers


def test_who_stops_reading_is_cut_and_what_was_held_is_let_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    witness = Witness(large=64 * 1024 * 1024)
    with (
        caplog.at_level(logging.WARNING, "imagegate.serving"),
        guarded(tmp_path, witness, limits={"answer_idle_seconds": 0.3}) as port,
        connected(port) as connection,
    ):
        connection.sendall(GET.replace(b"/a", b"/large"))
        assert connection.recv(1)
        assert witness.ended.wait(20)
        assert len(until_closed(connection)) < witness.large
    assert "reads its answer too slowly" in caplog.text


def test_who_reads_a_little_now_and_then_is_cut_as_well(tmp_path: Path) -> None:
    witness = Witness(large=64 * 1024 * 1024)
    limits = {"answer_idle_seconds": 0.3, "answer_bytes_per_second": 100_000_000}
    with guarded(tmp_path, witness, limits=limits) as port, connected(port) as connection:
        connection.sendall(GET.replace(b"/a", b"/large"))
        while not witness.ended.is_set():
            assert len(connection.recv(100_000)) > 0
            time.sleep(0.02)
        assert len(until_closed(connection)) < witness.large


def test_the_rest_of_an_answer_is_under_a_clock_too(tmp_path: Path) -> None:
    """The application is done with it; the bytes are still held."""
    witness = Witness(large=8 * 1024 * 1024)
    with guarded(tmp_path, witness, limits={"answer_idle_seconds": 0.3}) as port, tiny(port) as connection:
        connection.sendall(GET.replace(b"/a", b"/large").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert witness.ended.wait(20)
        assert len(until_closed(connection)) < witness.large


def tiny(port: int) -> socket.socket:
    """A connection whose system takes little before the client reads it."""
    connection = socket.socket()
    connection.settimeout(20)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    return connection


def test_an_honest_reader_may_take_its_time(tmp_path: Path) -> None:
    witness = Witness(large=16 * 1024 * 1024)
    limits = {"answer_idle_seconds": 0.4, "answer_bytes_per_second": 1024}
    received = 0
    with guarded(tmp_path, witness, limits=limits) as port, connected(port) as connection:
        connection.sendall(GET.replace(b"/a", b"/large"))
        for _ in range(80):
            received += len(connection.recv(65536))
            time.sleep(0.02)
        while received < witness.large:
            received += len(connection.recv(1024 * 1024))
        assert witness.ended.wait(20)


def test_a_stream_with_little_to_say_is_not_slow(tmp_path: Path) -> None:
    limits = {"answer_idle_seconds": 0.05, "answer_bytes_per_second": 1_000_000}
    with guarded(tmp_path, Witness(), limits=limits) as port, connected(port) as connection:
        connection.sendall(GET.replace(b"/a", b"/drip"))
        assert answer(connection)[2] == b"/drip"


# connections


def test_a_connection_too_many_is_told_so_and_closed(tmp_path: Path) -> None:
    with guarded(tmp_path, Witness(), limits={"connections": 2}) as port:
        with connected(port) as first, connected(port) as second:
            for connection in (first, second):
                connection.sendall(GET)
                assert answer(connection)[0] == 200
            with connected(port) as third:
                error = refused(until_closed(third), 503, "overloaded")
            assert error["type"] == "server_error"
            assert error["headers"]["retry-after"] == "5"
            assert error["headers"]["x-should-retry"] == "true"
            first.sendall(GET)
            assert answer(first)[0] == 200
        eventually(lambda: served(port))


def served(port: int) -> bool:
    with connected(port) as connection:
        connection.sendall(GET)
        return connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_this_machine_stands_for_many_clients(tmp_path: Path) -> None:
    with (
        guarded(tmp_path, Witness(), limits={"connections_per_address": 1}) as port,
        connected(port) as first,
        connected(port) as second,
    ):
        for connection in (first, second):
            connection.sendall(GET)
            assert answer(connection)[0] == 200


# the server as a whole


def test_a_client_that_leaves_is_noticed_behind_what_it_pipelined(tmp_path: Path) -> None:
    witness = Witness()
    with guarded(tmp_path, witness) as port:
        with connected(port) as connection:
            connection.sendall(GET.replace(b"/a", b"/held"))
            assert witness.arrived.wait(20)
        witness.release.set()
        assert witness.ended.wait(20)
        assert served(port)
