"""Simulated providers that keep books of their own: what each really charged, on disk before it answers.

They run in a process of their own (`python -m tests.faults.billing FOLDER`), so that they survive a gateway that is
killed. The process ends when its standard input closes, so it cannot outlive the test that started it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.simulators.apiframe import ApiframeSimulator
from tests.simulators.base import Fault, Kind, Simulator, running
from tests.simulators.http import Answer, Received
from tests.simulators.max import MaxSimulator
from tests.simulators.modelverse import ModelVerseSimulator
from tests.simulators.onemin import OneMinSimulator
from tests.simulators.openai import OpenAISimulator

ROOT = Path(__file__).parents[2]
MARK = re.compile(rb"mark-[0-9a-f]{12}")
"""What a test writes into a prompt, so that everything about one wish of one client can be found again."""
MICROS = 10_000
"""Micro-dollars that a picture costs."""

KINDS: Mapping[str, type[Simulator]] = {
    "flux_worker": MaxSimulator,
    "apiframe": ApiframeSimulator,
    "openai": OpenAISimulator,
    "onemin": OneMinSimulator,
    "modelverse": ModelVerseSimulator,
}
FREE = frozenset({"flux_worker"})
"""They do work and charge nothing; their books say what they did."""


@dataclass(frozen=True)
class Charge:
    """One submission that a provider did work for."""

    provider: str
    submission: str
    """The idempotency key where it came with one; else the provider's own running number."""
    keyed: bool
    job: str | None
    mark: str
    pictures: int
    """Pictures made, but no more than were asked for: what a provider gives beyond is its own affair."""
    micros: int
    refunded: bool = False


class Books:
    """An append-only file of JSON lines, on disk before `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def write(self, what: str, charge: Charge) -> None:
        self._file.write(orjson.dumps({"what": what, **asdict(charge)}) + b"\n")
        os.fsync(self._file.fileno())


def read_books(path: Path) -> list[Charge]:
    """Every charge, in order; those that were paid back say so."""
    found: dict[tuple[str, str], Charge] = {}
    for line in path.read_bytes().splitlines():
        entry = json.loads(line)
        refunded = entry.pop("what") == "refund"
        charge = Charge(**{**entry, "refunded": refunded})
        found[charge.provider, charge.submission] = charge
    return list(found.values())


class Booking(Simulator):
    """Mixed into a simulator: writes down what each submission came to, in the moment in which it is accepted."""

    books: Books
    kind_name: str
    numbers: Iterator[int]

    async def handle(self, received: Received) -> Answer:
        # Pictures are to be fetched the way the request came: through the proxy that is taken for the provider.
        self.origin = f"http://{received.headers['host']}"
        return await super().handle(received)

    def _answer(self, received: Received, kind: Kind | None, fault: Fault) -> Answer:
        before = self.billed
        answer = super()._answer(received, kind, fault)
        failed_job = fault.soft_fail and answer.status == 202
        if kind == "submit" and (self.billed > before or failed_job):
            self._book(received, answer, failed_job=failed_job)
        return answer

    def _book(self, received: Received, answer: Answer, *, failed_job: bool) -> None:
        asked = self.ordered(received.json).count
        made = asked if failed_job else min(asked, len(self.made_last(asked)))
        key = received.headers.get("idempotency-key")
        job = orjson.loads(answer.body).get("jobId") if answer.status == 202 else None
        mark = MARK.search(received.body)
        charge = Charge(
            provider=self.kind_name,
            submission=key or f"{self.kind_name}-{next(self.numbers)}",
            keyed=key is not None,
            job=job,
            mark=mark[0].decode() if mark else "",
            pictures=made,
            micros=0 if self.kind_name in FREE else made * MICROS,
        )
        self.books.write("charge", charge)
        if failed_job:
            self.books.write("refund", charge)

    def made_last(self, most: int) -> list[Any]:
        """What the last submission made, of which a provider bills at most as many as were asked for."""
        made, self._counted = self.made[getattr(self, "_counted", 0) :], len(self.made)
        return made[:most]


def booked(kind: str, books: Books) -> Simulator:
    """A simulator of this kind that writes into `books`."""
    made: Simulator = type(f"Booked{KINDS[kind].__name__}", (Booking, KINDS[kind]), {})()
    assert isinstance(made, Booking)
    made.books, made.kind_name, made.numbers = books, kind, itertools.count(1)
    return made


@dataclass(frozen=True)
class Providers:
    """The process, from the outside."""

    pid: int
    origins: Mapping[str, str]
    path: Path

    def charges(self) -> list[Charge]:
        return read_books(self.path)

    def fail_next(self, kind: str, **knobs: Any) -> None:
        """Let the next request of the kind meet a simulator's own `Fault`."""
        httpx.post(f"{self.origins[kind]}/__sim/faults", json=knobs, timeout=20).raise_for_status()


@contextlib.contextmanager
def providers(folder: Path) -> Iterator[Providers]:
    """All simulated providers in a process of their own, with their books in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "tests.faults.billing", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Providers(process.pid, json.loads(process.stdout.readline()), books_in(folder))
        finally:
            process.stdin.close()
            process.wait(20)


def books_in(folder: Path) -> Path:
    return folder / "books.jsonl"


def main(folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        books = Books(books_in(folder))
        started = {kind: stack.enter_context(running(booked(kind, books))) for kind in KINDS}
        print(json.dumps({kind: simulator.origin for kind, simulator in started.items()}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
