"""What it costs to serve a team: keys, rates, budgets, the ledger, metrics and the log, beside a gateway without them.

Three gateways stand before one provider that answers from a file. `bare` asks for no key, counts for nobody and logs
errors alone; what cannot be switched off stays, the record of each submission before all. `embedded` has 20 keys with
rates, concurrency and a budget each, a limited provider and JSON logs, and is scraped every second. `redis` is the same
with its counts in a Redis server. What counts is the processor time of each gateway's own processes per request, in
turns within a round; ratios are taken within a round, and their median is what is printed. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import statistics
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gateway import MIB, Goal, load
from benchmarks.processes import NotStarted, Server, cpu_between
from benchmarks.redis_server import cpu_seconds, redis_server
from benchmarks.subjects import KEY, ROOT, free_port, make_answers, start_provider

CONNECTIONS = 16
REQUESTS = 600
WARM_UP = 200
KEYS = tuple(secrets.token_hex(16) for _ in range(20))
SCRAPE_SECONDS = 1.0
EMBEDDED_MOST, REDIS_MOST = 2.0, 2.5

CONFIG = """
server: {{port: {port}, data_dir: {folder}/data}}
auth: {auth}
state: {{url: "{state}"}}
storage: {{signing_key: {signing}}}
logs: {{format: json, level: {level}}}
normalization: {{default_response_format: b64_json}}
providers: {{to-small: {{type: openai, base_url: "{provider}/small/v1", api_key: sk-x{limits}}}}}
models:
  small: {{routes: [{{provider: to-small, model: gpt-image-1, price: {{usd_per_image: 0.04}}}}]}}
"""
LIMITS = ", max_concurrent: 500, requests_per_minute: 1000000"
ENTRY = (
    "{{name: team-{number}, key: {key}, requests_per_minute: 1000000, images_per_minute: 1000000, "
    "max_concurrent: 500, budget: {{usd: 1000000, per: month}}}}"
)


@dataclass(slots=True)
class Measured:
    """One gateway's figures."""

    name: str
    server: Server
    address: str
    keys: str
    scraped: bool
    idle_bytes: int = 0
    cpu_ms: list[float] = field(default_factory=list)
    """Per request, one figure a round."""
    seconds: list[float] = field(default_factory=list)
    """Each request's, of all rounds."""


def configured(folder: Path, provider: str, state: str | None) -> tuple[str, int]:
    """The text of a configuration, and its port. `state` is None for the bare one."""
    entries = ", ".join(ENTRY.format(number=number, key=key) for number, key in enumerate(KEYS))
    port = free_port()
    bare = state is None
    text = CONFIG.format(
        port=port,
        folder=folder,
        provider=provider,
        auth="{mode: none}" if bare else f"{{admin_key: {KEY}, keys: [{entries}]}}",
        state=state or "sqlite",
        signing=secrets.token_hex(32),
        level="error" if bare else "info",
        limits="" if bare else LIMITS,
    )
    return text, port


def start(name: str, folder: Path, provider: str, state: str | None) -> Measured:
    """One gateway, warm. Raises NotStarted."""
    folder.mkdir()
    text, port = configured(folder, provider, state)
    (folder / "imagegate.yaml").write_text(text)
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(folder / "imagegate.yaml")]
    server = Server(command, f"{address}/readyz", folder / "log", environ={"PYTHONPATH": str(ROOT)})
    keys = KEY if state is None else ",".join(KEYS)
    return Measured(name, server, address, keys, state is not None, server.memory_bytes())


@contextlib.contextmanager
def scraping(address: str) -> Iterator[None]:
    """Read the metrics at once and then every second, as a monitor does, for as long as the block lasts."""
    over = threading.Event()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(f"{address}/metrics", headers={"authorization": f"Bearer {KEY}"})

    def scrape() -> None:
        while True:
            with direct.open(asked, timeout=10) as answer:
                answer.read()
            if over.wait(SCRAPE_SECONDS):
                return

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def put(one: Measured, answer: Path, requests: int) -> list[float]:
    with scraping(one.address) if one.scraped else contextlib.nullcontext():
        url = f"{one.address}/v1/images/generations"
        return load(url, "small", CONNECTIONS, requests, answer, key=one.keys)


def round_of(measured: Sequence[Measured], answer: Path, requests: int) -> None:
    for one in measured:
        before = one.server.cpu_seconds()
        one.seconds += put(one, answer, requests)
        used = cpu_between(before, one.server.cpu_seconds())
        one.cpu_ms.append(used / requests * 1000)


def ratio(one: Measured, other: Measured) -> float:
    return statistics.median(mine / theirs for mine, theirs in zip(one.cpu_ms, other.cpu_ms, strict=True))


def table(measured: Sequence[Measured]) -> Iterator[str]:
    yield f"small, c={CONNECTIONS}: CPU ms per request (user and system, all processes of the gateway), medians"
    yield f"{'':<12}{'CPU ms':>9}{'/ bare':>9}{'p50 ms':>9}{'p95 ms':>9}{'idle MiB':>10}{'ready s':>9}"
    for one in measured:
        waits = statistics.quantiles(one.seconds, n=20)
        yield (
            f"{one.name:<12}{statistics.median(one.cpu_ms):9.3f}{ratio(one, measured[0]):9.2f}{waits[9] * 1000:9.1f}"
            f"{waits[18] * 1000:9.1f}{one.idle_bytes / MIB:10.0f}{one.server.ready_seconds:9.2f}"
        )


def goals(measured: Sequence[Measured]) -> Iterator[Goal]:
    bare, *others = measured
    for one, most in zip(others, (EMBEDDED_MOST, REDIS_MOST), strict=False):
        yield Goal(f"{one.name}: CPU / bare's", ratio(one, bare), most)
    for one in others:
        yield Goal(f"{one.name}: idle RSS", one.idle_bytes / MIB, 120, " MiB")
        yield Goal(f"{one.name}: ready after", one.server.ready_seconds, 1.5, " s")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks team", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="paired rounds (default 7)")
    parser.add_argument("--requests", type=int, default=REQUESTS, help=f"of each in a round (default {REQUESTS})")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="imagegate-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        answer = make_answers(folder / "answers")["small"]
        measured: list[Measured] = []
        redis_cpu: int | None = None

        def begin(name: str, state: str | None) -> None:
            one = start(name, folder / name, provider, state)
            stack.callback(one.server.stop)
            put(one, answer, WARM_UP)
            measured.append(one)

        try:
            (folder / "provider").mkdir()
            server, provider = start_provider(folder / "provider", folder / "answers")
            stack.callback(server.stop)
            begin("bare", None)
            begin("embedded", "sqlite")
        except NotStarted as reason:
            print(f"not measured: {reason}", file=sys.stderr)
            return 1
        try:
            url, redis_cpu = stack.enter_context(redis_server(folder / "redis-server"))
            begin("redis", url)
        except NotStarted as reason:
            print(f"redis: not measured: {reason}", flush=True)
        began = 0.0 if redis_cpu is None else cpu_seconds(redis_cpu)
        for number in range(options.rounds):
            round_of(measured[:: 1 if number % 2 else -1], answer, options.requests)
        if redis_cpu is not None:
            spent = (cpu_seconds(redis_cpu) - began) / (options.rounds * options.requests) * 1000
        print("\n".join(table(measured)))
        if redis_cpu is not None:
            print(f"the Redis server itself: {spent:.3f} ms per request")
        print("goals:")
        print("\n".join(goal.line() for goal in goals(measured)))
    return 0
