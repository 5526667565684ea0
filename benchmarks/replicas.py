"""Whether two replicas on one Redis server keep limits as one: asked three times too much, what do they let through?

Three limits are driven at once for 82 s, the load turn by turn to either replica: a key's requests a minute, a
provider's requests a minute, and its submissions at once. The provider, in this process, notes when what came. A minute
of which all is used in 20 s begins anew after 60, so in 82 s each minute's limit is due twice. A request takes a moment
from its admission to the provider, so windows are half a second shorter than a minute. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from benchmarks.gateway import Goal
from benchmarks.processes import NotStarted, Server
from benchmarks.redis_server import redis_server
from benchmarks.subjects import ROOT, free_port, make_answers

PER_MINUTE = 600
AT_ONCE = 8
TIMES = 3
SECONDS = 82.0
MINUTES = 2
"""Of which each limit a minute is due in that time."""
WINDOW = 59.5
ANSWER_SECONDS = {"key": 0.02, "pace": 0.02, "gate": 2.0}
"""What the provider takes, by the limit that stands before it."""
SETTLING_SECONDS = 3.0
"""At the begin and at the end, for which nothing is said of how well the places at once were used."""
LIMITED, FREE = secrets.token_hex(16), secrets.token_hex(16)

CONFIG = """
server: {{port: {port}, data_dir: {folder}/data}}
auth:
  keys:
    - {{name: limited, key: {limited}, requests_per_minute: {per_minute}}}
    - {{name: free, key: {free}}}
state: {{url: "{state}"}}
storage: {{signing_key: {signing}}}
logs: {{level: error}}
limits: {{queue_wait_seconds: 0.5}}
normalization: {{default_response_format: b64_json}}
providers:
  to-key: {{type: openai, base_url: "{provider}/key/v1", api_key: sk-x}}
  to-pace: {{type: openai, base_url: "{provider}/pace/v1", api_key: sk-x, requests_per_minute: {per_minute}}}
  to-gate: {{type: openai, base_url: "{provider}/gate/v1", api_key: sk-x, max_concurrent: {at_once}}}
models:
  key: {{routes: [{{provider: to-key, model: gpt-image-1}}]}}
  pace: {{routes: [{{provider: to-pace, model: gpt-image-1}}]}}
  gate: {{routes: [{{provider: to-gate, model: gpt-image-1}}]}}
