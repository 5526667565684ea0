"""A gateway in a process of its own that is killed at a given place, started again, and asked what it knows.

end = crash(house, "after_accepted", "apiframe", tmp_path)
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from gateway.services.failpoints import NAMES
from tests.faults.bench import PATIENCE, Bench, configuration, new_mark
from tests.faults.billing import MICROS, ROOT, Providers
from tests.faults.checker import Ask, check
from tests.faults.happenings import Fault
from tests.faults.proxy import Proxy

KILLED = -9
HELD: Mapping[str, Fault] = {
    "while the provider works": Fault(hold=True),
    "while a look is on its way": Fault(on="poll", hold=True),
}
"""Killed from outside, while a proxy holds an answer back."""

JOB = ("after_accepted", "polling", "while a look is on its way")
"""Places that only work has that is looked at until it is done."""
PLACES: Mapping[str, tuple[str, ...]] = {
    "apiframe": (*NAMES, *HELD),
    "onemin": tuple(name for name in (*NAMES, *HELD) if name not in JOB),
}
"""Where each kind is killed: one that has jobs, and one that answers at once with an address."""
CRASHES = [(place, kind) for kind, places in PLACES.items() for place in places]


@dataclass(frozen=True)
class Aftermath:
    """What is on record when the gateway is up again and nothing moves any more."""

    states: tuple[tuple[str, str | None], ...]
    """State and charge of every row."""
    charged: int = 0
    """Pictures in the provider's books."""
    kept: int = 0
    """Pictures in storage: the client is gone."""
    violations: frozenset[str] = frozenset()


@dataclass
class House:
    """What lives on when a gateway dies."""

    providers: Providers
    proxies: Mapping[str, Proxy]


@contextlib.contextmanager
def gateway(config: Path, failpoint: str | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`imagegate serve` as an operator starts it, and its address; ended with the block, however it ends."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IMAGEGATE_")}
    armed = {} if failpoint is None else {"IMAGEGATE_TESTING": "1", "IMAGEGATE_FAILPOINT": failpoint}
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config), "--port", "0"]
    log = config.with_suffix(".log").open("a")
    with (
        log,
        subprocess.Popen(  # noqa: S603 - our own interpreter
            command, cwd=ROOT, env={**clean, **armed}, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            greeting = re.search(r"http://\S+", process.stdout.readline())
            assert greeting is not None, config.with_suffix(".log").read_text()
            yield process, greeting[0]
        finally:
            process.kill()
            process.wait(PATIENCE)


def crash(house: House, place: str, kind: str, folder: Path, *, patience: float = PATIENCE) -> Aftermath:
    """Ask for a picture, have the gateway killed at `place`, start it again, and wait up to `patience` seconds until
    everything is settled."""
    for proxy in house.proxies.values():
        proxy.reset()
    path = folder / "imagegate.yaml"
    config = configuration({name: proxy.origin for name, proxy in house.proxies.items()})
    path.write_text(yaml.safe_dump({**config, "server": {"data_dir": str(folder / "data")}}))
    with gateway(path, place if place in NAMES else None) as (process, address):
        before = Bench(f"{address}/v1", folder / "data", house.providers, house.proxies, house.proxies[kind])
        ask = _ask_and_die(before, process, place, kind)
    with gateway(path) as (_, address):
        after = Bench(f"{address}/v1", folder / "data", house.providers, house.proxies, house.proxies[kind])
        evidence = after.evidence(ask, crashed=True, patience=patience)
    return Aftermath(
        states=tuple((row.state, row.charge) for row in evidence.rows),
        charged=sum(charge.micros for charge in evidence.charges) // MICROS,
        kept=evidence.kept,
        violations=frozenset(violation.rule for violation in check(evidence)),
    )


def _ask_and_die(bench: Bench, process: subprocess.Popen[str], place: str, kind: str) -> Ask:
    mark, asks, proxy = new_mark(), list[Ask](), bench.proxies[kind]

    def ask() -> None:
        asks.append(bench.ask(kind, mark=mark, client=bench.client(retries=0)))

    thread = threading.Thread(target=ask, daemon=True)
    if place in HELD:
        proxy.next(HELD[place])
    thread.start()
    if place in HELD:
        assert proxy.held.wait(PATIENCE)
        process.kill()
    assert process.wait(PATIENCE) == KILLED, "the gateway did not die"
    proxy.release()
    thread.join(PATIENCE)
    assert asks[0].status is None, "the client was answered by a gateway that was to die before"
    return asks[0]
