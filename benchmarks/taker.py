"""A provider that takes pictures: it reads bodies to their end, keeps none, and answers each with one small picture.

    python -m benchmarks.taker PORT ANSWER

ANSWER is the file of the canned answer. GET /readyz says that it takes work, GET /taken how many bodies it has read
and the bytes of all of them. Bodies come with a Content-Length.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import cast

import uvloop

BUFFER_BYTES = 256 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Taken:
    """What was read so far, over all connections. Bytes are read into one buffer, which is never looked at again."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.bodies = self.bytes = 0
        self.buffer = memoryview(bytearray(BUFFER_BYTES))


class Taker(asyncio.BufferedProtocol):
    """One connection, kept alive."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._head = bytearray()
        self._left = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._taken.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._left:
            self._body(nbytes)
            return
        self._head += self._taken.buffer[:nbytes]
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return
        head, more = bytes(self._head[:end]), len(self._head) - end - 4
        self._head.clear()
        length = _LENGTH.search(head)
        if length is None:
            self._told(head)
            return
        self._left = int(length[1])
        self._taken.bytes += self._left
        self._body(more)

    def _body(self, nbytes: int) -> None:
        self._left -= nbytes
        if self._left <= 0:
            self._taken.bodies += 1
            self.taken()

    def taken(self) -> None:
        """A request has been read to its end."""
        self.answer()

    def answer(self) -> None:
        """Answer the request that has come last."""
        self._write(self._taken.answer)

    def _told(self, head: bytes) -> None:
        known = head.startswith(b"GET /taken ")
        told = {"bodies": self._taken.bodies, "bytes": self._taken.bytes} if known else {"status": "ready"}
        self._write(json.dumps(told).encode())

    def _write(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        if self._transport.is_closing():
            return
        self._transport.writelines((head, body))  # all answers from one buffer


async def serve(port: int, answer: bytes) -> None:
    taken = Taken(answer)
    server = await asyncio.get_running_loop().create_server(lambda: Taker(taken), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