"""


@dataclass(slots=True)
class Noted:
    """What came to the provider for one model."""

    came: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    inside: int = 0
    peak: int = 0

    def most(self, seconds: float) -> int:
        """The most that came in any span of so many seconds."""
        found, first = 0, 0
        for index, at in enumerate(self.came):
            while self.came[first] <= at - seconds:
                first += 1
            found = max(found, index - first + 1)
        return found

    def mean_inside(self, begin: float, end: float) -> float:
        """How many were inside, on the average."""
        stays = zip(sorted(self.came), sorted(self.left), strict=False)
        return sum(max(0.0, min(left, end) - max(came, begin)) for came, left in stays) / (end - begin)


class Provider:
    """Answers after a while, and notes who was there. For one event loop."""

    def __init__(self, answer: bytes) -> None:
        self.noted = {name: Noted() for name in ANSWER_SECONDS}
        self._answer = answer

    async def __call__(self, request: web.Request) -> web.Response:
        await request.read()
        name = request.match_info["name"]
        noted = self.noted[name]
        noted.came.append(time.monotonic())
        noted.inside += 1
        noted.peak = max(noted.peak, noted.inside)
        try:
            await asyncio.sleep(ANSWER_SECONDS[name])
        finally:
            noted.inside -= 1
            noted.left.append(time.monotonic())
        return web.Response(body=self._answer, content_type="application/json")


@dataclass(slots=True)
class Load:
    """Asks, turn by turn, either replica."""

    session: aiohttp.ClientSession
    addresses: Sequence[str]
    until: float
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)

    async def ask(self, model: str, key: str, address: str) -> None:
        body = {"model": model, "prompt": "a red fox"}
        headers = {"authorization": f"Bearer {key}"}
        url = f"{address}/v1/images/generations"
        async with self.session.post(url, json=body, headers=headers) as answer:
            await answer.read()
            self.statuses[model, answer.status] += 1

    async def steadily(self, model: str, key: str, per_second: float) -> None:
        """So many a second, whatever becomes of them."""
        began, asked = time.monotonic(), list[asyncio.Task[None]]()
        for number, address in zip(itertools.count(), itertools.cycle(self.addresses), strict=False):
            at = began + number / per_second
            if at >= self.until:
                break
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            asked.append(asyncio.ensure_future(self.ask(model, key, address)))
        await asyncio.gather(*asked)

    async def closely(self, model: str, key: str, clients: int) -> None:
        """So many clients, each asking again as soon as it is answered."""

        async def one(address: str) -> None:
            while time.monotonic() < self.until:
                await self.ask(model, key, address)

        turns = itertools.islice(itertools.cycle(self.addresses), clients)
        await asyncio.gather(*(one(address) for address in turns))


def start_replica(folder: Path, provider: str, state: str, signing: str) -> tuple[Server, str]:
    folder.mkdir()
    port = free_port()
    text = CONFIG.format(
        port=port,
        folder=folder,
        provider=provider,
        state=state,
        signing=signing,
        limited=LIMITED,
        free=FREE,
        per_minute=PER_MINUTE,
        at_once=AT_ONCE,
    )
    (folder / "imagegate.yaml").write_text(text)
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(folder / "imagegate.yaml")]
    return Server(command, f"{address}/readyz", folder / "log", environ={"PYTHONPATH": str(ROOT)}), address


def times_lost(folder: Path) -> int:
    """How often a replica gave Redis up for a while and kept to its share: then the figures are of that."""
    logs = (folder / f"replica-{number}" / "log" for number in range(2))
    return sum(log.read_text(errors="replace").count("is lost") for log in logs)


async def driven(provider: Provider, port: int, folder: Path, state: str) -> tuple[Load, float, float]:
    """The load, over, and when it began and ended. Raises NotStarted."""
    application = web.Application()
    application.router.add_post("/{name}/v1/images/generations", provider)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    signing = secrets.token_hex(32)
    with ExitStack() as stack:
        addresses = []
        for number in range(2):
            address = f"http://127.0.0.1:{port}"
            server, own = await asyncio.to_thread(start_replica, folder / f"replica-{number}", address, state, signing)
            stack.callback(server.stop)
            addresses.append(own)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            began = time.monotonic()
            load = Load(session, addresses, began + SECONDS)
            rate = TIMES * PER_MINUTE / 60
            await asyncio.gather(
                load.steadily("key", LIMITED, rate),
                load.steadily("pace", FREE, rate),
                load.closely("gate", FREE, TIMES * AT_ONCE),
            )
            ended = load.until
        await runner.cleanup()
        return load, began, ended


def goals(noted: dict[str, Noted], began: float, ended: float) -> list[Goal]:
    found = []
    for name, what in (("key", "a key's minute"), ("pace", "a provider's minute")):
        found.append(Goal(f"{what}: most in {WINDOW:g} s / limit", noted[name].most(WINDOW) / PER_MINUTE, 1.0))
        unused = 100 - len(noted[name].came) / (MINUTES * PER_MINUTE) * 100
        found.append(Goal(f"{what}: not let through", unused, 2.0, " %"))
    gate = noted["gate"]
    found.append(Goal("submissions at once: most / limit", gate.peak / AT_ONCE, 1.0))
    inside = gate.mean_inside(began + SETTLING_SECONDS, ended - SETTLING_SECONDS)
    found.append(Goal("submissions at once: places unused", 100 - inside / AT_ONCE * 100, 2.0, " %"))
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks replicas", description=__doc__)
    parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="imagegate-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        provider = Provider(make_answers(folder / "answers")["small"].read_bytes())
        try:
            state, _ = stack.enter_context(redis_server(folder / "redis-server"))
            load, began, ended = asyncio.run(driven(provider, free_port(), folder, state))
        except NotStarted as reason:
            print(f"not measured: {reason}", file=sys.stderr)
            return 1
        lost = times_lost(folder)
    print(f"two replicas, {SECONDS:g} s, {TIMES} times the limit: answers by status")
    for model in ANSWER_SECONDS:
        told = sorted((status, count) for (of, status), count in load.statuses.items() if of == model)
        came = len(provider.noted[model].came)
        print(f"  {model:<6}{'  '.join(f'{status}: {count}' for status, count in told)}   at the provider: {came}")
    if lost:
        print(f"Redis was lost {lost} times, this machine being too busy for it: what follows is not of shared limits")
    print("goals:")
    print("\n".join(goal.line() for goal in goals(provider.noted, began, ended)))
    return 0
