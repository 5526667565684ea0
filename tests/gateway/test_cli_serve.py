"""`imagegate serve`: how it begins, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette

import gateway.app
from gateway.cli import main
from gateway.config import Settings
from gateway.jobs import Jobs
from normalization.errors import ConfigurationError, StorageFull
from tests.configurations import GOOD

ROOT = Path(__file__).parents[2]
KEYS = ("ONEMIN_API_KEY", "APIFRAME_API_KEY", "MODELVERSE_API_KEY", "FLUX_WORKER_URL")


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return str(path)


def run(*argv: str) -> int:
    """The exit code of a command, however it ends."""
    try:
        return main(argv)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture
def _signals() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def stand_in(monkeypatch: pytest.MonkeyPatch, *, end: int | None = None, error: BaseException | None = None) -> None:
    """An application that, once it starts, has this process sent a signal, or fails."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if error is not None:
            raise error
        if end is not None:
            os.kill(os.getpid(), end)
        yield

    app = Starlette(lifespan=lifespan)
    app.state.services = SimpleNamespace(jobs=Jobs())
    monkeypatch.setattr(gateway.app, "create_app", lambda _: app)


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_serving_greets_in_one_line_and_ends_well_when_told_to(
    end: int, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(monkeypatch, end=end)
    assert run("serve", "--config", config, "--port", "0") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert re.fullmatch(
        r"imagegate on (http://127\.0\.0\.1:\d+) with picture; "
        r'open it in a browser, or point a client at base_url="\1/v1" with any api_key\n',
        captured.out,
    )


@pytest.mark.usefixtures("_signals")
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError(13, "Permission denied", "/data"), 1, "imagegate: /data: Permission denied\n"),
        (StorageFull("the disk is full"), 1, "imagegate: the disk is full\n"),
        (ConfigurationError("storage.signing_key: too short"), 2, "storage.signing_key: too short\n"),
    ],
)
def test_a_start_that_fails_as_expected_is_told_in_one_line(
    error: Exception,
    code: int,
    said: str,
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stand_in(monkeypatch, error=error)
    assert run("serve", "--config", config, "--port", "0") == code
    assert capsys.readouterr() == ("", said)


@pytest.mark.usefixtures("_signals")
def test_a_start_that_fails_for_no_known_reason_keeps_its_traceback(
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    stand_in(monkeypatch, error=ZeroDivisionError("a bug"))
    assert run("serve", "--config", config, "--port", "0") not in (0, 2)
    assert "ZeroDivisionError: a bug" in caplog.text
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("_signals")
def test_a_taken_port_is_told_in_one_line(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert run("serve", "--config", config, "--port", port) == 1
    said = capsys.readouterr().err
    assert said == (
        f"imagegate: cannot listen on 127.0.0.1 port {port}: Address already in use; --port names another, "
        "0 any free one\n"
    )


@pytest.mark.usefixtures("_signals")
def test_a_host_that_is_not_ours_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD + "auth: {mode: none}\n", encoding="utf-8")
    assert run("serve", "--config", str(path), "--host", "host.invalid", "--port", "0") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("warning: auth.mode: none: whoever can reach host.invalid")
    assert lines[1].startswith("imagegate: cannot listen on host.invalid: ")
    assert len(lines) == 2


@pytest.mark.usefixtures("_signals")
def test_the_command_line_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        GOOD + f"server: {{port: 1, data_dir: /nowhere}}\nauth: {{keys: [{{name: a, key: 'sha256:{'0' * 64}'}}]}}\n"
    )
    served: list[Settings] = []

    def create(settings: Settings) -> Starlette:
        served.append(settings)
        raise StorageFull("seen")

    monkeypatch.setattr(gateway.app, "create_app", create)
    data_dir = tmp_path / "data"
    assert run("serve", "--config", str(path), "--host", "::1", "--port", "0", "--data-dir", str(data_dir)) == 1
    server = served[0].server
    assert (server.host, server.port, server.data_dir) == ("::1", 0, data_dir)
    assert capsys.readouterr().err == "imagegate: seen\n"


def test_the_greeting_names_an_address_that_a_client_can_use(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    many = "\n".join(f"  m{index}: {{routes: [{{provider: drawn, model: s}}]}}" for index in range(10))
    path.write_text(
        "server: {host: '::', port: 0}\nauth: {keys: [{name: a, key: abc}]}\n"
        f"providers:\n  drawn: {{type: sketch}}\nmodels:\n{many}\n"
    )
    with served_by("--config", str(path), "--data-dir", str(tmp_path / "data")) as (process, greeting):
        assert "with m0, m1, m2, m3, m4, m5, m6, m7 and 2 more; open it in a browser" in greeting
        assert greeting.endswith("with a key of auth.keys\n")
        found = re.search(r"imagegate on (http://\[::1\]:\d+) ", greeting)
        assert found is not None
        with urllib.request.urlopen(f"{found[1]}/healthz", timeout=20) as answer:  # noqa: S310 - our own address
            assert answer.status == 200
            assert answer.headers["server"] is None
    assert process.returncode == 0


def test_the_embedded_default_is_served_without_a_file(tmp_path: Path) -> None:
    with served_by("--port", "0", "--data-dir", str(tmp_path)) as (process, greeting):
        address = greeting.split()[2]
        with urllib.request.urlopen(f"{address}/v1/models", timeout=20) as answer:  # noqa: S310 - our own address
            names = [model["id"] for model in json.load(answer)["data"]]
    assert names[0] == "sketch"
    assert "flux.2-max" in names
    assert process.returncode == 0


@contextmanager
def served_by(*argv: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A gateway in a process of its own, with its greeting; told to stop at the end of the block."""
    environ = {name: value for name, value in os.environ.items() if name not in KEYS}
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "gateway.cli", "serve", *argv],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            greeting = process.stdout.readline()
            assert greeting, process.stderr.read()
            yield process, greeting
        finally:
            process.terminate()
            process.wait(60)
