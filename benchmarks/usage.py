"""What a look at the usage costs: `/admin/usage` over a million requests and as many attempts, against the same
statements run by sqlite3 in this process, and what a submission waits for its record meanwhile.

The file is written once and kept only for the run. Each group is asked for in turn, directly and through the gateway,
and the best of the rounds counts on both sides: the file then lies in the system's memory for both.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

import httpx

from benchmarks.gateway import Goal
from gateway.app import create_app
from gateway.config.load import load
from gateway.container import Services
from gateway.services.attempts import NewAttempt, Settlement, new_id
from gateway.services.attempts_schema import MIGRATIONS
from gateway.services.attempts_sqlite import FILE
from gateway.services.ledger import Group
from gateway.services.ledger_schema import call_sums, placed, request_sums, span_of
from gateway.services.sqlite import open_database
from gateway.services.windows import rank

GROUPS: tuple[Group, ...] = get_args(Group)
DAYS = 30
ENDPOINT = "/v1/images/generations"
MOST = 3.0
KEYS = (*(f"team-{number}" for number in range(20)), None)
MODELS = ("flux-2-max", "flux-2-dev", "kontext", "sketch")
PROVIDERS = ("gpu", "apiframe", "onemin", "modelverse")
CONFIG = """
server: {{data_dir: {folder}/data}}
auth: {{mode: none}}
providers: {{draw: {{type: sketch}}}}
models: {{sketch: {{routes: [{{provider: draw, model: sketch}}]}}}}
"""


def rows(count: int, now: float) -> Iterator[tuple[float, float, str, random.Random]]:
    chance = random.Random(1)
    for number in range(count):
        created = now - DAYS * 86_400 * (1 - number / count) + 1
        yield created, chance.lognormvariate(2, 1), f"{number:032x}", chance


def fill(path: Path, count: int, now: float) -> None:
    """`count` requests of the last days, each with an attempt."""
    requests = (
        (new_id(created), f"req_{id}", f"gen_{id}", chance.choice(KEYS), chance.choice(MODELS), ENDPOINT,
         chance.choice(PROVIDERS), chance.choice((200, 200, 200, 400, 502)), None, 1, 1.05, 1_500_000, created, seconds)
        for created, seconds, id, chance in rows(count, now)
    )  # fmt: skip
    attempts = (
        (new_id(created), f"gen_{id}", f"req_{id}", chance.choice(PROVIDERS), "theirs", chance.choice(MODELS),
         chance.choice(KEYS), 1, 70_000, created, "done", "ok", "charged", 70_000, 1, seconds)
        for created, seconds, id, chance in rows(count, now)
    )  # fmt: skip
    with closing(open_database(path, MIGRATIONS)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO requests (id, request_id, generation_id, key_name, model, endpoint, provider, status, code, "
            "images, megapixels, bytes_out, created, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            requests,
        )
        connection.executemany(
            "INSERT INTO attempts (id, generation_id, request_id, provider, model, requested_model, key_name, images, "
            "planned_cost_micros, created, state, outcome, charge, cost_micros, delivered, seconds) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            attempts,
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def directly(path: Path, group: Group, begin: float, end: float) -> float:
    """Seconds that the statements take by themselves."""
    began = time.perf_counter()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        span = span_of(begin, end)
        asked = connection.execute(request_sums(group), span).fetchall()
        called = connection.execute(call_sums(group), span).fetchall()
        counts = [row[4] for row in called] if group == "provider" else [row[1] for row in asked]
        ends = list(itertools.accumulate(counts, initial=0))
        places = [end + rank(count, of) for end, count in zip(ends, counts, strict=False) for of in (50, 95)]
        whole = sum(row[1] for row in asked)
        for statement, at in ((placed(group), places), (placed(None), [rank(whole, 50), rank(whole, 95)])):
            connection.execute(statement, {**span, "places": str(at)}).fetchall()
    return time.perf_counter() - began


async def through(client: httpx.AsyncClient, group: Group) -> float:
    """Seconds that the gateway takes."""
    began = time.perf_counter()
    answer = await client.get("/admin/usage", params={"group_by": group}, timeout=600)
    answer.raise_for_status()
    return time.perf_counter() - began


async def waits(services: Services, meanwhile: asyncio.Future[float] | None) -> list[float]:
    """Milliseconds until each of some submissions is on record, one after the other, for as long as something goes on
    or 100 times."""
    found: list[float] = []
    while (len(found) < 100) if meanwhile is None else not meanwhile.done():
        new = NewAttempt(new_id(), "gen", "req", "draw", "theirs", "sketch", None, None, 1, 0, time.time())
        began = time.perf_counter()
        await services.state.attempts.begin(new)
        found.append(1000 * (time.perf_counter() - began))
        await services.state.attempts.settle(new.id, Settlement("not_sent", "benchmark", "none", 0, 0, 0.0))
        await asyncio.sleep(0.002)
    return found


async def measured(folder: Path, count: int, rounds: int) -> list[Goal]:
    config = folder / "imagegate.yaml"
    config.write_text(CONFIG.format(folder=folder))
    path, now = folder / "data" / FILE, time.time()
    began = time.perf_counter()
    await asyncio.to_thread(fill, path, count, now)
    print(
        f"{count} requests and attempts written in {time.perf_counter() - began:.1f} s, {path.stat().st_size >> 20} MB"
    )
    app = create_app(load(config, {}))
    services: Services = app.state.services
    ratios = {}
    try:
        await services.start()
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
        print(f"{'seconds':<12}{'sqlite3':>9}{'gateway':>9}")
        for group in GROUPS:
            direct, served = [], []
            for _ in range(rounds):
                end = time.time()
                direct.append(await asyncio.to_thread(directly, path, group, end - DAYS * 86_400, end))
                served.append(await through(client, group))
            print(f"{group:<12}{min(direct):9.2f}{min(served):9.2f}")
            ratios[group] = min(served) / min(direct)
        alone = await waits(services, None)
        beside = await waits(services, asyncio.ensure_future(through(client, "key")))
        await client.aclose()
    finally:
        await services.close()
    usual, busy = statistics.median(alone), statistics.median(beside)
    print(f"a submission's record: {usual:.2f} ms; while sums are made: {busy:.2f} ms")
    return [Goal(f"by {group}: /admin/usage / sqlite3 itself", ratio, MOST) for group, ratio in ratios.items()]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks usage", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="requests, and attempts (default 1000000)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (default 3)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="imagegate-bench-") as name:
        for goal in asyncio.run(measured(Path(name), options.rows, options.rounds)):
            print(goal.line())
    return 0
