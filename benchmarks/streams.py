"""How soon a stream begins, against /healthz of the same gateway under the same load.

/healthz asks nothing of the gateway but its turn, so what a stream takes beyond that is the gateway's own: reading,
planning, beginning the work. The two are asked for in turn while generations, or edits with four pictures of 10 MB,
keep the gateway as busy as it can be. Linux only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.edits import EDITS_PATH, Bench, pictures
from benchmarks.gateway import Goal
from benchmarks.processes import NotStarted
from benchmarks.subjects import KEY, ROOT, start_imagegate

MODEL = "b64"
MOST = 2.0
"""A stream's first byte over that of /healthz."""
ENDLESS = "1000000"
GENERATIONS, EDITS = 16, 32
"""Connections that keep the gateway busy."""
AT_WORK = 4
"""Requests after whose end a load is under way."""


@dataclass(frozen=True, slots=True)
class Firsts:
    """Milliseconds to the first byte, in one round."""

    healthz: Sequence[float]
    stream: Sequence[float]

    def ratio(self, share: float) -> float:
        """That of the two at the same share of all requests, such as 0.95."""
        return at(self.stream, share) / at(self.healthz, share)


def at(seconds: Sequence[float], share: float) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))]


@contextmanager
def busy(command: Sequence[str] | None, provider: str) -> Iterator[None]:
    """A load that is at work, and goes on until the block is left. Raises RuntimeError where it ended sooner."""
    if command is None:
        yield
        return
    words, before = [sys.executable, "-m", *command], taken(provider)
    load = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        while taken(provider) < before + AT_WORK and load.poll() is None:
            time.sleep(0.05)
        yield
        if load.poll() is not None:
            raise RuntimeError(f"the load ended: {load.communicate()[0].decode(errors='replace')[-600:]}")
    finally:
        load.kill()
        load.communicate()


def taken(provider: str) -> int:
    """How many requests have come to the provider."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{provider}/taken", timeout=30) as answer:
        bodies: int = json.load(answer)["bodies"]
        return bodies


def firsts(address: str, seconds: float) -> Firsts:
    words = (address, MODEL, KEY, str(seconds))
    done = subprocess.run([sys.executable, "-m", "benchmarks.firsts", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-600:])
    found = {name: [1000 * each for each in seconds] for name, seconds in json.loads(done.stdout).items()}
    return Firsts(found["healthz"], found["stream"])


def table(found: dict[str, list[Firsts]]) -> Iterator[str]:
    yield "milliseconds to the first byte of a body; medians over the rounds"
    yield f"{'under':<14}{'healthz':>9}{'p95':>8}{'stream':>9}{'p95':>8}"
    for load, rounds in found.items():
        cells = [
            statistics.median(at(seconds, share) for seconds in each)
            for each in ([one.healthz for one in rounds], [one.stream for one in rounds])
            for share in (0.5, 0.95)
        ]
        yield f"{load:<14}{cells[0]:>9.2f}{cells[1]:>8.2f}{cells[2]:>9.2f}{cells[3]:>8.2f}"


def goals(found: dict[str, list[Firsts]]) -> Iterator[Goal]:
    for load, rounds in found.items():
        if load != "no load":
            for name, share in (("median", 0.5), ("p95", 0.95)):
                reached = statistics.median(each.ratio(share) for each in rounds)
                yield Goal(f"under {load}: stream / healthz, {name}", reached, MOST)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks streams", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of whose figures the median counts (default 3)")
    parser.add_argument("--seconds", type=float, default=10, help="of each load in a round (default 10)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="imagegate-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        try:
            bench = Bench(folder, stack, MODEL)
            server, address = start_imagegate(bench.new_folder(), bench.provider)
        except NotStarted as reason:
            print(f"not measured: {reason}", file=sys.stderr)
            return 1
        stack.callback(server.stop)
        files = [str(file) for file in pictures(folder)]
        made = f"{address}/v1/images/generations", MODEL, KEY, str(GENERATIONS), ENDLESS, str(bench.answer)
        edited = address + EDITS_PATH, MODEL, KEY, str(EDITS), ENDLESS, "multipart", *files
        loads = {
            "no load": None,
            "generations": ("benchmarks.load", *made),
            "edits": ("benchmarks.uploads", *edited),
        }
        found: dict[str, list[Firsts]] = {load: [] for load in loads}
        for _ in range(options.rounds):
            for load, command in loads.items():
                with busy(command, bench.provider):
                    found[load].append(firsts(address, options.seconds))
    print("\n".join(table(found)))
    print("\n".join(goal.line() for goal in goals(found)))
    return 0
