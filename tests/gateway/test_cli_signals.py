"""`imagegate serve` as a process of its own: what SIGHUP and SIGTERM do to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.simulators import openai_simulator

CONFIG = """
server: {{data_dir: {data}}}
auth: {{mode: none}}
providers:
  up: {{type: openai, base_url: "{url}", api_key: "${{UPSTREAM_KEY}}"}}
  draw: {{type: sketch}}
models:
  m: {{routes: [{{provider: up, model: x}}]}}
  {more}
"""
ANOTHER = "another: {routes: [{provider: draw, model: sketch}]}"


class Process:
    def __init__(self, process: subprocess.Popen[str], base_url: str, err: IO[str]) -> None:
        self.process, self.base_url, self.err = process, base_url, err

    def models(self) -> set[str]:
        return {model["id"] for model in httpx.get(f"{self.base_url}/v1/models").json()["data"]}

    def hang_up(self) -> str:
        """What it says to SIGHUP."""
        self.process.send_signal(signal.SIGHUP)
        return next(line for line in self.err if "reloaded" in line)


@contextmanager
def serving(config: Path) -> Iterator[Process]:
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config), "--port", "0"]
    env = {**os.environ, "UPSTREAM_KEY": "k"}
    process = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        greeting = re.search(r"http://\S+", process.stdout.readline())
        assert greeting is not None
        yield Process(process, greeting[0], process.stderr)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_hanging_up_reads_models_anew_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    given = {"data": tmp_path / "data", "url": "http://127.0.0.1:9/v1"}
    config.write_text(CONFIG.format(**given, more=""))
    with serving(config) as gateway:
        assert gateway.models() == {"m"}
        config.write_text(CONFIG.format(**given, more=ANOTHER))
        assert "not reloaded" not in gateway.hang_up()
        assert gateway.models() == {"m", "another"}
        config.write_text(CONFIG.format(**given, more="another: {}"))
        said = gateway.hang_up()
        assert "not reloaded" in said
        assert "models.another" in said
        assert gateway.models() == {"m", "another"}


def test_what_waits_for_a_restart_is_named(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    given = CONFIG.format(data=tmp_path / "data", url="http://127.0.0.1:9/v1", more="")
    config.write_text(given)
    with serving(config) as gateway:
        config.write_text(f"{given}limits: {{result_bytes: 1000000}}\nlogs: {{level: debug}}\n")
        gateway.process.send_signal(signal.SIGHUP)
        said = next(line for line in gateway.err if "restart" in line)
        assert "changed, and in force only after a restart: logs, limits" in said
        assert "not reloaded" not in next(line for line in gateway.err if "reloaded" in line)
        config.write_text(given)
        gateway.process.send_signal(signal.SIGHUP)
        assert "reloaded" in next(line for line in gateway.err), "as it was at the start, nothing waits"


@contextmanager
def starting(config: Path) -> Iterator[subprocess.Popen[str]]:
    """A gateway that cannot begin before somebody writes into its configuration, which is a pipe."""
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config), "--port", "0"]
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "UPSTREAM_KEY": "k"}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_hung_up_on_before_it_serves_it_lives_and_reads_the_file_anew_then(tmp_path: Path) -> None:
    config, whole = tmp_path / "c.yaml", tmp_path / "whole.yaml"
    given = {"data": tmp_path / "data", "url": "http://127.0.0.1:9/v1"}
    whole.write_text(CONFIG.format(**given, more=ANOTHER))
    os.mkfifo(config)
    with starting(config) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        with config.open("w") as pipe:
            process.send_signal(signal.SIGHUP)
            whole.replace(config)
            pipe.write(CONFIG.format(**given, more=""))
        greeting = re.search(r"http://\S+", process.stdout.readline())
        assert greeting is not None
        assert "not reloaded" not in next(line for line in process.stderr if "reloaded" in line)
        models = {model["id"] for model in httpx.get(f"{greeting[0]}/v1/models").json()["data"]}
        assert models == {"m", "another"}


def test_told_to_end_before_it_serves_it_ends_well(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    os.mkfifo(config)
    with starting(config) as process, config.open("w"):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_it_ends_well_where_nobody_reads_its_log_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # with it nothing is left to be written at the end
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG.format(data=tmp_path / "data", url="http://127.0.0.1:9/v1", more=""))
    config.write_text(f"{config.read_text()}limits: {{drain_unready_seconds: 0.01}}\n")
    with serving(config) as gateway:
        gateway.err.close()
        assert gateway.models() == {"m"}
        gateway.process.terminate()
        assert gateway.process.wait(20) == 0


EXPOSED = """
server: {{data_dir: {data}, host: {host}}}
auth: {auth}
providers: {{draw: {{type: sketch}}}}
models: {{m: {{routes: [{{provider: draw, model: sketch}}]}}}}
"""


def test_keys_do_not_go_while_others_can_reach_the_address_that_stays_until_a_restart(tmp_path: Path) -> None:
    config, data = tmp_path / "c.yaml", tmp_path / "data"
    # Loopback in a spelling that is not looked into, so it counts as an address that others reach.
    config.write_text(EXPOSED.format(data=data, host="'127.1'", auth="{keys: [{name: a, key: key-a}]}"))
    with serving(config) as gateway, httpx.Client(base_url=gateway.base_url) as client:
        assert client.get("/v1/models").status_code == 401
        config.write_text(EXPOSED.format(data=data, host="127.0.0.1", auth="{}"))
        assert "not reloaded" in gateway.hang_up()
        assert client.get("/v1/models").status_code == 401
        config.write_text(EXPOSED.format(data=data, host="127.0.0.1", auth="{mode: none}"))
        assert "not reloaded" not in gateway.hang_up()
        assert client.get("/v1/models").status_code == 200, "whoever writes it means it"


def test_told_to_end_it_takes_nothing_new_finishes_what_it_has_and_exits_well(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    with openai_simulator() as upstream, ThreadPoolExecutor(1) as threads:
        config.write_text(CONFIG.format(data=tmp_path / "data", url=upstream.base_url, more=""))
        upstream.fail_next(delay=1.5)
        with serving(config) as gateway, httpx.Client(base_url=gateway.base_url, timeout=30) as client:
            body = {"prompt": "a fox", "model": "m", "size": "64x64"}
            under_way = threads.submit(httpx.post, f"{gateway.base_url}/v1/images/generations", json=body, timeout=30)
            while not upstream.submissions:
                assert not under_way.done()
            gateway.process.send_signal(signal.SIGTERM)
            while client.get("/readyz").status_code == 200:
                assert not under_way.done()
            assert client.get("/healthz").status_code == 200
            refused = client.post("/v1/images/generations", json=body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
            assert refused.headers["x-should-retry"] == "true"
            assert int(refused.headers["retry-after"]) >= 1
            assert under_way.result().status_code == 200
            client.close()
            assert gateway.process.wait(20) == 0
        assert len(upstream.submissions) == 1
