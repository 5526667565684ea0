"""A pulse: a process of its own that asks for one small page at a steady pace, however late the answers come.

    python -m benchmarks.pulse URL

It asks until its stdin ends. One line of JSON on stdout: the seconds that each answer took from when it was due, so
that a stall counts for each request that fell into it, and by how many seconds this process itself was late.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import uvloop

EVERY_SECONDS = 0.02

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def run(url: str) -> dict[str, list[float]]:
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n".encode()
    free: list[Connection] = []
    took: list[float] = []
    late: list[float] = []
    over = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    async def one(due: float) -> None:
        reader, writer = free.pop() if free else await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(head.decode(errors="replace"))
        took.append(time.perf_counter() - due)
        free.append((reader, writer))

    beats: list[asyncio.Task[None]] = []
    began = time.perf_counter()
    while not over.done():
        due = began + len(beats) * EVERY_SECONDS
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        late.append(max(0.0, time.perf_counter() - due))
        beats.append(asyncio.create_task(one(due)))
    await asyncio.gather(*beats)
    return {"seconds": took, "late": late}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(sys.argv[1]))))
