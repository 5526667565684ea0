"""What a request costs in the gateway, beside nginx, a naive proxy and LiteLLM doing the same.

A provider that answers from a file stands behind each of them; a client process puts the same load on one after the
other, round by round. What counts is the processor time of the gateway's own processes per request, which the
neighbours on the machine disturb least; ratios are taken within a round, and their median is what is printed. Ratios
below 1.5 are noise. Linux only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import NotStarted, Server, cpu_between
from benchmarks.subjects import KEY, ROOT, SUBJECTS, Subject, make_answers, start_provider

CONCURRENCIES = (16, 64)
REQUESTS = {"small": 400, "b64": 200}
ALONE = 60
"""Requests one after the other, for the time that a gateway adds."""
WARM_UP = 64
MIB = 1024 * 1024

Case = tuple[str, int]
"""A body's name and a number of connections."""

CASES: tuple[Case, ...] = tuple((body, connections) for body in REQUESTS for connections in CONCURRENCIES)


@dataclass(slots=True)
class Measured:
    """One subject's figures."""

    name: str
    ready_seconds: float = 0.0
    idle_bytes: int = 0
    growth: float = 0.0
    """(peak RSS - idle RSS) / (64 x body), of the large body at 64 connections."""
    cpu_ms: dict[Case, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Per request, one figure a round."""
    alone_ms: dict[str, float] = field(default_factory=dict)
    """Median time of a request alone, by body."""


@dataclass(frozen=True, slots=True)
class Running:
    subject: Subject
    server: Server
    address: str
    measured: Measured


@dataclass(frozen=True, slots=True)
class Goal:
    what: str
    reached: float | None
    """None: there was nothing to compare with."""
    most: float
    unit: str = ""

    def line(self) -> str:
        if self.reached is None:
            return f"  {self.what:<46}     not measured   (at most {self.most:g}{self.unit})"
        verdict = "met" if self.reached <= self.most else "MISSED"
        return f"  {self.what:<46}{self.reached:9.2f}{self.unit:<5} at most {self.most:g}{self.unit:<5} {verdict}"


def load(url: str, model: str, connections: int, requests: int, answer: Path, *, key: str = KEY) -> list[float]:
    """Put one load on a URL; the seconds of each request. Raises RuntimeError at a wrong answer."""
    words = (url, model, key, str(connections), str(requests), str(answer))
    done = subprocess.run([sys.executable, "-m", "benchmarks.load", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{url}: {done.stderr.strip()[-600:]}")
    seconds: list[float] = json.loads(done.stdout)
    return seconds


class Bench:
    """The provider, its answers, and the subjects that came up."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.answers = make_answers(folder / "answers")
        self.provider, self.address = start_provider(self._folder("provider"), folder / "answers")
        stack.callback(self.provider.stop)
        self.running: list[Running] = []

    def _folder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir()
        return path

    def start(self, subject: Subject) -> None:
        """Bring a subject up and warm it, or say why not."""
        try:
            server, address = subject.start(self._folder(subject.name), self.address)
        except NotStarted as reason:
            print(f"{subject.name}: not measured: {reason}", flush=True)
            return
        self.stack.callback(server.stop)
        running = Running(subject, server, address, Measured(subject.name, server.ready_seconds))
        running.measured.idle_bytes = server.memory_bytes()
        try:
            for body in REQUESTS:
                self.put(running, body, 8, WARM_UP)
        except RuntimeError as reason:
            print(f"{subject.name}: not measured: {reason}", flush=True)
            return
        self.running.append(running)

    def put(self, running: Running, body: str, connections: int, requests: int) -> list[float]:
        url = running.address + running.subject.path.format(body)
        return load(url, body, connections, requests, self.answers[body])

    def alone(self) -> dict[str, float]:
        """Milliseconds of a request alone, straight to the provider; each subject's own go to its figures."""
        for running in self.running:
            for body in REQUESTS:
                running.measured.alone_ms[body] = statistics.median(self.put(running, body, 1, ALONE)) * 1000
        straight = {}
        for body, answer in self.answers.items():
            url = f"{self.address}/{body}/v1/images/generations"
            straight[body] = statistics.median(load(url, body, 1, ALONE, answer)) * 1000
        return straight

    def round(self, number: int) -> None:
        """Every case on every subject, the order turned round each time."""
        for body, connections in CASES:
            for running in self.running[:: 1 if number % 2 else -1]:
                running.server.forget_peak()
                before = running.server.cpu_seconds()
                self.put(running, body, connections, REQUESTS[body])
                used = cpu_between(before, running.server.cpu_seconds())
                running.measured.cpu_ms[body, connections].append(used / REQUESTS[body] * 1000)
                if (body, connections) == ("b64", 64):
                    grown = running.server.memory_bytes("VmHWM") - running.measured.idle_bytes
                    size = self.answers[body].stat().st_size
                    running.measured.growth = max(running.measured.growth, grown / (64 * size))


def table(measured: Sequence[Measured], straight: dict[str, float]) -> Iterator[str]:
    yield "CPU ms per request (user and system, all processes of the gateway), medians over the rounds"
    cases = "".join(f"{f'{body} c={connections}':>12}" for body, connections in CASES)
    yield f"{'':<12}{cases}{'memory':>9}{'idle MiB':>10}{'ready s':>9}{'alone ms: small':>17}{'b64':>7}"
    for each in measured:
        cpu = "".join(f"{statistics.median(each.cpu_ms[case]):12.3f}" for case in CASES)
        alone = f"{each.alone_ms['small']:17.2f}{each.alone_ms['b64']:7.2f}"
        weight = f"{each.growth:9.2f}{each.idle_bytes / MIB:10.0f}{each.ready_seconds:9.2f}"
        yield f"{each.name:<12}{cpu}{weight}{alone}"
    yield f"{'no gateway':<12}{'':<{12 * len(CASES) + 28}}{straight['small']:17.2f}{straight['b64']:7.2f}"
    yield "memory: (peak RSS - idle RSS) / (64 x body), of b64 at c=64"


def goals(measured: Sequence[Measured], straight: dict[str, float]) -> Iterator[Goal]:
    """What imagegate is held to."""
    by_name = {each.name: each for each in measured}
    ours = by_name.get("imagegate")
    if ours is None:
        return

    def ratio(other: str, case: Case) -> float | None:
        theirs = by_name.get(other)
        if theirs is None:
            return None
        pairs = zip(ours.cpu_ms[case], theirs.cpu_ms[case], strict=True)
        return statistics.median(mine / beside for mine, beside in pairs)

    for connections in CONCURRENCIES:
        yield Goal(f"small c={connections}: CPU / LiteLLM's", ratio("litellm", ("small", connections)), 0.15)
    for connections in CONCURRENCIES:
        yield Goal(f"b64 c={connections}: CPU / LiteLLM's", ratio("litellm", ("b64", connections)), 0.25)
        yield Goal(f"b64 c={connections}: CPU / nginx's", ratio("nginx", ("b64", connections)), 4.0)
    yield Goal("memory: growth / (64 x body)", ours.growth, 1.2)
    yield Goal("idle RSS", ours.idle_bytes / MIB, 120, " MiB")
    yield Goal("ready after", ours.ready_seconds, 1.5, " s")
    for body, most in (("small", 1.5), ("b64", 5.0)):
        yield Goal(f"{body} alone: time added", ours.alone_ms[body] - straight[body], most, " ms")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="paired rounds (default 3)")
    names = [subject.name for subject in SUBJECTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="what to measure (default: all)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="imagegate-bench-") as folder, ExitStack() as stack:
        try:
            bench = Bench(Path(folder), stack)
        except NotStarted as reason:
            print(f"the provider cannot be played: {reason}", file=sys.stderr)
            return 1
        for subject in SUBJECTS:
            if subject.name in options.only:
                bench.start(subject)
        straight = bench.alone()
        for number in range(options.rounds):
            bench.round(number)
    measured = [running.measured for running in bench.running]
    print("\n".join(table(measured, straight)))
    reached = list(goals(measured, straight))
    if reached:
        print("goals, imagegate's figures against the others' in the same round:")
        print("\n".join(goal.line() for goal in reached))
    return 0
