"""Several processes are one gateway: they count together, one's death is nobody else's, and they end as one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gateway.api.replaying import PEER_SECONDS
from gateway.config.limits import Limits
from gateway.config.model import digest
from gateway.workers.shares import Part, share_of
from tests.gateway.together import KEY, Busy, Together, ask, lives, together, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="several processes need a socket that can be inherited")

CONFIG = """
server: {{max_concurrent_requests: {most}}}
auth:
  keys:
    - {{name: free, key: "{free}"}}
    - {{name: slow, key: "{slow}", requests_per_minute: 5}}
limits: {{drain_unready_seconds: 0.2}}
providers:
  up: {{type: openai, base_url: "{url}", max_concurrent: {places}}}
  draw: {{type: sketch}}
models:
  m: {{routes: [{{provider: up, model: x}}]}}
  {more}
"""
ANOTHER = "another: {routes: [{provider: draw, model: sketch}]}"


def configured(folder: Path, upstream: Busy, *, most: int = 500, places: int = 3, more: str = "") -> Path:
    config = folder / "c.yaml"
    keys = {name: f"sha256:{digest(key)}" for name, key in (("free", KEY), ("slow", "slow-key"))}
    config.write_text(CONFIG.format(url=upstream.base_url, most=most, places=places, more=more, **keys))
    return config


def test_a_providers_places_and_a_keys_minute_are_counted_once_for_all_workers(tmp_path: Path, upstream: Busy) -> None:
    upstream.seconds = 0.05
    with together(configured(tmp_path, upstream), tmp_path / "data") as gateway:
        first, second = gateway.workers
        with (
            gateway.served_by(first, 20) as some,
            gateway.served_by(second, 20) as others,
            ThreadPoolExecutor(40) as threads,
        ):
            answers = list(threads.map(ask, [*some, *others]))
        assert Counter(answer.status_code for answer in answers) == {200: 40}
        assert upstream.peak == 3
        until("all is on record", lambda: [state for state, _ in gateway.rows()] == ["done"] * 40)
        assert sorted(Counter(owner for _, owner in gateway.rows()).values()) == [20, 20]

        with gateway.served_by(first, key="slow-key") as [one], gateway.served_by(second, key="slow-key") as [other]:
            answers = [ask(client) for client in (one, other, one, one, other, other, one)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
        left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
        assert left == ["4", "3", "2", "1", "0", "0", "0"]


KEYED = {"idempotency-key": "order 1"}
RETRY = {"x-stainless-retry-count": "1"}


def test_an_idempotency_key_is_one_for_all_workers(tmp_path: Path, upstream: Busy) -> None:
    with together(configured(tmp_path, upstream), tmp_path / "data") as gateway, ThreadPoolExecutor(20) as threads:
        first, second = gateway.workers
        upstream.free.clear()
        with gateway.served_by(first, 10) as some, gateway.served_by(second, 10) as others:
            asked = [threads.submit(ask, client, headers=KEYED) for client in (*some, *others)]
            until("one works", lambda: upstream.inside == 1)
            upstream.free.set()
            answers = [each.result() for each in asked]
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.headers["x-generation-id"] for answer in answers}) == 1
            assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
            other = some[0].post("/v1/images/generations", json={"prompt": "a wolf", "model": "m"}, headers=KEYED)
            assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
        assert len(upstream.submissions) == 1


def test_a_clients_own_retry_finds_its_work_in_whichever_worker(tmp_path: Path, upstream: Busy) -> None:
    with together(configured(tmp_path, upstream), tmp_path / "data") as gateway, ThreadPoolExecutor(2) as threads:
        first, second = gateway.workers
        upstream.free.clear()
        with gateway.served_by(second, 2) as [stranger, back]:
            with gateway.served_by(first) as [lost]:
                with pytest.raises(httpx.ReadTimeout):
                    ask(lost, headers={"x-stainless-retry-count": "0"}, seconds=0.5)
                until("the first has begun", lambda: upstream.inside == 1)
            alike = threads.submit(ask, stranger, headers={"x-stainless-retry-count": "0"})
            until("a first try is work of its own", lambda: upstream.inside == 2)
            retried = threads.submit(ask, back, headers=RETRY)
            upstream.free.set()
            answer = retried.result()
            assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
            assert "idempotent-replayed" not in alike.result().headers
        assert len(upstream.submissions) == 2


def test_a_retry_that_is_left_too_gives_back_what_it_had_found_in_another_worker(
    tmp_path: Path, upstream: Busy
) -> None:
    with together(configured(tmp_path, upstream), tmp_path / "data") as gateway, ThreadPoolExecutor(1) as threads:
        first, second = gateway.workers
        upstream.free.clear()
        with gateway.served_by(second, 2) as [impatient, back], gateway.served_by(first) as [lost]:
            with pytest.raises(httpx.ReadTimeout):
                ask(lost, headers={"x-stainless-retry-count": "0"}, seconds=0.5)
            until("it has begun", lambda: upstream.inside == 1)
            lost.close()
            with pytest.raises(httpx.ReadTimeout):
                ask(impatient, headers=RETRY, seconds=0.5)
            impatient.close()
            time.sleep(PEER_SECONDS / 2)  # less than any library waits before it tries again
            retried = threads.submit(ask, back, headers=RETRY)
            upstream.free.set()
            answer = retried.result()
            assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
        assert len(upstream.submissions) == 1


def test_a_killed_worker_leaves_its_places_to_others_and_is_replaced(tmp_path: Path, upstream: Busy) -> None:
    with (
        together(configured(tmp_path, upstream, places=2), tmp_path / "data") as gateway,
        ThreadPoolExecutor(4) as threads,
    ):
        dying, living = gateway.workers
        upstream.free.clear()
        with gateway.served_by(dying, 2) as doomed, gateway.served_by(living, 2) as others:
            lost = [threads.submit(ask, client) for client in doomed]
            until("both places are taken", lambda: upstream.inside == 2)
            [owner] = {owner for _, owner in gateway.rows()}
            waiting = [threads.submit(ask, client) for client in others]
            os.kill(dying, signal.SIGKILL)
            until("the places are the other worker's", lambda: len(gateway.rows()) == 4)
            for each in lost:
                with pytest.raises(httpx.TransportError):
                    each.result()
            assert "was ended by SIGKILL; another one starts" in gateway.err.readline()
            until("there are two workers again", lambda: len(gateway.workers) == 2)
            until("what the dead one was sending is settled", lambda: gateway.rows()[0][0] == "maybe")
            assert gateway.rows()[:2] == [("maybe", owner)] * 2
            assert {state for state, _ in gateway.rows()[2:]} == {"sending"}
            upstream.free.set()
            assert [each.result().status_code for each in waiting] == [200, 200]
            until("all is on record", lambda: [state for state, _ in gateway.rows()[2:]] == ["done", "done"])
        [new] = set(gateway.workers) - {living}
        with gateway.served_by(new) as [client]:
            assert ask(client).status_code == 200


def test_without_their_supervisor_workers_end_and_a_new_start_finds_everything_free(
    tmp_path: Path, upstream: Busy
) -> None:
    config = configured(tmp_path, upstream)
    with together(config, tmp_path / "data") as gateway:
        workers = gateway.workers
        port = httpx.URL(gateway.base_url).port
        assert port is not None
        gateway.process.kill()
        gateway.process.wait()
        until("its workers have ended", lambda: not any(lives(pid) for pid in workers))
    with together(config, tmp_path / "data", port=port) as gateway, gateway.served_by(gateway.workers[0]) as [client]:
        assert ask(client).status_code == 200


def test_told_to_end_all_workers_finish_what_they_have_and_the_supervisor_exits_well(
    tmp_path: Path, upstream: Busy
) -> None:
    config = configured(tmp_path, upstream, most=2)
    with together(config, tmp_path / "data") as gateway, ThreadPoolExecutor(2) as threads:
        first, second = gateway.workers
        upstream.free.clear()
        with gateway.served_by(first, 2) as some, gateway.served_by(second, 2) as others:
            under_way = [threads.submit(ask, client) for client in (some[0], others[0])]
            until("both workers work", lambda: upstream.inside == 2)
            for client in (some[1], others[1]):
                refused = ask(client)
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
            gateway.process.send_signal(signal.SIGTERM)
            for client in (some[1], others[1]):
                until("none is ready", lambda client=client: not _ready(client))
            upstream.free.set()
            assert [each.result().status_code for each in under_way] == [200, 200]
        assert gateway.process.wait(60) == 0
        assert {json.loads(line)["level"] for line in gateway.err} <= {"info"}
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{gateway.base_url}/healthz")
        assert len(upstream.submissions) == 2


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_hanging_up_has_all_workers_read_models_anew_and_a_bad_file_changes_nothing(
    tmp_path: Path, upstream: Busy
) -> None:
    config = configured(tmp_path, upstream)
    with together(config, tmp_path / "data") as gateway:
        first, second = gateway.workers
        with gateway.served_by(first) as [one], gateway.served_by(second) as [other]:
            configured(tmp_path, upstream, more=ANOTHER)
            assert "not reloaded" not in _hang_up(gateway)
            assert _models(one) == _models(other) == {"m", "another"}
            configured(tmp_path, upstream, more="another: {}")
            said = _hang_up(gateway)
            assert "not reloaded" in said
            assert "models.another" in said
            assert _models(one) == _models(other) == {"m", "another"}
            os.kill(first, signal.SIGKILL)
            assert any("SIGKILL" in line for line in gateway.err)
            until("there are two workers again", lambda: len(gateway.workers) == 2)
            with gateway.served_by(next(iter(set(gateway.workers) - {second}))) as [new]:
                assert _models(new) == {"m", "another"}


def _hang_up(gateway: Together) -> str:
    gateway.process.send_signal(signal.SIGHUP)
    return next(line for line in gateway.err if "reloaded" in line)


def _models(client: httpx.Client) -> set[str]:
    return {model["id"] for model in client.get("/v1/models").json()["data"]}


def refused(*words: str) -> tuple[int, str]:
    """The exit code of a gateway that does not start, and what it says."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "gateway.cli", "serve", "--port", "0", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_start_that_fails_is_told_once_with_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    code, said = refused("--workers", "3", "--data-dir", str(tmp_path / "data"))
    assert code == 1
    assert said.splitlines()[-1].startswith("imagegate: ")
    assert said.count("imagegate: ") == 1


def test_pictures_in_memory_cannot_be_shared(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "storage: {url: memory}\nproviders: {s: {type: sketch}}\nmodels: {m: {routes: [{provider: s, model: s}]}}\n"
    )
    code, said = refused("--workers", "2", "--config", str(config))
    assert code == 2
    assert said.startswith("--workers: 2 with storage.url: memory: ")


def test_what_is_divided_adds_up_and_nobody_is_left_without() -> None:
    whole = Limits(codec_processes=5, connections=10, codec_queue=1)
    shares = [share_of(whole, Part(number, 3)) for number in range(3)]
    assert [share.codec_processes for share in shares] == [2, 2, 1]
    assert [share.connections for share in shares] == [4, 3, 3]
    assert [share.codec_queue for share in shares] == [1, 1, 1]
    assert {share.connections_per_address for share in shares} == {whole.connections_per_address}


def test_fewer_codec_processes_than_workers_are_told(tmp_path: Path, upstream: Busy) -> None:
    with together(configured(tmp_path, upstream), tmp_path / "data", workers=3) as gateway:
        assert gateway.err.readline() == (
            "warning: limits.codec_processes: 2 for 3 workers: each has one all the same, 3 in all\n"
        )
