"""A Redis server for the time of a benchmark: memory only, on a port of the loopback, in a folder of its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import NotStarted
from benchmarks.subjects import free_port
from scripts.test_needs import NEEDS, how_to_get

START_SECONDS = 10.0


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[tuple[str, int]]:
    """Its URL and its process id; it ends with the block. Raises NotStarted."""
    program = NEEDS["redis-server"].path()
    if program is None:
        raise NotStarted(how_to_get("redis-server"))
    folder.mkdir(parents=True)
    port = free_port()
    words = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--daemonize", "no")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *words], stdout=log, stderr=log)
    try:
        _await(port, process, folder / "log")
        yield f"redis://127.0.0.1:{port}/0", process.pid
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(64).startswith(b"+PONG"):
                return
        time.sleep(0.01)
    raise NotStarted(log.read_text(errors="replace")[-600:])


def cpu_seconds(pid: int) -> float:
    """User and system time of one process so far."""
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)
