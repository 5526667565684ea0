"""`imagegate serve --workers 2` on a real socket, with clients that are each served by one known worker."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO

import httpx

from tests.simulators import OpenAISimulator, Received
from tests.simulators.http import Answer

PATIENCE = 60.0
KEY = "k"


class Busy(OpenAISimulator):
    """A provider that knows how many it worked for at a time, and that works until it is let go."""

    def __init__(self) -> None:
        super().__init__(anonymous=True)
        self.inside = self.peak = 0
        self.seconds = 0.0
        self.free = threading.Event()
        self.free.set()

    async def handle(self, received: Received) -> Answer:
        if self.kind(received) != "submit":
            return await super().handle(received)
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        try:
            await asyncio.sleep(self.seconds)
            await asyncio.to_thread(self.free.wait)
            return await super().handle(received)
        finally:
            self.inside -= 1


class Together:
    """A supervisor and its workers."""

    def __init__(self, process: subprocess.Popen[str], base_url: str, err: IO[str], data_dir: Path) -> None:
        self.process, self.base_url, self.err, self.data_dir = process, base_url, err, data_dir

    @property
    def workers(self) -> list[int]:
        return [int(pid) for pid in said("pgrep", "-P", str(self.process.pid)).split()]

    @contextmanager
    def served_by(self, worker: int, clients: int = 1, key: str = KEY) -> Iterator[list[httpx.Client]]:
        """Clients whose connections this worker has accepted: the others stand still meanwhile."""
        others = [pid for pid in self.workers if pid != worker]
        with ExitStack() as stack:
            for pid in others:
                os.kill(pid, signal.SIGSTOP)
            try:
                made = [stack.enter_context(self._client(key)) for _ in range(clients)]
                for client in made:
                    assert client.get("/healthz").status_code == 200
            finally:
                for pid in others:
                    os.kill(pid, signal.SIGCONT)
            yield made

    def _client(self, key: str) -> httpx.Client:
        return httpx.Client(base_url=self.base_url, timeout=PATIENCE, headers={"authorization": f"Bearer {key}"})

    def rows(self) -> list[tuple[str, str | None]]:
        """State and owner of every submission on record, oldest first."""
        path = self.data_dir / "imagegate.sqlite3"
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
            return connection.execute("SELECT state, owner FROM attempts ORDER BY id").fetchall()


def said(*command: str) -> str:
    """What a program of the system prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603


def lives(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    state = said("ps", "-o", "stat=", "-p", str(pid)).strip()
    return bool(state) and not state.startswith("Z")


def ask(client: httpx.Client, *, headers: Mapping[str, str] | None = None, seconds: float = PATIENCE) -> httpx.Response:
    """One picture."""
    body = {"prompt": "a fox", "model": "m", "size": "64x64"}
    return client.post("/v1/images/generations", json=body, headers=headers, timeout=seconds)


def until(what: str, condition: object) -> None:
    """Wait for something that another process does."""
    assert callable(condition)
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE:g} seconds: {what}"
        time.sleep(0.02)


@contextmanager
def together(config: Path, data_dir: Path, *, port: int = 0, workers: int = 2) -> Iterator[Together]:
    """The gateway, ready; killed with all its workers at the end of the block where it still runs."""
    words = ["serve", "--config", str(config), "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "gateway.cli", *words, "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        greeting = re.search(r"http://\S+:\d+", line)
        assert greeting is not None, line + process.stderr.read()
        yield Together(process, greeting[0], process.stderr, data_dir)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
