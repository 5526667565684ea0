"""A real Redis server for tests: one a session, its own folder, ended by its process id; and what lies in it."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.config.redis_url import RedisUrl, redis_url
from gateway.services.redis.connection import RedisConnection
from scripts.test_needs import NEEDS

PATIENCE = 20.0
KEY = b"signs the pictures of these tests"

_numbers = itertools.count(1)


class RedisServer:
    """On a port of the loopback. `stop` and `start` keep what lies in it; between `freeze` and `thaw` it is silent."""

    def __init__(self, folder: Path, *more: str, timeout: float | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = folder
        self._more = more
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        program = NEEDS["redis-server"].path()
        assert program is not None
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", "")
        kept = ("--appendonly", "yes", "--appendfsync", "no", "--daemonize", "no", "--loglevel", "warning")
        with (self._folder / "redis.log").open("ab") as log:
            command = [program, *options, *kept, *self._more]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603  (the server under test)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert time.monotonic() < deadline, (self._folder / "redis.log").read_text()
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()
            time.sleep(0.01)

    def stop(self) -> None:
        """End it, in order, so that it has written everything."""
        if self._process is not None:
            self.thaw()
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def say(self, *command: str | bytes | int) -> bytes:
        """Carry out one command past everything that is tested. The raw reply, of at most 64 KiB."""
        parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(
                b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
            )
            return connection.recv(65536)

    def url(self, *, prefix: str | None = None) -> str:
        """A URL with a prefix that nobody has had before."""
        own = prefix or f"t{os.getpid()}-{next(_numbers)}:"
        timeout = "" if self._timeout is None else f"&timeout={self._timeout:g}"
        return f"redis://127.0.0.1:{self.port}/0?prefix={own}{timeout}"

    def _answers(self) -> bool:
        try:
            return self.say("PING").startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


@contextmanager
def redis_server(*more: str, timeout: float | None = None) -> Iterator[RedisServer]:
    """A server that ends with the block, its folder with it. `more`: options of its own; `timeout`: how many seconds
    its URL gives it to answer."""
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    server = RedisServer(folder, *more, timeout=timeout)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def parsed(url: str) -> RedisUrl:
    found = redis_url(url)
    assert found is not None
    return found


def connection(url: str, *, key: bytes = KEY) -> RedisConnection:
    """A connection of one replica, not yet started."""
    return RedisConnection(parsed(url), key)
