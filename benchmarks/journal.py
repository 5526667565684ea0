"""What the journal costs: the time that a submission waits until it is on disk, in commits of the same disk.

Two gateways in this process have their data on the same disk and the same provider, which answers at once; one of them
keeps no attempts. They are asked in turn, now the one first and now the other, and then one row is written to a plain
SQLite file with the same durability (WAL, synchronous=FULL): the floor. The cost is the difference of the medians, in
medians of the floor.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import uvloop

from benchmarks.gateway import Goal
from benchmarks.processes import NotStarted, Server
from benchmarks.subjects import KEY, ROOT, free_port, make_answers
from gateway.app import create_app
from gateway.config.load import load
from gateway.container import Services
from gateway.services import storage_packs
from gateway.services.attempts import Attempt, NewAttempt, Settlement
from gateway.services.generations import NewGeneration, Orphan

MODEL = "small"
MOST = 1.5
WARM_UP = 20


class NoAttempts:
    """`Attempts` that keep nothing."""

    unwritten = 0

    async def begin(self, attempt: NewAttempt, generation: NewGeneration | None = None) -> None:
        pass

    async def accepted(self, attempt_id: str, job: str, resume: str | None = None) -> None:
        pass

    async def settle(self, attempt_id: str, settlement: Settlement) -> None:
        pass

    async def unsettled(self) -> list[Attempt]:
        return []

    async def take(self, now: float) -> list[Orphan]:
        return []

    async def renew(self) -> None:
        pass

    async def ping(self) -> None:
        pass

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class Measured:
    """Milliseconds of each request and each commit."""

    kept: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    commit: list[float] = field(default_factory=list)

    def cost(self) -> float:
        """Milliseconds that the journal adds."""
        return statistics.median(self.kept) - statistics.median(self.bare)


def opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
    return connection


def commit(connection: sqlite3.Connection) -> float:
    began = time.perf_counter()
    connection.execute("INSERT INTO rows (text) VALUES (?)", ("x" * 200,))
    return 1000 * (time.perf_counter() - began)


async def asked(client: httpx.AsyncClient) -> float:
    body = {"model": MODEL, "prompt": "a red fox"}
    began = time.perf_counter()
    response = await client.post("/v1/images/generations", json=body, headers={"authorization": f"Bearer {KEY}"})
    if response.status_code != 200:
        raise RuntimeError(response.text[:600])
    return 1000 * (time.perf_counter() - began)


def services_in(folder: Path, provider: str) -> tuple[httpx.AsyncClient, Services]:
    folder.mkdir()
    config = folder / "imagegate.yaml"
    config.write_text(f"""
server: {{data_dir: {folder}/data}}
auth: {{keys: [{{name: bench, key: {KEY}, requests_per_minute: 1000000, images_per_minute: 1000000}}]}}
normalization: {{default_response_format: b64_json}}
providers: {{up: {{type: openai, base_url: "{provider}/v1", api_key: sk-x}}}}
models: {{{MODEL}: {{routes: [{{provider: up, model: gpt-image-1, price: {{usd_per_image: 0.04}}}}]}}}}
""")
    app = create_app(load(config, {}))
    services: Services = app.state.services
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway"), services


async def measured(folder: Path, provider: str, requests: int) -> Measured:
    # Pictures that are kept just in case wait for company once their answer is out. A client on a socket has it by
    # then; here, without one, the request would seem to take as long.
    storage_packs.GATHER_SECONDS = 0.0
    kept, bare = services_in(folder / "kept", provider), services_in(folder / "bare", provider)
    found = Measured()
    with closing(opened(folder / "floor.sqlite3")) as floor:
        try:
            for _, services in (kept, bare):
                await services.start()
            driver = replace(bare[1].dispatcher.driver, attempts=NoAttempts())
            bare[1].dispatcher = replace(bare[1].dispatcher, driver=driver)
            for number in range(-WARM_UP, requests):
                # Whoever comes first has just waited for the disk, and is slower for it before anything is recorded.
                turns = ((found.kept, kept[0]), (found.bare, bare[0]))
                took = [(times, await asked(client)) for times, client in (turns if number % 2 else turns[::-1])]
                took.append((found.commit, commit(floor)))
                if number >= 0:
                    for times, each in took:
                        times.append(each)
        finally:
            for client, services in (kept, bare):
                await client.aclose()
                await services.close()
    return found


def told(name: str, times: Sequence[float]) -> str:
    quarters = statistics.quantiles(times, n=20)
    return f"{name:<22}{statistics.median(times):9.2f}{quarters[18]:9.2f}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks journal", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="to each gateway, in all rounds (default 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="of whose costs the median counts (default 5)")
    options = parser.parse_args(arguments)
    rounds = []
    with tempfile.TemporaryDirectory(prefix="imagegate-bench-") as name, ExitStack() as stack:
        folder, port = Path(name), free_port()
        answer = make_answers(folder / "answers")[MODEL]
        address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "benchmarks.taker", str(port), str(answer)]
        try:
            taker = Server(command, f"{address}/readyz", folder / "log", environ={"PYTHONPATH": str(ROOT)})
        except NotStarted as reason:
            print(f"the provider cannot be played: {reason}", file=sys.stderr)
            return 1
        stack.callback(taker.stop)
        for number in range(options.rounds):
            place = folder / f"round-{number}"
            place.mkdir()
            rounds.append(uvloop.run(measured(place, address, options.requests // options.rounds)))
    print(f"{'milliseconds':<22}{'median':>9}{'p95':>9}")
    print(told("with the journal", [each for found in rounds for each in found.kept]))
    print(told("without attempts", [each for found in rounds for each in found.bare]))
    print(told("one durable commit", [each for found in rounds for each in found.commit]))
    cost = statistics.median(found.cost() / statistics.median(found.commit) for found in rounds)
    print(Goal("a submission's wait / one durable commit", cost, MOST).line())
    return 0
