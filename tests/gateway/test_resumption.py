"""A gateway that is killed, or told to end too soon, goes on at its next start, and its clients can ask what came."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from PIL import Image

from tests.gateway.test_cli_signals import Process, serving
from tests.simulators import apiframe_simulator, max_simulator, openai_simulator
from tests.simulators.apiframe import ApiframeSimulator

BODY = {"model": "m", "prompt": "a fox", "size": "100x80", "n": 2, "seed": 7, "output_format": "webp"}
PATH = "/v1/images/generations"


def configured(folder: Path, simulator: Any, kind: str, model: str, **limits: float) -> Path:
    config = {
        "server": {"data_dir": str(folder / "data")},
        "auth": {"mode": "none"},
        "network": {"allow_private": ["127.0.0.0/8"]},
        "providers": {"p": {"type": kind, "base_url": simulator.base_url, "api_key": "k"}},
        "models": {"m": {"routes": [{"provider": "p", "model": model, "price": {"usd_per_image": 0.05}}]}},
        "limits": {"drain_unready_seconds": 0.1, **limits},
    }
    if kind == "apiframe":
        config["providers"]["p"]["poll_seconds"] = {"first": 0.05, "factor": 1.0, "max": 0.05}  # type: ignore[index]
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def until(found: Callable[[], Any], seconds: float = 30) -> Any:
    """What is found at last; nothing tells when."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(folder / "data/imagegate.sqlite3")
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608
    connection.close()
    return found


def asking(gateway: Process, body: dict[str, Any], path: str = PATH, **more: Any) -> list[httpx.Response | Exception]:
    """A request under way in a thread; what came of it is in the list at last."""
    came: list[httpx.Response | Exception] = []

    def ask() -> None:
        try:
            came.append(httpx.post(f"{gateway.base_url}{path}", json=body, timeout=60, **more))
        except httpx.HTTPError as error:
            came.append(error)

    threading.Thread(target=ask, daemon=True).start()
    return came


def accepted(folder: Path, count: int) -> bool:
    return [row["state"] for row in rows(folder, "attempts")].count("accepted") == count


def kill(gateway: Process) -> None:
    os.kill(gateway.process.pid, signal.SIGKILL)
    gateway.process.wait()


def looked_up(gateway: Process, id: str) -> Any:
    answer = httpx.get(f"{gateway.base_url}/v1/generations/{id}", timeout=30)
    assert answer.status_code == 200
    return answer.json()


def hold(simulator: ApiframeSimulator) -> None:
    simulator.looks_until_done = 1_000_000


@pytest.mark.parametrize("response_format", ["b64_json", "url"])
def test_accepted_jobs_are_followed_to_their_answer_after_a_kill(response_format: str, tmp_path: Path) -> None:
    with apiframe_simulator() as simulator:
        hold(simulator)
        config = configured(tmp_path, simulator, "apiframe", "flux-2-max")
        body = {**BODY, "response_format": response_format}
        key = {"idempotency-key": "one", "x-imagegate-thumbnail": "50"}
        with serving(config) as gateway:
            asking(gateway, body, headers=key)
            until(lambda: simulator.submissions and accepted(tmp_path, 2))
            [generation] = rows(tmp_path, "generations")
            assert generation["state"] == "running"
            kill(gateway)
        with serving(config) as gateway:
            assert looked_up(gateway, generation["id"])["status"] == "running"
            simulator.looks_until_done = 0
            again = httpx.post(f"{gateway.base_url}{PATH}", json=body, headers=key, timeout=60)
            assert again.status_code == 200
            assert again.headers["idempotent-replayed"] == "true"
            found = looked_up(gateway, generation["id"])
            assert found["status"] == "succeeded"
            answer = found["answer"]
            assert [picture["seed"] for picture in answer["data"]] == [7, 8]
            assert (answer["size"], answer["output_format"]) == ("100x80", "webp")
            assert answer["metadata"]["cost_micros"] == 100_000
            assert answer["metadata"]["generation_id"] == generation["id"]
            assert {"size", "seed", "output_format"} <= {entry["name"] for entry in answer["metadata"]["parameters"]}
            for item in answer["data"]:
                data = base64.b64decode(item["b64_json"]) if "b64_json" in item else httpx.get(item["url"]).content
                assert Image.open(BytesIO(data)).size == (100, 80)
                assert Image.open(BytesIO(base64.b64decode(item["thumbnail_b64_json"]))).size == (50, 40)
            assert len(simulator.submissions) == 2
            until(lambda: rows(tmp_path, "generations")[0]["state"] == "succeeded")
        assert {(row["state"], row["charge"], row["resume"]) for row in rows(tmp_path, "attempts")} == {
            ("done", "charged", None)
        }


