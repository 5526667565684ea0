"""The parent of several workers, where the system or a new configuration gives it trouble."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.model import Settings
from gateway.workers import supervisor
from gateway.workers.coordinator import Desk
from gateway.workers.process import taken_over
from gateway.workers.supervisor import Hooks, Supervisor, settings_text
from normalization.errors import ConfigurationError
from tests.raw import PROVIDED
from tests.served import settings_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def keyed(folder: Path, key: str) -> Settings:
    return settings_of(folder, {**PROVIDED, "auth": {"keys": [{"name": "one", "key": key, "max_concurrent": 1}]}})


class Ended:
    """A process that serves and dies at once."""

    pid = 0

    @property
    def stdin(self) -> Any:
        raise BrokenPipeError

    async def wait(self) -> int:
        return 1


async def test_while_the_system_has_no_process_to_give_the_others_go_on(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "AGAIN_FIRST_SECONDS", 0.01)
    settings = settings_of(tmp_path, PROVIDED)
    kept = Supervisor(settings, listener, 1, Hooks(lambda: None, lambda: settings, print))
    starts: list[str] = []

    async def spawn(number: int, connection: socket.socket) -> Any:
        starts.append("start")
        if len(starts) == 1:
            kept._is_ready(number)
            return Ended()
        if len(starts) < 4:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        kept._stopping.set()
        return None

    monkeypatch.setattr(kept, "_spawn", spawn)
    async with asyncio.timeout(10):
        await kept._keep(0)
    assert len(starts) == 4
    assert sum("worker 1 cannot be started" in each for each in caplog.messages) == 2
    assert kept._failed == 0


@pytest.mark.skipif(sys.platform == "win32", reason="several processes need a socket that can be inherited")
async def test_a_worker_that_never_reads_what_it_is_told_is_ended(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "READY_SECONDS", 0.2)
    monkeypatch.setattr(supervisor, "_PROGRAM", "import time; time.sleep(600)")
    route = PROVIDED["models"]["sketch"]
    models = {f"m{number}": {**route, "aliases": [f"{number}{'x' * 1000}"]} for number in range(400)}
    settings = settings_of(tmp_path, {**PROVIDED, "models": models})
    assert len(settings_text(settings)) > 1 << 18, "more than a pipe holds"
    kept = Supervisor(settings, listener, 1, Hooks(lambda: None, lambda: settings, print))
    async with asyncio.timeout(20):
        assert await kept._work(0) == (-signal.SIGKILL, True)


async def test_where_not_even_the_first_can_be_started_that_is_the_end(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path, PROVIDED)
    kept = Supervisor(settings, listener, 1, Hooks(lambda: None, lambda: settings, print))

    async def spawn(number: int, connection: socket.socket) -> Any:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(kept, "_spawn", spawn)
    async with asyncio.timeout(10):
        await kept._keep(0)
    assert kept._failed == 1


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (None, None),
        (ConfigurationError("providers.p: not so"), "providers.p: not so"),
        (RuntimeError("a bug"), "a worker met an unexpected error, which stands in the log"),
    ],
)
async def test_whatever_keeps_a_worker_from_a_configuration_is_told(
    trouble: Exception | None, told: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reloaded: list[Settings] = []

    class Refusing:
        def reload(self, settings: Settings) -> None:
            if trouble is not None:
                raise trouble
            reloaded.append(settings)

    services: Any = Refusing()
    settings = settings_of(tmp_path, PROVIDED)
    assert await taken_over(services, settings_text(settings)) == told
    assert reloaded == ([] if trouble else [settings])
    assert ("a bug" in caplog.text) == isinstance(trouble, RuntimeError)


@pytest.mark.parametrize("refusal", [None, "providers.p.rename: 'x' is not a parameter"])
async def test_no_later_worker_starts_with_what_those_that_run_have_refused(
    refusal: str | None, tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = keyed(tmp_path, "ig_before"), keyed(tmp_path, "ig_after")
    told: list[str | None] = []
    kept = Supervisor(before, listener, 1, Hooks(lambda: None, lambda: after, told.append))
    desk = kept._coordinator.connect()

    async def inquire(self: Desk, event: str, body: Any) -> str | None:
        assert kept._settings.auth == after.auth  # whoever starts meanwhile is given what is new
        return refusal

    monkeypatch.setattr(Desk, "inquire", inquire)
    kept._coordinator.desks.append(desk)
    await kept._reload()
    assert told == [refusal]
    assert kept._settings.auth == (after if refusal is None else before).auth
