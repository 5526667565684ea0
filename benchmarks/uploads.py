"""The load of edits: a process of its own that uploads the same pictures in many requests, all from one buffer.

    python -m benchmarks.uploads URL MODEL KEY CONNECTIONS REQUESTS KIND PICTURE...

KIND is `multipart` or `json`; each request carries every PICTURE, a file. One line of JSON on stdout: the seconds of
each request that was answered with a picture, and what came instead of one.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pybase64
import uvloop

PROMPT = "the same in winter"
SECONDS_MOST = 600
MARK = b'"b64_json"'

Pieces = Sequence[bytes]


def multipart(model: str, pictures: Sequence[bytes]) -> tuple[str, Pieces]:
    """The content type and the body, the pictures as they are handed in."""
    fields = "".join(
        f'--picture-bound\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("model", model), ("prompt", PROMPT))
    )
    pieces, text = [], fields
    for index, picture in enumerate(pictures):
        text += (
            f'--picture-bound\r\nContent-Disposition: form-data; name="image[]"; filename="{index}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        pieces += [text.encode(), picture]
        text = "\r\n"
    pieces.append(f"{text}--picture-bound--\r\n".encode())
    return "multipart/form-data; boundary=picture-bound", pieces


def inline(model: str, pictures: Sequence[bytes]) -> tuple[str, Pieces]:
    """The same as JSON with data: URIs; base64 is made once for all requests."""
    pieces, text = [], json.dumps({"model": model, "prompt": PROMPT})[:-1] + ', "images": ['
    for picture in pictures:
        kind = "jpeg" if picture.startswith(b"\xff\xd8") else "png"
        text += '{"image_url": "data:image/' + kind + ";base64,"
        pieces += [text.encode(), pybase64.b64encode(picture)]
        text = '"}, '
    pieces.append(b'"}]}')
    return "application/json", pieces


async def one(url: str, head: bytes, pieces: Pieces) -> bytes:
    """The whole answer to one request on a connection of its own. Raises OSError or TimeoutError."""
    loop, parts = asyncio.get_running_loop(), urlsplit(url)
    with socket.socket() as connection:
        connection.setblocking(False)
        async with asyncio.timeout(SECONDS_MOST):
            await loop.sock_connect(connection, (parts.hostname, parts.port))
            for piece in (head, *pieces):
                await loop.sock_sendall(connection, piece)
            answer = bytearray()
            while part := await loop.sock_recv(connection, 1 << 16):
                answer += part
    return bytes(answer)


async def run(url: str, key: str, connections: int, requests: int, body: tuple[str, Pieces]) -> dict[str, list[object]]:
    kind, pieces = body
    length, parts = sum(map(len, pieces)), urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    ).encode()
    seconds: list[object] = []
    wrong: list[object] = []
    left = requests

    async def some() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            began = time.perf_counter()
            try:
                answer = await one(url, head, pieces)
            except (OSError, TimeoutError) as error:
                answer = repr(error).encode()
            if answer.startswith(b"HTTP/1.1 200 ") and MARK in answer:
                seconds.append(time.perf_counter() - began)
            else:
                wrong.append(answer[-300:].decode("utf-8", "replace"))

    await asyncio.gather(*(some() for _ in range(connections)))
    return {"seconds": seconds, "wrong": wrong}


def main(arguments: list[str]) -> int:
    url, model, key, connections, requests, kind, *files = arguments
    pictures = [Path(file).read_bytes() for file in files]
    body = {"multipart": multipart, "json": inline}[kind](model, pictures)
    print(json.dumps(uvloop.run(run(url, key, int(connections), int(requests), body))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
