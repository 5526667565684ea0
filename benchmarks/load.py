"""The load: a process of its own that sends a given number of requests over a given number of connections.

    python -m benchmarks.load URL MODEL KEY CONNECTIONS REQUESTS ANSWER

KEY may be several, with commas between, which then take turns. ANSWER is the file of the provider's canned answer:
every picture that comes back must be its picture. One line of JSON on stdout tells the seconds each request took; the
first wrong answer ends it with exit status 1.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

PROMPT = "a red fox in fresh snow, morning light, 85 mm"
MARK = b'"b64_json"'


async def run(
    url: str, model: str, keys: Sequence[str], connections: int, requests: int, picture: bytes
) -> list[float]:
    """Seconds of each request, in the order they ended. Raises ValueError at a wrong answer."""
    body = json.dumps({"model": model, "prompt": PROMPT, "n": 1}).encode()
    # Compression, which some offer, would cost more than everything else together.
    common = {"content-type": "application/json", "accept-encoding": "identity"}
    turns = itertools.cycle([{**common, "authorization": f"Bearer {key}"} for key in keys])
    seconds: list[float] = []
    left = requests

    async def one(session: aiohttp.ClientSession) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            began = time.perf_counter()
            async with session.post(url, data=body, headers=next(turns)) as response:
                answer = await response.read()
            seconds.append(time.perf_counter() - began)
            check(response.status, answer, picture)

    connector = aiohttp.TCPConnector(limit=connections)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=1 << 20) as session:
        await asyncio.gather(*(one(session) for _ in range(connections)))
    return seconds


def check(status: int, answer: bytes, picture: bytes) -> None:
    """The answer must hold the picture; looked for as bytes, so that checking costs next to nothing."""
    start = answer.find(MARK)
    if status != 200 or start < 0 or answer.find(picture, start) < 0:
        raise ValueError(f"status {status}: {answer[:300]!r}")


def main(arguments: list[str]) -> int:
    url, model, key, connections, requests, answer = arguments
    canned: dict[str, Any] = json.loads(Path(answer).read_bytes())
    picture = canned["data"][0]["b64_json"].encode()
    try:
        seconds = uvloop.run(run(url, model, key.split(","), int(connections), int(requests), picture))
    except (ValueError, aiohttp.ClientError, TimeoutError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
