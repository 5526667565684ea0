"""A FLUX worker as a process: it listens before it has loaded, drains on SIGTERM, and a fleet keeps its members up."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import IO

import httpx
import pytest

from providers.flux_worker.worker.fleet import Fleet, devices
from tests.providers.worker_wire import body


@dataclass
class Member:
    index: int
    pid: int
    base: str
    device: str


@dataclass
class Program:
    process: subprocess.Popen[str]
    out: IO[str]

    def member(self) -> Member:
        """The next process that listens."""
        for line in self.out:
            words = line.split()
            if len(words) == 4:
                return Member(int(words[0]), int(words[1]), f"http://127.0.0.1:{words[2]}", words[3])
        raise AssertionError("the program ended")

    def ready(self) -> None:
        assert any(line.strip() == "ready" for line in self.out)


@contextmanager
def program(*words: str, **environ: str) -> Iterator[Program]:
    command = [sys.executable, "-m", "tests.providers.worker_process", *words]
    process = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **environ}
    )
    assert process.stdout is not None
    try:
        yield Program(process, process.stdout)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def status(base: str, path: str) -> int:
    return httpx.get(f"{base}{path}", timeout=20).status_code


def test_it_answers_while_the_model_is_loaded_and_ends_when_told() -> None:
    with program("--slow") as started:
        member = started.member()
        with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
            assert client.get(f"{member.base}/health").status_code == 200
        assert status(member.base, "/ready") == 503
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(20) == 0


def test_a_model_that_cannot_be_loaded_ends_it() -> None:
    with program("--fails") as started:
        assert started.process.wait(20) == 1


def test_what_is_under_way_ends_before_it_does() -> None:
    with program() as started, ThreadPoolExecutor(1) as threads:
        member = started.member()
        started.ready()
        said = body(steps=150, width=512, height=512)
        asked = threads.submit(httpx.post, f"{member.base}/v1/responses", json=said, timeout=20)
        with httpx.Client() as client:
            while client.get(f"{member.base}/ready").json()["running"] == 0 and not asked.done():
                pass
        started.process.send_signal(signal.SIGTERM)
        assert asked.result().status_code == 200
        assert started.process.wait(20) == 0


def test_a_second_signal_ends_it_at_once() -> None:
    with program("--still") as started, ThreadPoolExecutor(1) as threads:
        member = started.member()
        started.ready()
        asked = threads.submit(httpx.post, f"{member.base}/v1/responses", json=body(), timeout=60)
        with httpx.Client() as client:
            while client.get(f"{member.base}/ready").json()["running"] == 0 and not asked.done():
                pass
            started.process.send_signal(signal.SIGTERM)
            while client.get(f"{member.base}/ready").status_code == 200:
                pass
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(15) == 0
        assert asked.result().status_code == 503
        assert asked.result().json()["error"]["code"] == "503"


def test_a_second_signal_is_told_to_streams_and_to_bodies_that_are_on_their_way() -> None:
    with program("--still") as started, ThreadPoolExecutor(1) as threads:
        member = started.member()
        started.ready()
        asked = threads.submit(httpx.post, f"{member.base}/v1/responses", json=body() | {"stream": True}, timeout=60)
        address = ("127.0.0.1", int(member.base.rpartition(":")[2]))
        with socket.create_connection(address, timeout=60) as slow, httpx.Client() as client:
            slow.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            while client.get(f"{member.base}/ready").json()["running"] == 0:
                pass
            started.process.send_signal(signal.SIGTERM)
            while client.get(f"{member.base}/ready").status_code == 200:
                pass
            started.process.send_signal(signal.SIGTERM)
            told = slow.makefile("rb").read()
        assert started.process.wait(15) == 0
    assert told.startswith(b"HTTP/1.1 503")
    assert b"shutting down" in told
    assert "event: error" in asked.result().text
    assert '"status":503' in asked.result().text


def test_each_member_of_a_fleet_has_a_gpu_of_its_own_and_is_replaced_when_it_dies() -> None:
    with program("--gpus", "2", CUDA_VISIBLE_DEVICES="3,5,7") as started:
        members = [started.member(), started.member()]
        assert sorted((member.index, member.device) for member in members) == [(0, "3"), (1, "5")]
        os.kill(members[0].pid, signal.SIGKILL)
        again = started.member()
        assert (again.index, again.device) == (members[0].index, members[0].device)
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(20) == 0
        for member in (members[1], again):
            with pytest.raises(ProcessLookupError):
                os.kill(member.pid, 0)


def test_a_member_that_has_said_why_it_ends_ends_the_fleet() -> None:
    with program("--gpus", "2", "--fails") as started:
        assert started.process.wait(30) == 1


def test_a_device_that_failed_for_good_ends_the_process_and_the_fleet_starts_another() -> None:
    with program("--breaks") as alone:
        assert alone.process.wait(30) == 3
    with program("--gpus", "1", "--breaks") as started:
        first, again = started.member(), started.member()
        assert again.pid != first.pid
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(20) == 0


@dataclass
class Ended:
    """A process that is over before anybody looks at it."""

    exitcode: int
    sentinel: int
    pid: int = 0

    def is_alive(self) -> bool:
        return False


def test_a_member_that_died_between_two_looks_is_replaced_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.flux_worker.worker.fleet.PAUSES", (0.0,))
    begun: list[int] = []

    def started(fleet: Fleet, index: int, device: str) -> Ended:
        begun.append(index)
        return Ended(exitcode=-signal.SIGKILL if len(begun) == 1 else 1, sentinel=-1)

    monkeypatch.setattr(Fleet, "_started", started)
    assert Fleet(int, ["0"]).supervise() == 1, "the second has said why it ends"
    assert begun == [0, 0]


def test_a_signal_that_comes_while_a_process_is_started_reaches_that_process(monkeypatch: pytest.MonkeyPatch) -> None:
    member = multiprocessing.get_context("spawn").Process(target=signal.pause)

    def started(fleet: Fleet, index: int, device: str) -> BaseProcess:
        os.kill(os.getpid(), signal.SIGTERM)  # by now the fleet has heard it, and not yet of this process
        return member

    monkeypatch.setattr(Fleet, "_started", started)
    member.start()
    try:
        assert Fleet(int, ["0"]).supervise() == 0
        assert member.exitcode == -signal.SIGTERM
    finally:
        member.kill()
        member.join()
        member.close()


def test_a_fleet_takes_no_gpu_that_it_is_not_shown() -> None:
    assert devices(2, {}) == ["0", "1"]
    assert devices(1, {"CUDA_VISIBLE_DEVICES": "GPU-a, GPU-b"}) == ["GPU-a"]
    with pytest.raises(ValueError, match="shows 1 GPUs"):
        devices(2, {"CUDA_VISIBLE_DEVICES": "4"})