def test_a_response_is_written_by_the_process_that_comes_after(tmp_path: Path) -> None:
    with apiframe_simulator() as simulator:
        hold(simulator)
        config = configured(tmp_path, simulator, "apiframe", "flux-2-max")
        body = {"model": "m", "input": "a red fox", "tools": [{"type": "image_generation"}], "metadata": {"a": "b"}}
        with serving(config) as gateway:
            asking(gateway, body, "/v1/responses")
            until(lambda: simulator.submissions and accepted(tmp_path, 1))
            [generation] = rows(tmp_path, "generations")
            kill(gateway)
        simulator.looks_until_done = 0
        with serving(config) as gateway:
            found = until(lambda: (now := looked_up(gateway, generation["id"]))["status"] == "succeeded" and now)
            response = found["answer"]
            assert (response["object"], response["status"], response["metadata"]) == (
                "response",
                "completed",
                {"a": "b"},
            )
            assert response["output"][0]["revised_prompt"] == "a red fox"
            kept = httpx.get(f"{gateway.base_url}/v1/responses/{response['id']}").json()
            assert kept["output"] == response["output"]


def test_what_was_being_sent_is_unknown_after_a_kill_and_never_sent_again(tmp_path: Path) -> None:
    with openai_simulator() as simulator:
        config = configured(tmp_path, simulator, "openai", "x")
        simulator.fail_next(delay=30)
        with serving(config) as gateway:
            asking(gateway, {"model": "m", "prompt": "a fox", "size": "64x64"}, headers={"idempotency-key": "one"})
            until(lambda: simulator.submissions)
            kill(gateway)
        with serving(config) as gateway:
            [row] = rows(tmp_path, "attempts")
            assert (row["state"], row["charge"], row["outcome"]) == ("maybe", "unknown", "interrupted")
            [generation] = rows(tmp_path, "generations")
            found = until(lambda: (now := looked_up(gateway, generation["id"]))["status"] == "unknown" and now)
            assert found["error"]["code"] == "outcome_unknown"
            body = {"model": "m", "prompt": "a fox", "size": "64x64"}
            again = httpx.post(f"{gateway.base_url}{PATH}", json=body, headers={"idempotency-key": "one"})
            assert (again.status_code, again.headers["x-should-retry"]) == (502, "false")
            told = ("x-imagegate-provider", "x-imagegate-model", "x-imagegate-attempts")
            assert [again.headers[name] for name in told] == ["p", "x", "1"]
        assert len(simulator.submissions) == 1


def test_a_job_that_is_too_old_or_whose_provider_is_gone_is_unknown(tmp_path: Path) -> None:
    with apiframe_simulator() as simulator:
        hold(simulator)
        config = configured(tmp_path, simulator, "apiframe", "flux-2-max", job_seconds=3600)
        with serving(config) as gateway:
            asking(gateway, {**BODY, "n": 1})
            until(lambda: simulator.submissions and accepted(tmp_path, 1))
            kill(gateway)
        database = sqlite3.connect(tmp_path / "data/imagegate.sqlite3")
        with database:
            database.execute("UPDATE attempts SET created = created - 3601")
        database.close()
        looks = sum(job.looks for job in simulator.jobs.values())
        with serving(config) as gateway:
            until(lambda: rows(tmp_path, "generations")[0]["state"] == "unknown")
            until(lambda: rows(tmp_path, "attempts")[0]["state"] == "maybe")
            assert rows(tmp_path, "attempts")[0]["charge"] == "unknown"
            assert sum(job.looks for job in simulator.jobs.values()) == looks


def test_told_to_end_it_leaves_jobs_to_the_next_start_and_says_so(tmp_path: Path) -> None:
    with apiframe_simulator() as simulator:
        hold(simulator)
        config = configured(tmp_path, simulator, "apiframe", "flux-2-max", drain_seconds=0.5)
        with serving(config) as gateway:
            came = asking(gateway, {**BODY, "n": 1})
            until(lambda: simulator.submissions and accepted(tmp_path, 1))
            gateway.process.send_signal(signal.SIGTERM)
            [answer] = until(lambda: came)
            assert isinstance(answer, httpx.Response)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")
            assert answer.headers["x-should-retry"] == "false"
            assert "retry-after" not in answer.headers
            id = answer.headers["x-generation-id"]
            assert gateway.process.wait(20) == 0
        assert accepted(tmp_path, 1)
        simulator.looks_until_done = 0
        with serving(config) as gateway:
            found = until(lambda: (now := looked_up(gateway, id))["status"] == "succeeded" and now)
            assert len(found["answer"]["data"]) == 1
        assert len(simulator.submissions) == 1


def test_told_to_end_it_gives_up_what_cannot_go_on_and_tells_who_waits_in_line_to_come_again(tmp_path: Path) -> None:
    with openai_simulator() as simulator:
        config = configured(tmp_path, simulator, "openai", "x", drain_seconds=0.5)
        written = yaml.safe_load(config.read_text())
        written["providers"]["p"]["max_concurrent"] = 1
        config.write_text(yaml.safe_dump(written))
        simulator.fail_next(delay=30)
        with serving(config) as gateway:
            body = {"model": "m", "prompt": "a fox", "size": "64x64"}
            first = asking(gateway, body)
            until(lambda: simulator.submissions)
            second = asking(gateway, body)
            until(lambda: httpx.get(f"{gateway.base_url}/healthz").status_code == 200)
            gateway.process.send_signal(signal.SIGTERM)
            [sent], [waiting] = until(lambda: first), until(lambda: second)
            assert isinstance(sent, httpx.Response)
            assert isinstance(waiting, httpx.Response)
            assert (sent.status_code, sent.headers["x-should-retry"]) == (503, "false")
            assert "x-generation-id" in sent.headers
            assert (waiting.status_code, waiting.headers["x-should-retry"]) == (503, "true")
            assert int(waiting.headers["retry-after"]) >= 1
            assert gateway.process.wait(20) == 0
        [row] = rows(tmp_path, "attempts")
        assert (row["state"], row["charge"]) == ("maybe", "unknown")
        assert [row["state"] for row in rows(tmp_path, "generations")] == ["unknown"]


