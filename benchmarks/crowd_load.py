"""A crowd of clients: a process of its own that puts many requests on a gateway, each on a connection of its own.

    python -m benchmarks.crowd_load URL MODEL KEY REQUESTS SECONDS ANSWER

The requests begin evenly over SECONDS, 0 = all at once. ANSWER is the file of the provider's canned answer: what comes
back is compared with its picture as it is read, and thrown away. One line of JSON on stdout: the seconds of each
request that was answered with the picture, of each that was refused as it should be (503 `overloaded` with
Retry-After), both from the connection on, and what came instead.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import uvloop

from gateway.cli.open_files import allow

BUFFER_BYTES = 256 * 1024
SECONDS_MOST = 170
MARK = b'"b64_json":"'
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *[0-9]+\r\n", re.IGNORECASE)
_BUFFER = memoryview(bytearray(BUFFER_BYTES))


class Client(asyncio.BufferedProtocol):
    """One request. `ended` is done with None once it was answered, else with what came instead."""

    def __init__(self, request: bytes, picture: bytes) -> None:
        self._request, self._picture = request, picture
        self._head = bytearray()
        self._left = -1
        self._seen = -1
        self.refused = False
        self.ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self._seen >= 0:
            self._body(_BUFFER[:nbytes])
            return
        self._head += _BUFFER[:nbytes]
        end = self._head.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        if self._left < 0:
            length = _LENGTH.search(self._head, 0, end)
            self._left = int(length[1]) if length is not None else 0
        start = self._head.find(MARK, end)
        if start < 0:
            if len(self._head) >= end + self._left:
                self._without(end)
            return
        rest = bytes(self._head[start + len(MARK) :])
        self._left -= start + len(MARK) - end
        del self._head[end:]
        self._seen = 0
        self._body(memoryview(rest))

    def _body(self, data: memoryview) -> None:
        part = data[: len(self._picture) - self._seen]
        if part and not self._picture.startswith(part, self._seen):
            self._end("another picture")
            return
        self._seen += len(part)
        self._left -= len(data)
        if self._left <= 0:
            self._end(None if self._seen == len(self._picture) else "half a picture")

    def _without(self, end: int) -> None:
        self.refused = (
            self._head.startswith(b"HTTP/1.1 503 ")
            and b'"overloaded"' in self._head[end:]
            and _RETRY_AFTER.search(self._head, 0, end) is not None
        )
        self._end(self._head.decode("utf-8", "replace")[:600])

    def connection_lost(self, error: Exception | None) -> None:
        self._end(f"the connection broke: {error!r}")

    def _end(self, wrong: str | None) -> None:
        if not self.ended.done():
            self.ended.set_result(wrong)


async def run(url: SplitResult, request: bytes, requests: int, seconds: float, picture: bytes) -> dict[str, list[Any]]:
    loop = asyncio.get_running_loop()
    found: dict[str, list[Any]] = {"answered": [], "refused": [], "wrong": []}

    async def one(number: int) -> None:
        await asyncio.sleep(seconds * number / requests)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(SECONDS_MOST):
                transport, client = await loop.create_connection(
                    lambda: Client(request, picture), url.hostname or "", url.port or 80
                )
                wrong = await client.ended
                transport.abort()
        except (OSError, TimeoutError) as error:
            found["wrong"].append(repr(error))
            return
        took = time.perf_counter() - began
        if wrong is None:
            found["answered"].append(took)
        elif client.refused:
            found["refused"].append(took)
        else:
            found["wrong"].append(wrong)

    await asyncio.gather(*(one(number) for number in range(requests)))
    return found


def main(arguments: list[str]) -> int:
    url, model, key, requests, seconds, answer = arguments
    parts = urlsplit(url)
    body = json.dumps({"model": model, "prompt": "a red fox in fresh snow", "size": "1024x1024"}).encode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    canned: dict[str, Any] = json.loads(Path(answer).read_bytes())
    picture = canned["data"][0]["b64_json"].encode()
    allow()
    print(json.dumps(uvloop.run(run(parts, head.encode() + body, int(requests), float(seconds), picture))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
