"""What a crowd costs: hundreds of slow generations at once, all of them ending together, and four times too many.

A provider holds each request for half a minute and answers with one picture of 1.5 MB as base64; a process with a
connection for each client compares what comes back and keeps nothing. All the while /healthz is asked 50 times a
second, by the clock: a stall of a second counts as 50 slow answers. How late that process itself was put on is told
beside, since on a busy machine both wait for a processor. Linux only.

    under way   so many generations begin over a third of the time that each takes
    together    they are held until all are under way, and all end within three seconds
    overload    while as many as the gateway admits are under way, three times as many come, over some seconds, and
                once more all at one moment
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gateway import Goal
from benchmarks.processes import NotStarted, Server, cpu_between
from benchmarks.streams import at, taken
from benchmarks.subjects import KEY, ROOT, free_port, make_answers
from benchmarks.weighing import Weighing, Weight
from gateway.cli.open_files import allow

MB = 1_000_000
MODEL = "b64"
SPREAD_SECONDS = 3.0
SETTLE_SECONDS = 60.0
LOOK_SECONDS = 0.5
CASES = ("under way", "together", "overload")


@dataclass(slots=True)
class Measured:
    """One case. Times in seconds."""

    name: str
    asked: int
    answered: Sequence[float]
    wrong: Sequence[str]
    weight: Weight
    healthz: Sequence[float]
    late: Sequence[float]
    cpu: float
    """Processor time of all processes of the gateway, in seconds."""
    refused: Sequence[float] = ()
    """Of the requests that came over some seconds."""
    crushed: Sequence[float] = ()
    """Of those that came at one moment."""


class Bench:
    """The picture, and what is started for each case."""

    def __init__(self, folder: Path, clients: int, seconds: float, spread: float) -> None:
        self.folder, self.clients, self.seconds, self.spread = folder, clients, seconds, spread
        self.answer = make_answers(folder / "answers")[MODEL]
        self._folders = 0

    def _new_folder(self) -> Path:
        self._folders += 1
        path = self.folder / str(self._folders)
        path.mkdir()
        return path

    def provider(self, stack: ExitStack, *words: object) -> str:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.holder", str(port), str(self.answer), *map(str, words)]
        address = f"http://127.0.0.1:{port}"
        environ = {"PYTHONPATH": str(ROOT)}
        stack.callback(Server(command, f"{address}/readyz", self._new_folder() / "log", environ=environ).stop)
        return address

    def gateway(self, stack: ExitStack, provider: str) -> tuple[Server, str]:
        """imagegate as it is by default, but for limits that one key on one machine would meet first."""
        folder, port = self._new_folder(), free_port()
        config = folder / "imagegate.yaml"
        config.write_text(f"""
