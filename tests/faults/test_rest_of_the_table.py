"""What needs a gateway of its own: work that outlasts the client's patience, one job for two wishes, a connection that
was used before, and a gateway that is told to end, or killed a second time while it goes on with its work."""

from __future__ import annotations

import base64
import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from normalization.pictures.sniff import PNG_SIGNATURE
from tests.faults.bench import PATIENCE, Bench, configuration, new_mark, proxied, until
from tests.faults.checker import Ask, check, read_journal
from tests.faults.crash import KILLED, House, gateway
from tests.faults.happenings import NOTHING, Fault
from tests.faults.proxy import Proxy, fault_proxy
from tests.served import served, settings_of

DEADLINE_SECONDS = 1.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with proxied(tmp_path_factory.mktemp("house")) as (running, proxies):
        yield House(running, proxies)


@pytest.fixture(autouse=True)
def _fresh(house: House) -> None:
    for proxy in house.proxies.values():
        proxy.reset()


@contextlib.contextmanager
def bench(house: House, folder: Path, proxies: Mapping[str, Proxy] | None = None, **server: Any) -> Iterator[Bench]:
    """A gateway in this process, with these settings."""
    proxies = proxies or house.proxies
    config = configuration({kind: proxy.origin for kind, proxy in proxies.items()})
    with served(settings_of(folder, {**config, "server": server})) as base_url:
        yield Bench(base_url, folder / "data", house.providers, proxies, proxies["openai"])


def generation(bench: Bench, id: str) -> Any:
    answer = httpx.get(f"{bench.base_url}/generations/{id}", timeout=PATIENCE)
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize("kind", ["apiframe", "openai"])
def test_f26_what_outlasts_the_deadline_is_settled_late_and_its_picture_kept(
    kind: str, house: House, tmp_path: Path
) -> None:
    proxy, mark = house.proxies[kind], new_mark()
    proxy.always(Fault(on="poll" if kind == "apiframe" else "submit", hold=True))
    with bench(house, tmp_path, deadline_seconds=DEADLINE_SECONDS) as found:
        body = {"model": kind, "prompt": f"a fox {mark}", "size": "256x256", "user": mark}
        late = httpx.post(f"{found.base_url}/images/generations", json=body, timeout=PATIENCE)
        assert (late.status_code, late.json()["error"]["code"]) == (504, "generation_timeout")
        assert late.headers["x-should-retry"] == "false"
        assert late.headers["x-imagegate-attempts"] == "1"
        id = late.headers["x-generation-id"]
        assert generation(found, id)["status"] == "running"
        proxy.release()
        assert until(lambda: generation(found, id)["status"] == "succeeded")
        [item] = generation(found, id)["answer"]["data"]
        picture = httpx.get(item["url"]).content if "url" in item else base64.b64decode(item["b64_json"])
        assert picture.startswith(PNG_SIGNATURE)
        assert check(found.evidence(Ask(mark, 1))) == []
        assert [(row.state, row.charge) for row in read_journal(found.data_dir) if row.mark == mark] == [
            ("done", "charged")
        ]


def test_f48_one_job_for_two_wishes_is_charged_once(house: House, tmp_path: Path) -> None:
    proxy = house.proxies["apiframe"]
    with bench(house, tmp_path) as found:
        first = found.ask("apiframe")
        [submission] = [each for each in proxy.exchanges if each.purpose == "submit"]
        proxy.next(Fault(forward=False, answer=submission.answer))
        second = found.ask("apiframe")
        assert (first.delivered, second.delivered) == (1, 1)
        assert found.settle(first, second)
        rows = sorted(read_journal(found.data_dir), key=lambda row: row.id)
        assert len({row.job for row in rows}) == 1
        assert [(row.state, row.charge, row.cost_micros) for row in rows] == [
            ("done", "charged", 10_000),
            ("done", "none", 0),
        ]
        assert len([each for each in house.providers.charges() if each.mark in (first.mark, second.mark)]) == 1


