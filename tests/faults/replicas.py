"""Two gateways in processes of their own, on one Redis and one folder of pictures, before providers that keep books.

with replicas(folder, redis) as house:
    with house.serving("a"), house.serving("b", failpoint=None) as b: ...
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.faults.bench import Bench, configuration, proxied
from tests.faults.billing import Providers
from tests.faults.crash import gateway
from tests.faults.proxy import Proxy
from tests.redis_server import RedisServer

ADMIN = "admin-of-these-tests"
CLIENT = "client-of-these-tests"


@dataclass
class Serving:
    """A replica that serves, or did."""

    name: str
    process: subprocess.Popen[str]
    address: str
    bench: Bench

    def get(self, path: str, key: str = CLIENT) -> httpx.Response:
        return httpx.get(f"{self.address}{path}", headers={"authorization": f"Bearer {key}"}, timeout=20)

    def ask(self, model: str, mark: str, **headers: str) -> httpx.Response:
        """A picture, with no retry of any kind."""
        body = {"model": model, "prompt": f"a fox {mark}", "user": mark, "size": "256x256", "response_format": "url"}
        whole = {"authorization": f"Bearer {CLIENT}", **headers}
        return httpx.post(f"{self.address}/v1/images/generations", json=body, headers=whole, timeout=100)


@dataclass
class Replicas:
    """What lives on when a gateway dies."""

    folder: Path
    redis_url: str
    providers: Providers
    proxies: Mapping[str, Proxy]
    limits: dict[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def serving(self, name: str, failpoint: str | None = None) -> Iterator[Serving]:
        """The replica of that name, with its own records from before, and the pictures of all."""
        data_dir = self.folder / name
        data_dir.mkdir(mode=0o700, exist_ok=True)
        pictures = self.folder / "pictures"
        pictures.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (data_dir / "pictures").symlink_to(pictures)
        config: dict[str, Any] = {
            **configuration({kind: proxy.origin for kind, proxy in self.proxies.items()}),
            "auth": {"mode": "keys", "admin_key": ADMIN, "keys": [{"name": "web", "key": CLIENT}]},
            "state": {"url": self.redis_url},
            "storage": {"signing_key": "5" * 64},
            "server": {"data_dir": str(data_dir)},
        }
        config["limits"] |= self.limits
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        with gateway(path, failpoint) as (process, address):
            front = next(iter(self.proxies.values()))
            yield Serving(name, process, address, Bench(f"{address}/v1", data_dir, self.providers, self.proxies, front))

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The attempts in a replica's own journal."""
        connection = sqlite3.connect(self.folder / name / "imagegate.sqlite3")
        connection.row_factory = sqlite3.Row
        with contextlib.closing(connection):
            return [dict(row) for row in connection.execute("SELECT * FROM attempts ORDER BY id")]

    def charged(self) -> int:
        """Micro-dollars in the providers' books."""
        return sum(charge.micros for charge in self.providers.charges() if not charge.refunded)

    def known(self, name: str) -> int:
        """Micro-dollars in a replica's journal, of all replicas' work."""
        return sum(row["cost_micros"] or 0 for row in self.rows(name) if row["charge"] == "charged")

    def settled(self, name: str) -> bool:
        return all(row["state"] not in ("sending", "accepted") for row in self.rows(name))


@contextlib.contextmanager
def replicas(folder: Path, redis: RedisServer) -> Iterator[Replicas]:
    """The house of the replicas."""
    with proxied(folder) as (running, proxies):
        yield Replicas(folder, redis.url(), running, proxies)
