"""A provider that takes its time: it holds each request for a while, and answers all of them from one buffer.

    python -m benchmarks.holder PORT ANSWER SECONDS [TOGETHER SPREAD]

SECONDS is how long a request is held. With TOGETHER, so many requests are held until the last of them is there, and are
then answered one after the other within SPREAD seconds; those that come after them are held for SECONDS again. GET
/readyz and /taken are the taker's.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from benchmarks.taker import Taken, Taker
from gateway.cli.open_files import allow


@dataclass(slots=True)
class Holding:
    """How long requests are held."""

    seconds: float
    together: int = 0
    spread: float = 0.0
    waiting: list[Taker] = field(default_factory=list)

    def hold(self, request: Taker) -> None:
        loop = asyncio.get_running_loop()
        if self.together == 0:
            loop.call_later(self.seconds, request.answer)
            return
        self.waiting.append(request)
        if len(self.waiting) == self.together:
            for number, each in enumerate(self.waiting):
                loop.call_later(self.spread * number / self.together, each.answer)
            self.waiting, self.together = [], 0


class Holder(Taker):
    """One connection."""

    def __init__(self, taken: Taken, holding: Holding) -> None:
        super().__init__(taken)
        self._holding = holding

    def taken(self) -> None:
        self._holding.hold(self)


async def serve(port: int, answer: bytes, holding: Holding) -> None:
    taken = Taken(answer)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Holder(taken, holding), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main(arguments: list[str]) -> int:
    port, answer, seconds, *together = arguments
    holding = Holding(float(seconds))
    if together:
        holding.together, holding.spread = int(together[0]), float(together[1])
    allow()
    uvloop.run(serve(int(port), Path(answer).read_bytes(), holding))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
