"""Requests that two readers could understand differently. None of them may bring a second one in with it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.raw import Witness, answer, connected, guarded, refused, until_closed

HOST = b"Host: a.example\r\n"
SECOND = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
CHUNKED = b"0\r\n\r\n"


def head(*lines: bytes, line: bytes = b"POST /first HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: a.example", *lines]) + b"\r\n\r\n"


LENGTHS = {
    "both": head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + CHUNKED,
    "both, the other way round": head(b"Transfer-Encoding: chunked", b"Content-Length: 5") + CHUNKED,
    "both, the length 0": head(b"Content-Length: 0", b"Transfer-Encoding: chunked") + CHUNKED,
    "two lengths": head(b"Content-Length: 0", b"Content-Length: 44"),
    "two equal lengths": head(b"Content-Length: 0", b"Content-Length: 0"),
    "a list of lengths": head(b"Content-Length: 0, 44"),
    "a list of equal lengths": head(b"Content-Length: 0, 0"),
    "plus": head(b"Content-Length: +0"),
    "minus": head(b"Content-Length: -1"),
    "negative zero": head(b"Content-Length: -0"),
    "hexadecimal": head(b"Content-Length: 0x0"),
    "zeros before": head(b"Content-Length: 00"),
    "octal": head(b"Content-Length: 05") + b"aaaaa",
    "a fraction": head(b"Content-Length: 0.0"),
    "an exponent": head(b"Content-Length: 0e0"),
    "underscores within": head(b"Content-Length: 1_0"),
    "words after": head(b"Content-Length: 0 bytes"),
    "quoted": head(b'Content-Length: "0"'),
    "empty": head(b"Content-Length:"),
    "blank": head(b"Content-Length:  "),
    "too large": head(b"Content-Length: 18446744073709551616"),
    "vertical tab": head(b"Content-Length:\x0b0"),
    "a semicolon": head(b"Content-Length: 0;"),
    "full-width digits": head("Content-Length: \uff10".encode()),
    "space before colon": head(b"Content-Length : 0"),
    "tab before colon": head(b"Content-Length\t: 0"),
    "underscored length": head(b"Content_Length: 44"),
    "length folded": head(b"Content-Length:\r\n 0"),
}

CODINGS = {
    "space before colon": head(b"Transfer-Encoding : chunked") + CHUNKED,
    "tab before colon": head(b"Transfer-Encoding\t: chunked") + CHUNKED,
    "underscored": head(b"Transfer_Encoding: chunked") + CHUNKED,
    "unknown": head(b"Transfer-Encoding: xchunked") + CHUNKED,
    "chunked and more": head(b"Transfer-Encoding: chunkedx") + CHUNKED,
    "identity": head(b"Transfer-Encoding: identity") + CHUNKED,
    "gzip": head(b"Transfer-Encoding: gzip") + CHUNKED,
    "gzip, chunked": head(b"Transfer-Encoding: gzip, chunked") + CHUNKED,
    "identity, chunked": head(b"Transfer-Encoding: identity, chunked") + CHUNKED,
    "chunked, identity": head(b"Transfer-Encoding: chunked, identity") + CHUNKED,
    "chunked twice": head(b"Transfer-Encoding: chunked, chunked") + CHUNKED,
    "two headers": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + CHUNKED,
    "two different headers": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x") + CHUNKED,
    "two different headers, the other way": head(b"Transfer-Encoding: x", b"Transfer-Encoding: chunked") + CHUNKED,
    "quoted": head(b'Transfer-Encoding: "chunked"') + CHUNKED,
    "with a parameter": head(b"Transfer-Encoding: chunked;a=b") + CHUNKED,
    "comma first": head(b"Transfer-Encoding: ,chunked") + CHUNKED,
    "comma last": head(b"Transfer-Encoding: chunked,") + CHUNKED,
    "vertical tab": head(b"Transfer-Encoding:\x0bchunked") + CHUNKED,
    "zero byte": head(b"Transfer-Encoding: chunked\x00") + CHUNKED,
    "folded": head(b"Transfer-Encoding:\r\n chunked") + CHUNKED,
    "folded before": head(b"X: y\r\n Transfer-Encoding: chunked") + CHUNKED,
    "in HTTP/1.0": head(b"Transfer-Encoding: chunked", line=b"POST /first HTTP/1.0") + CHUNKED,
    "empty": head(b"Transfer-Encoding:") + CHUNKED,
    "bare CR before": head(b"X: y\rTransfer-Encoding: chunked") + CHUNKED,
    "bare LF before": head(b"X: y\nTransfer-Encoding: chunked") + CHUNKED,
}

LINES = {
    "no Host": b"GET /first HTTP/1.1\r\n\r\n",
    "two Hosts": head(b"Host: b.example"),
    "two equal Hosts": head(b"Host: a.example"),
    "Host in lower case again": head(b"host: b.example"),
    "empty Host": b"GET /first HTTP/1.1\r\nHost:\r\n\r\n",
    "Host with a path": b"GET /first HTTP/1.1\r\nHost: a.example/b\r\n\r\n",
    "Host with a user": b"GET /first HTTP/1.1\r\nHost: x@a.example\r\n\r\n",
    "Host with a comma": b"GET /first HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n",
    "Host with a space": b"GET /first HTTP/1.1\r\nHost: a.example b.example\r\n\r\n",
    "Host with a space before the colon": b"GET /first HTTP/1.1\r\nHost : a.example\r\n\r\n",
    "fold at the start": b"GET /first HTTP/1.1\r\n Host: a.example\r\n\r\n",
    "a header without a colon": head(b"nonsense"),
    "a header without a name": head(b": y"),
    "a name with a space": head(b"X Y: z"),
    "a name that is not ASCII": head("Ä: z".encode()),
    "a zero byte": head(b"X: a\x00b"),
    "bare line feeds": b"GET /first HTTP/1.1\nHost: a.example\n\n",
    "bare line feed at the end": b"GET /first HTTP/1.1\r\nHost: a.example\r\n\n",
    "bare carriage returns": b"GET /first HTTP/1.1\rHost: a.example\r\r",
    "HTTP/0.9": b"GET /first\r\n\r\n",
    "HTTP/1.2": head(line=b"GET /first HTTP/1.2"),
    "HTTP/2.0": head(line=b"GET /first HTTP/2.0"),
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http in lower case": head(line=b"GET /first http/1.1"),
    "words after the version": head(line=b"GET /first HTTP/1.1 x"),
    "a space in the target": head(line=b"GET /first second HTTP/1.1"),
    "a tab for a space": head(line=b"GET\t/first\tHTTP/1.1"),
    "a fragment": head(line=b"GET /first#x HTTP/1.1"),
    "a target that is not ASCII": head(line="GET /ä HTTP/1.1".encode()),
    "a target without a slash": head(line=b"GET first HTTP/1.1"),
    "another scheme": head(line=b"GET ftp://a.example/first HTTP/1.1"),
    "a user in the target": head(line=b"GET http://x@a.example/first HTTP/1.1"),
    "the asterisk": head(line=b"OPTIONS * HTTP/1.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
}

METHODS = {
    "CONNECT": head(line=b"CONNECT b.example:80 HTTP/1.1"),
    "CONNECT to a path": head(line=b"CONNECT /first HTTP/1.1"),
    "RTSP": head(line=b"DESCRIBE /first RTSP/1.0"),
    "TRACE": head(line=b"TRACE /first HTTP/1.1"),
    "PURGE": head(line=b"PURGE /first HTTP/1.1"),
}

CHUNKS = {
    "hexadecimal prefix": b"0x1\r\na\r\n0\r\n\r\n",
    "space before": b" 1\r\na\r\n0\r\n\r\n",
    "space after": b"1 \r\na\r\n0\r\n\r\n",
    "plus": b"+1\r\na\r\n0\r\n\r\n",
    "minus": b"-1\r\na\r\n0\r\n\r\n",
    "underscore": b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n",
    "too large": b"10000000000000001\r\na\r\n0\r\n\r\n",
    "no size": b"\r\na\r\n0\r\n\r\n",
    "letters": b"g\r\na\r\n0\r\n\r\n",
    "longer than said": b"1\r\nab\r\n0\r\n\r\n",
    "bare LF after the size": b"1\na\r\n0\r\n\r\n",
    "bare CR after the size": b"1\ra\r\n0\r\n\r\n",
    "bare LF after the data": b"1\r\na\n0\r\n\r\n",
    "LF in an extension": b"1;a=\nb\r\na\r\n0\r\n\r\n",
    "CR in an extension": b"1;a=\rb\r\na\r\n0\r\n\r\n",
    "bare LF at the end": b"1\r\na\r\n0\n\n",
    "a length in the trailer": b"1\r\na\r\n0\r\nContent-Length: 9\r\n\r\n",
    "a folded trailer": b"1\r\na\r\n0\r\nX: y\r\n z\r\n\r\n",
}


@pytest.fixture(scope="module")
def witness() -> Witness:
    return Witness()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, witness: Witness) -> Iterator[int]:
    with guarded(tmp_path_factory.mktemp("guarded"), witness) as found:
        yield found


def smuggled(port: int, witness: Witness, request: bytes) -> bytes:
    """The answer to a request with another behind it, after seeing that neither came through whole."""
    witness.seen.clear()
    witness.whole.clear()
    with connected(port) as connection:
        connection.sendall(request + SECOND)
        received = until_closed(connection)
    assert "/smuggled" not in witness.seen
    assert witness.whole == []
    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", received)) == 1
    return received


@pytest.mark.parametrize("name", LENGTHS)
def test_a_body_whose_length_is_open_to_doubt_is_refused(port: int, witness: Witness, name: str) -> None:
    refused(smuggled(port, witness, LENGTHS[name]), 400, "invalid_value")


@pytest.mark.parametrize("name", CODINGS)
def test_a_body_whose_coding_is_open_to_doubt_is_refused(port: int, witness: Witness, name: str) -> None:
    refused(smuggled(port, witness, CODINGS[name]), 400, "invalid_value")


@pytest.mark.parametrize("name", LINES)
def test_a_head_that_others_read_differently_is_refused(port: int, witness: Witness, name: str) -> None:
    refused(smuggled(port, witness, LINES[name]), 400, "invalid_value")


@pytest.mark.parametrize("name", METHODS)
def test_what_could_make_a_tunnel_or_a_mirror_of_us_is_refused(port: int, witness: Witness, name: str) -> None:
    refused(smuggled(port, witness, METHODS[name]), 405, "method_not_allowed")


@pytest.mark.parametrize("name", CHUNKS)
def test_a_chunk_that_others_read_differently_is_refused(port: int, witness: Witness, name: str) -> None:
    request = head(b"Transfer-Encoding: chunked") + CHUNKS[name]
    refused(smuggled(port, witness, request), 400, "invalid_value")


@pytest.mark.parametrize("name", [*LENGTHS][:6])
def test_it_makes_no_difference_how_the_bytes_are_cut(port: int, witness: Witness, name: str) -> None:
    witness.seen.clear()
    with connected(port) as connection:
        try:
            for byte in LENGTHS[name] + SECOND:
                connection.send(bytes([byte]))
        except (BrokenPipeError, ConnectionResetError):
            pass
        received = until_closed(connection)
    assert "/smuggled" not in witness.seen
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(LENGTHS) + len(CODINGS) + len(LINES) + len(METHODS) + len(CHUNKS) >= 100


def test_what_follows_a_sound_request_and_is_not_sound_takes_nothing_from_it(port: int, witness: Witness) -> None:
    witness.seen.clear()
    with connected(port) as connection:
        connection.sendall(head(b"Content-Length: 2") + b"ab" + head(b"Content-Length: +1"))
        received = until_closed(connection)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"/first")
    assert witness.seen == ["/first"]


@pytest.mark.parametrize(
    "request_",
    [
        head(b"Connection: Upgrade", b"Upgrade: websocket", line=b"GET /first HTTP/1.1"),
        head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"Content-Length: 2") + b"ab",
        head(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 0"),
        head(b"Connection: Upgrade", b"Upgrade: h2c", b"Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n\r\n",
    ],
)
def test_another_protocol_that_is_offered_is_not_taken_up(port: int, witness: Witness, request_: bytes) -> None:
    witness.seen.clear()
    with connected(port) as connection:
        connection.sendall(request_ + SECOND)
        received = until_closed(connection)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert witness.seen == ["/first"]


def test_trailers_never_become_headers(port: int, witness: Witness) -> None:
    witness.headers.clear()
    trailers = b"1\r\na\r\n0\r\nAuthorization: Bearer other\r\nHost: b.example\r\nX-Y: z\r\n\r\n"
    with connected(port) as connection:
        connection.sendall(head(b"Transfer-Encoding: chunked", b"Trailer: Authorization") + trailers)
        assert answer(connection)[0] == 200
        connection.sendall(head(line=b"GET /next HTTP/1.1"))
        assert answer(connection)[2] == b"/next"
    assert [sorted(each) for each in witness.headers] == [["host", "trailer", "transfer-encoding"], ["host"]]


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://b.example/first?x=1", "/first", "b.example"),
        (b"https://b.example:8443/first", "/first", "b.example:8443"),
        (b"http://b.example", "/", "b.example"),
        (b"http://b.example?x=1", "/", "b.example"),
        (b"//first", "//first", "a.example"),
        (b"/a/../first", "/a/../first", "a.example"),
    ],
)
def test_a_target_in_full_speaks_for_the_host(port: int, witness: Witness, target: bytes, path: str, host: str) -> None:
    witness.headers.clear()
    witness.seen.clear()
    with connected(port) as connection:
        connection.sendall(head(line=b"GET " + target + b" HTTP/1.1"))
        assert answer(connection)[0] == 200
    assert witness.seen == [path]
    assert witness.headers[0]["host"] == host


@pytest.mark.parametrize("lines", [(), (b"Host: a.example",), (b"Host: [::1]:8000", b"Content-Length: 0")])
def test_http_1_0_is_served_with_or_without_a_host(port: int, lines: tuple[bytes, ...]) -> None:
    with connected(port) as connection:
        connection.sendall(b"\r\n".join([b"GET /old HTTP/1.0", *lines]) + b"\r\n\r\n")
        received = until_closed(connection)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"/old")