server: {{port: {port}, data_dir: {folder}/data, max_concurrent_requests: {self.clients}}}
auth: {{keys: [{{name: bench, key: {KEY}, requests_per_minute: 1000000, images_per_minute: 1000000}}]}}
limits: {{connections: {8 * self.clients}}}
normalization: {{default_response_format: b64_json}}
providers: {{slow: {{type: openai, base_url: "{provider}/v1", api_key: sk-x, max_concurrent: {self.clients}}}}}
models: {{{MODEL}: {{routes: [{{provider: slow, model: gpt-image-1, price: {{usd_per_image: 0.04}}}}]}}}}
""")
        address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config)]
        server = Server(command, f"{address}/readyz", folder / "log", environ={"PYTHONPATH": str(ROOT)})
        stack.callback(server.stop)
        return server, address

    def clients_of(self, address: str, requests: int, seconds: float) -> subprocess.Popen[str]:
        url = f"{address}/v1/images/generations"
        words = (url, MODEL, KEY, str(requests), str(seconds), str(self.answer))
        return started("benchmarks.crowd_load", *words)

    def under_way(self, *, together: bool) -> Measured:
        with ExitStack() as stack:
            words = (self.clients, self.spread) if together else ()
            provider = self.provider(stack, self.seconds, *words)
            server, address = self.gateway(stack, provider)
            with measuring(server, address) as found:
                told = ended(self.clients_of(address, self.clients, self.seconds / 3))
        name = CASES[1] if together else CASES[0]
        return Measured(name, self.clients, told["answered"], [*told["wrong"], *map(str, told["refused"])], *found)

    def overload(self) -> Measured:
        with ExitStack() as stack:
            provider = self.provider(stack, self.seconds)
            server, address = self.gateway(stack, provider)
            with measuring(server, address) as found:
                admitted = self.clients_of(address, self.clients, 0.0)
                until = time.monotonic() + SETTLE_SECONDS
                while taken(provider) < self.clients and time.monotonic() < until:
                    time.sleep(0.05)
                over = ended(self.clients_of(address, 3 * self.clients, self.seconds / 6))
                crush = ended(self.clients_of(address, 3 * self.clients, 0.0))
                told = ended(admitted)
        wrong = [*told["wrong"], *over["wrong"], *crush["wrong"]]
        # None of those that came later may be let in, and none that was there before may be refused.
        wrong += ["admitted beyond the limit"] * (len(over["answered"]) + len(crush["answered"]))
        wrong += ["refused below the limit"] * len(told["refused"])
        measured = Measured(CASES[2], self.clients, told["answered"], wrong, *found)
        measured.refused, measured.crushed = over["refused"], crush["refused"]
        return measured


def started(module: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe)


def ended(process: subprocess.Popen[str]) -> dict[str, list[Any]]:
    """What it said once it ended; its stdin is closed. Raises RuntimeError where it failed."""
    said, trouble = process.communicate()
    if process.returncode:
        raise RuntimeError(trouble[-600:])
    found: dict[str, list[Any]] = json.loads(said)
    return found


@contextmanager
def measuring(server: Server, address: str) -> Iterator[list[Any]]:
    """The weight, the pulse and the processor time of what is done inside, in the order of `Measured`'s fields; the
    list is filled at the end."""
    found: list[Any] = []
    pulse = started("benchmarks.pulse", f"{address}/healthz")
    time.sleep(1.0)  # until it beats
    before = server.cpu_seconds()
    try:
        with Weighing(server, LOOK_SECONDS) as weighing:
            yield found
        told = ended(pulse)
    finally:
        pulse.kill()
    found += [weighing.weight, told["seconds"], told["late"], cpu_between(before, server.cpu_seconds())]


def table(found: Sequence[Measured], bench: Bench) -> Iterator[str]:
    size = bench.answer.stat().st_size / MB
    yield f"{bench.clients} generations of {bench.seconds:g} s at once, each answered with {size:.1f} MB"
    yield (
        f"{'':<11}{'answered':>9}{'idle MB':>9}{'alone MB':>10}{'tree MB':>9}{'CPU s':>7}"
        f"{'healthz ms: median':>20}{'p99':>8}{'most':>8}{'(own p99)':>11}"
    )
    for each in found:
        healthz = [1000 * at(each.healthz, share) for share in (0.5, 0.99, 1.0)]
        weight = [part / MB for part in (each.weight.idle, each.weight.alone, each.weight.tree)]
        yield (
            f"{each.name:<11}{len(each.answered):>9}{weight[0]:>9.0f}{weight[1]:>10.0f}{weight[2]:>9.0f}{each.cpu:>7.1f}"
            f"{healthz[0]:>20.1f}{healthz[1]:>8.1f}{healthz[2]:>8.1f}{1000 * at(each.late, 0.99):>11.1f}"
        )
        for what, seconds in (("over some seconds", each.refused), ("at one moment", each.crushed)):
            if seconds:
                told = ", ".join(f"{name} {1000 * at(seconds, share):.0f}" for name, share in SHARES)
                yield f"  {len(seconds)} refused {what}, ms: {told}"
        for wrong in sorted(set(each.wrong))[:5]:
            yield f"  {each.wrong.count(wrong)} times: {wrong}"


SHARES = (("median", 0.5), ("p99", 0.99), ("most", 1.0))


def goals(found: Sequence[Measured]) -> Iterator[Goal]:
    for each in found:
        yield Goal(f"{each.name}: not answered or wrong", each.asked - len(each.answered) + len(each.wrong), 0)
        if each.name != "overload":
            most = 400 if each.name == "under way" else 512
            yield Goal(f"{each.name}: RSS of the gateway", each.weight.alone / MB, most, " MB")
        if each.name == "under way":
            yield Goal(f"{each.name}: /healthz, p99", 1000 * at(each.healthz, 0.99), 100, " ms")
        if each.refused:
            yield Goal(f"{each.name}: refused after, median", 1000 * statistics.median(each.refused), 100, " ms")
            yield Goal(f"{each.name}: refused after, p99", 1000 * at(each.refused, 0.99), 100, " ms")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks crowd", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--clients", type=int, default=500, help="generations at once (default 500)")
    parser.add_argument("--seconds", type=float, default=30, help="that each is held by the provider (default 30)")
    words = f"in which those end that end together (default {SPREAD_SECONDS:g})"
    parser.add_argument("--spread", type=float, default=SPREAD_SECONDS, help=f"seconds {words}")
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES, help="what to measure (default: all)")
    options = parser.parse_args(arguments)
    allow()
    found = []
    with tempfile.TemporaryDirectory(prefix="imagegate-bench-") as name:
        bench = Bench(Path(name), options.clients, options.seconds, options.spread)
        try:
            for case in options.only:
                found.append(bench.overload() if case == CASES[2] else bench.under_way(together=case == CASES[1]))
        except NotStarted as reason:
            print(f"not measured: {reason}", file=sys.stderr)
            return 1
        print("\n".join(table(found, bench)))
    print("\n".join(goal.line() for goal in goals(found)))
    return 0