@pytest.mark.parametrize("end", ["close", "reset"])
def test_f05_a_connection_used_before_that_ends_without_a_byte_leaves_the_outcome_unknown(
    end: Any, house: House, tmp_path: Path
) -> None:
    origin = house.providers.origins["openai"]
    with (
        fault_proxy(origin, keep_alive=True) as proxy,
        bench(house, tmp_path, {**house.proxies, "openai": proxy}) as found,
    ):
        assert found.ask("openai").delivered == 1
        proxy.next(Fault(answer=NOTHING, end=end))
        lost = found.ask("openai")
        assert (lost.status, lost.code, lost.should_retry) == (502, "outcome_unknown", "false")
        assert proxy.connections == 1, "the second submission went out on a connection of its own"
        assert check(found.evidence(lost)) == []
        assert len([each for each in house.providers.charges() if each.mark == lost.mark]) == 1


def _asking(bench: Bench, kind: str) -> tuple[str, list[Ask], threading.Thread]:
    mark, asks = new_mark(), list[Ask]()
    client = bench.client(retries=0)
    thread = threading.Thread(target=lambda: asks.append(bench.ask(kind, mark=mark, client=client)), daemon=True)
    thread.start()
    assert bench.proxies[kind].held.wait(PATIENCE)
    return mark, asks, thread


def _written(house: House, folder: Path) -> Path:
    path = folder / "imagegate.yaml"
    config = configuration({name: proxy.origin for name, proxy in house.proxies.items()})
    config["limits"]["drain_unready_seconds"] = 0.1
    path.write_text(yaml.safe_dump({**config, "server": {"data_dir": str(folder / "data")}}))
    return path


@pytest.mark.parametrize("kind", ["apiframe", "openai"])
def test_f46_told_to_end_in_the_middle_it_answers_who_waits(kind: str, house: House, tmp_path: Path) -> None:
    house.proxies[kind].next(Fault(hold=True))
    with gateway(_written(house, tmp_path)) as (process, address):
        found = Bench(f"{address}/v1", tmp_path / "data", house.providers, house.proxies, house.proxies[kind])
        _, asks, thread = _asking(found, kind)
        process.send_signal(signal.SIGTERM)
        assert until(lambda: httpx.get(f"{address}/readyz").status_code == 503)
        house.proxies[kind].release()
        thread.join(PATIENCE)
        assert process.wait(PATIENCE) == 0
        assert (asks[0].status, asks[0].delivered) == (200, 1)
        assert check(found.evidence(asks[0])) == []


@pytest.mark.parametrize("again", ["polling", "after_fetch", "before_answer"])
def test_f47_killed_a_second_time_while_it_goes_on_it_still_brings_the_picture(
    again: str, house: House, tmp_path: Path
) -> None:
    path, proxy = _written(house, tmp_path), house.proxies["apiframe"]
    proxy.next(Fault(on="poll", hold=True))
    with gateway(path) as (process, address):
        found = Bench(f"{address}/v1", tmp_path / "data", house.providers, house.proxies, proxy)
        mark, _, thread = _asking(found, "apiframe")
        process.kill()
        assert process.wait(PATIENCE) == KILLED
        proxy.release()
        thread.join(PATIENCE)
    ended = KILLED
    with contextlib.suppress(AssertionError), gateway(path, again) as (process, _):  # it may die before it greets
        ended = process.wait(PATIENCE)
    assert ended == KILLED
    with gateway(path) as (_, address):
        found = Bench(f"{address}/v1", tmp_path / "data", house.providers, house.proxies, proxy)
        evidence = found.evidence(Ask(mark, 1), crashed=True)
        assert check(evidence) == []
        assert [(row.state, row.charge) for row in evidence.rows] == [("done", "charged")]
        assert (len(evidence.charges), evidence.kept) == (1, 1)