def test_free_work_that_a_killed_gateway_was_sending_is_no_unknown_cost(tmp_path: Path) -> None:
    with max_simulator() as worker, openai_simulator() as simulator:
        config = configured(tmp_path, simulator, "openai", "x")
        written = yaml.safe_load(config.read_text())
        written["providers"]["gpu"] = {"type": "flux_worker", "base_url": worker.base_url}
        routes: dict[str, dict[str, Any]] = {
            "worker": {"provider": "gpu", "model": "black-forest-labs/FLUX.2-dev"},
            "gratis": {"provider": "p", "model": "x", "price": {"usd_per_image": 0}},
            "unpriced": {"provider": "p", "model": "x"},
        }
        written["models"] = {name: {"routes": [route]} for name, route in routes.items()}
        config.write_text(yaml.safe_dump(written))
        worker.fail_next(delay=30)
        simulator.fail_next(times=2, delay=30)
        with serving(config) as gateway:
            for name in routes:
                asking(gateway, {"model": name, "prompt": "a fox", "size": "64x64"})
            until(lambda: len(worker.submissions) + len(simulator.submissions) == 3)
            kill(gateway)
        with serving(config) as gateway:
            usage = httpx.get(f"{gateway.base_url}/admin/usage", params={"group_by": "model"}, timeout=30).json()
        states = [(row["requested_model"], row["state"]) for row in rows(tmp_path, "attempts")]
    assert sorted(states) == [("gratis", "maybe"), ("unpriced", "maybe"), ("worker", "maybe")]
    assert {row["group"]: (row["upstream_calls"], row["unknown_cost_calls"]) for row in usage["rows"]} == {
        "worker": (1, 0),
        "gratis": (1, 0),
        "unpriced": (1, 1),
    }


def test_an_idle_gateway_is_not_ready_before_its_door_closes(tmp_path: Path) -> None:
    with openai_simulator() as simulator:
        config = configured(tmp_path, simulator, "openai", "x")
        written = yaml.safe_load(config.read_text())
        written["limits"]["drain_unready_seconds"] = 3
        config.write_text(yaml.safe_dump(written))
        with serving(config) as gateway:
            gateway.process.send_signal(signal.SIGTERM)
            until(lambda: httpx.get(f"{gateway.base_url}/readyz").status_code == 503)
            refused = httpx.post(f"{gateway.base_url}{PATH}", json={"model": "m", "prompt": "a fox"})
            assert (refused.status_code, refused.headers["x-should-retry"]) == (503, "true")
            assert gateway.process.wait(20) == 0
        assert simulator.submissions == []


def test_an_edit_is_laid_into_its_original_by_the_process_that_comes_after(tmp_path: Path) -> None:
    original, mask = Image.new("RGB", (256, 256), "red"), Image.new("RGBA", (256, 256), "black")
    mask.paste((0, 0, 0, 0), (0, 0, 128, 256))
    files = []
    for name, picture in (("image", original), ("mask", mask)):
        written = BytesIO()
        picture.save(written, "PNG")
        files.append((name, (f"{name}.png", written.getvalue())))
    with apiframe_simulator() as simulator:
        hold(simulator)
        config = configured(tmp_path, simulator, "apiframe", "flux-2-max")
        with serving(config) as gateway:
            url = f"{gateway.base_url}/v1/images/edits"
            given = {"model": "m", "prompt": "blue", "response_format": "b64_json"}
            asked = threading.Thread(target=lambda: edit(url, given, files), daemon=True)
            asked.start()
            until(lambda: simulator.submissions and accepted(tmp_path, 1))
            [generation] = rows(tmp_path, "generations")
            kill(gateway)
        simulator.looks_until_done = 0
        with serving(config) as gateway:
            found = until(lambda: (now := looked_up(gateway, generation["id"]))["status"] == "succeeded" and now)
        answer = found["answer"]
        made = Image.open(BytesIO(base64.b64decode(answer["data"][0]["b64_json"]))).convert("RGB")
        assert made.size == (256, 256)
        assert made.crop((136, 0, 256, 256)).getcolors() == [(120 * 256, (255, 0, 0))]
        assert made.crop((0, 0, 120, 256)).getcolors() != [(120 * 256, (255, 0, 0))]
        assert "repairs" not in answer["metadata"]
        assert [entry["behavior"] for entry in answer["metadata"]["parameters"] if entry["name"] == "mask"] == [
            "emulated"
        ]


def edit(url: str, given: dict[str, str], files: Any) -> None:
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(url, data=given, files=files, timeout=60)
