"""The first bytes: a process of its own that asks for /healthz and for a stream in turn, and times what comes first.

    python -m benchmarks.firsts URL MODEL KEY SECONDS

Timed is from the request to the first byte of the answer's body, over a connection that is open already. Pauses make
the requests fall on any moment of the gateway's, not just on those at which it has just answered. One line of JSON on
stdout: the seconds of each, by name.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from urllib.parse import urlsplit

import uvloop

WARM_UP = 5
READ_BYTES = 1 << 18
PAUSE_MOST = 0.02
PROMPT = "a red fox in fresh snow, morning light, 85 mm"


class Probe:
    """One connection and the request that is sent on it. `end`: what an answer ends with."""

    def __init__(self, request: bytes, end: bytes) -> None:
        self.request, self.end = request, end
        self.seconds: list[float] = []
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self, host: str, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection(host, port, limit=READ_BYTES)

    async def once(self) -> None:
        """Raises ValueError at a wrong answer."""
        began = time.perf_counter()
        self._writer.write(self.request)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        answer += await self._reader.readexactly(1)
        self.seconds.append(time.perf_counter() - began)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise ValueError(repr((answer + await self._reader.read(300))[-300:]))
        tail = answer[-1:]
        while not tail.endswith(self.end):
            part = await self._reader.read(READ_BYTES)
            if not part:
                raise ValueError(f"the answer broke off: {tail!r}")
            tail = (tail + part)[-200:]


def probes(address: str, model: str, key: str) -> dict[str, Probe]:
    head = f"HTTP/1.1\r\nhost: {urlsplit(address).netloc}\r\nauthorization: Bearer {key}\r\n"
    body = json.dumps({"model": model, "prompt": PROMPT, "stream": True})
    kind = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return {
        "healthz": Probe(f"GET /healthz {head}\r\n".encode(), b"}"),
        "stream": Probe(f"POST /v1/images/generations {head}{kind}\r\n{body}".encode(), b"[DONE]\n\n\r\n0\r\n\r\n"),
    }


async def run(address: str, model: str, key: str, seconds: float) -> dict[str, list[float]]:
    both, parts = probes(address, model, key), urlsplit(address)
    for probe in both.values():
        await probe.open(parts.hostname or "", parts.port or 0)
    until, number, chance = time.perf_counter() + seconds, 0, random.Random(1)
    while time.perf_counter() < until or number < 2 * WARM_UP:
        number += 1
        for probe in list(both.values())[:: 1 if number % 2 else -1]:
            await asyncio.sleep(chance.uniform(0, PAUSE_MOST))
            await probe.once()
    return {name: probe.seconds[WARM_UP:] for name, probe in both.items()}


if __name__ == "__main__":
    address, model, key, seconds = sys.argv[1:]
    print(json.dumps(uvloop.run(run(address, model, key, float(seconds)))))
