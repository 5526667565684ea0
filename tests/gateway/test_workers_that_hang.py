"""A worker that never comes to serve is ended and replaced, be it the first one or a later one."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.workers import supervisor
from gateway.workers.supervisor import Hooks, Supervisor
from tests.gateway.together import lives
from tests.served import settings_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="several processes need a socket that can be inherited")

CONFIG = {
    "auth": {"mode": "none"},
    "providers": {"draw": {"type": "sketch"}},
    "models": {"m": {"routes": [{"provider": "draw", "model": "s"}]}},
    "limits": {"drain_unready_seconds": 0.1},
}
BRIEF, LONG = 0.5, 120.0


class Told(logging.Handler):
    """Hears what the supervisor says, and gives every worker after the first that hangs its time."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        supervisor.READY_SECONDS = LONG


@contextmanager
def hearing() -> Iterator[list[str]]:
    told, log = Told(), logging.getLogger("imagegate.workers")
    log.addHandler(told)
    try:
        yield told.said
    finally:
        log.removeHandler(told)


@pytest.mark.parametrize("hanging", [0, 1], ids=["the first", "the second"])
def test_a_worker_that_does_not_come_to_serve_is_replaced(
    hanging: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    # The worker with this number among all that are started sleeps instead of serving.
    program = (
        f"import os, time; began = len(os.listdir({str(marks)!r})); open(f'{marks}/{{began}}', 'w').close()\n"
        f"if began == {hanging}: time.sleep(600)\n"
    )
    monkeypatch.setattr(supervisor, "_PROGRAM", program + supervisor._PROGRAM)
    monkeypatch.setattr(supervisor, "READY_SECONDS", LONG)
    with socket.create_server(("127.0.0.1", 0)) as listener, hearing() as said:
        settings = settings_of(tmp_path, CONFIG)
        watched: list[Supervisor] = []

        async def serve() -> int:
            hooks = Hooks(lambda: watched[0]._stop(signal.SIGTERM), lambda: settings, lambda _: None)
            watched.append(Supervisor(settings, listener, hanging + 1, hooks))
            return await watched[0].run()

        if hanging == 0:
            monkeypatch.setattr(supervisor, "READY_SECONDS", BRIEF)
        else:
            first = Supervisor._is_ready

            def then_brief(self: Supervisor, number: int) -> None:
                first(self, number)
                if number == 0 and not said:
                    supervisor.READY_SECONDS = BRIEF

            monkeypatch.setattr(Supervisor, "_is_ready", then_brief)
        assert asyncio.run(serve()) == 0
    assert len(list(marks.iterdir())) == hanging + 2
    [hung, replaced] = said
    found = re.fullmatch(
        rf"worker {hanging + 1} \(process (\d+)\) does not come to serve within 0.5 s, and is ended", hung
    )
    assert found is not None
    assert not lives(int(found[1]))
    assert "was ended by SIGKILL; another one starts" in replaced
