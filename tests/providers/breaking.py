"""Peers that end or spoil an exchange, each at another moment.

Of a submission the stage that was reached matters most: it says what may have been bought.
"""

from __future__ import annotations

from tests.providers.sockets import Connection, answer


async def resets_before_the_body(c: Connection) -> None:
    await c.head()
    c.reset()


async def closes_before_the_body(c: Connection) -> None:
    await c.head()


async def resets_during_the_body(c: Connection) -> None:
    await c.reader.readexactly(300_000)
    c.reset()


async def closes_during_the_body(c: Connection) -> None:
    await c.reader.readexactly(300_000)


async def resets_after_the_body(c: Connection) -> None:
    await c.request()
    c.reset()


async def closes_after_the_body(c: Connection) -> None:
    await c.request()


async def closes_within_the_headers(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nContent-Le")


async def resets_within_the_headers(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    c.reset()


async def closes_after_the_headers(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", length=100))


async def closes_short_of_the_length(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"x" * 99, length=100))


async def closes_within_a_chunk(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort")


async def closes_without_the_last_chunk(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")


async def speaks_another_protocol(c: Connection) -> None:
    await c.request()
    await c.send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


async def sends_gzip(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"\x1f\x8b", headers=("Content-Encoding: gzip",)))


async def declares_too_much(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", length=5_000_000))
    await c.silence()


async def sends_without_end(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await c.send(b"4000\r\n" + b"z" * 0x4000 + b"\r\n")


async def says_nothing(c: Connection) -> None:
    await c.request()
    await c.silence()


async def answers_in_the_clear(c: Connection) -> None:
    await c.reader.read(1)
    await c.send(answer(b"not TLS", status="400 Bad Request"))


async def refuses_the_handshake(c: Connection) -> None:
    await c.reader.read(1)
    await c.send(bytes.fromhex("15 0303 0002 02 28"))  # TLS alert: fatal, handshake_failure
    await c.silence()


async def never_shakes_hands(c: Connection) -> None:
    await c.silence()


async def hangs_up_on_the_handshake(c: Connection) -> None:
    await c.reader.read(1)
    c.reset()
