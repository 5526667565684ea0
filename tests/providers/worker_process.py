"""A FLUX worker as a process of its own, over an engine without weights; with `--gpus N` a fleet of them.

    python -m tests.providers.worker_process [--gpus N] [--slow] [--fails] [--still] [--breaks]

Each process says its port on a line of its own once it listens, and `ready` once its model is loaded.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from functools import partial
from typing import Any, NoReturn

from providers.flux_worker.worker.desk import Desk, Serving
from providers.flux_worker.worker.fleet import VISIBLE, Fleet, devices
from providers.flux_worker.worker.program import DeviceFailed, Ending, serve
from tests.providers.fake_engine import FakeEngine


def load(words: list[str]) -> FakeEngine:
    if "--fails" in words:
        raise RuntimeError("no weights here")
    if "--slow" in words:
        time.sleep(600)
    engine = FakeEngine()
    if "--still" in words:
        engine.going.clear()
    if "--breaks" in words:
        engine.ready, engine.broken = False, True
    return engine


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def ready(desk: Desk) -> None:
    say("ready")


def one(words: list[str], index: int) -> int:
    signal.signal(signal.SIGTERM, _stopped)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        say(index, os.getpid(), listener.getsockname()[1], os.environ.get(VISIBLE, "-"))
        try:
            serve(listener, Serving(), partial(load, words), Ending(drain_seconds=20.0), ready)
        except RuntimeError:
            return 1
        except DeviceFailed:
            return 3
    return 0


def _stopped(*_: Any) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    given = sys.argv[1:]
    if "--gpus" in given:
        count = int(given[given.index("--gpus") + 1])
        sys.exit(Fleet(partial(one, given), devices(count, os.environ)).supervise())
    sys.exit(one(given, 0))
