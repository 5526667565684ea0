"""What the gateway finds out by looking at workers: who takes work, how many there are, and what they can do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import watching
from gateway.backends import Backend, build_backends
from gateway.config.model import Settings
from gateway.ordering import Ordering
from gateway.routing import Catalogue
from gateway.watching import Watch, behind
from providers.base import Observed
from providers.transport import Transport
from tests.providers.fake_engine import KLEIN, FakeEngine
from tests.providers.worker_served import worker
from tests.served import settings_of
from tests.simulators import max_simulator

pytestmark = pytest.mark.anyio


def settings(tmp_path: Path, *addresses: str, **entry: Any) -> Settings:
    config = {
        "auth": {"mode": "none"},
        "providers": {"gpu": {"type": "flux_worker", "base_urls": list(addresses), **entry}},
        "models": {"klein": {"routes": [{"provider": "gpu", "model": KLEIN.id}]}},
    }
    return settings_of(tmp_path, config)


def backends(tmp_path: Path, *addresses: str, **entry: Any) -> Mapping[str, Backend]:
    return build_backends(settings(tmp_path, *addresses, **entry))


@asynccontextmanager
async def watch(found: Mapping[str, Backend]) -> AsyncIterator[Watch]:
    async with Transport() as transport:
        yield Watch(transport, lambda: found)


def gone() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_who_is_not_ready_or_not_there_takes_no_work_until_a_look_finds_it_well(tmp_path: Path) -> None:
    engine = FakeEngine(ready=False)
    with worker(engine) as loading, worker(FakeEngine()) as well:
        found = backends(tmp_path, loading.base, well.base, gone())
        backend = found["gpu"]
        async with watch(found) as looking:
            await looking.round()
            assert [backend.balance.takes_work(address) for address in backend.addresses] == [False, True, False]
            assert {backend.target().base_url for _ in range(4)} == {well.base}
            assert backend.gate.limit == 4
            engine.ready = True
            await looking.round()
            assert {backend.target().base_url for _ in range(4)} == {loading.base, well.base}
            assert backend.gate.limit == 8


async def test_max_is_asked_nothing_that_costs_and_takes_work(tmp_path: Path) -> None:
    with max_simulator() as simulator:
        found = backends(tmp_path, simulator.base_url)
        async with watch(found) as looking:
            await looking.round()
        assert found["gpu"].balance.takes_work(simulator.base_url)
        assert simulator.submissions == []
        assert found["gpu"].adapter.profile(KLEIN.id, 1).mask == "emulated"


async def test_a_limit_that_the_operator_sets_is_left_alone(tmp_path: Path) -> None:
    found = backends(tmp_path, gone(), gone(), max_concurrent=3)
    async with watch(found) as looking:
        await looking.round()
    assert found["gpu"].gate.limit == 3


def named(monkeypatch: pytest.MonkeyPatch, hosts: list[str]) -> None:
    """Every name stands for these hosts from now on; while there are none, it cannot be looked up."""

    async def resolved(name: str, port: int, **_: Any) -> list[Any]:
        assert name == "workers.example"
        if not hosts:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved, raising=False)


async def test_a_name_that_stands_for_several_hosts_is_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = ["127.0.0.1", "127.0.0.2"]
    with worker(FakeEngine()) as one:
        named(monkeypatch, hosts)
        port = one.base.rpartition(":")[2]
        found = backends(tmp_path, f"http://workers.example:{port}")
        backend = found["gpu"]
        async with watch(found) as looking:
            await looking.round()
            assert backend.addresses == [f"http://127.0.0.1:{port}", f"http://127.0.0.2:{port}"]
            assert {backend.target().base_url for _ in range(3)} == {one.base}
            hosts.pop()
            await looking.round()
            assert backend.addresses == [f"http://workers.example:{port}"]


async def test_an_address_or_a_name_for_a_certificate_stays_as_it_is() -> None:
    for address in ("http://127.0.0.1:8001", "http://[::1]:8001", "https://localhost:8001"):
        assert await behind(address) == ()


async def test_of_a_name_that_nobody_knows_or_that_is_none_nothing_is_told() -> None:
    for address in ("http://none.invalid", "http://a..b", f"http://{'x' * 64}.example"):
        assert await behind(address) is None


async def test_while_names_cannot_be_looked_up_the_known_addresses_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = ["127.0.0.1", "127.0.0.2"]
    with worker(FakeEngine()) as one:
        named(monkeypatch, hosts)
        port = one.base.rpartition(":")[2]
        found = backends(tmp_path, f"http://workers.example:{port}")
        backend = found["gpu"]
        async with watch(found) as looking:
            await looking.round()
            hosts.clear()
            await looking.round()
            assert backend.addresses == [f"http://127.0.0.1:{port}", f"http://127.0.0.2:{port}"]
            assert backend.target().base_url == one.base
            assert backend.adapter.profile(KLEIN.id, 1).input_images_max > 1


async def test_what_a_worker_told_is_forgotten_once_another_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a name, a worker of ours gives way to MAX, and that to a worker of ours with another model."""
    hosts = ["127.0.0.1", "127.0.0.2"]
    with worker(FakeEngine()) as one:
        named(monkeypatch, hosts)
        port = one.base.rpartition(":")[2]
        found = backends(tmp_path, f"http://workers.example:{port}")
        adapter: Any = found["gpu"].adapter
        async with watch(found) as looking:
            await looking.round()
            before = adapter.knows
            assert adapter.profile(KLEIN.id, 1).input_images_max > 1
            hosts[:] = ["127.0.0.3", "127.0.0.4"]
            await looking.round()
            assert adapter.knows > before
            assert adapter.profile(KLEIN.id, 1).input_images_max == 1


async def test_of_each_profile_there_is_one_however_often_workers_come_and_go(tmp_path: Path) -> None:
    with worker(FakeEngine()) as one:
        configured = settings(tmp_path, one.base)
        found = build_backends(configured)
        ordering, adapter = Ordering(configured, Catalogue(configured), found), found["gpu"].adapter
        assert isinstance(adapter, Observed)
        async with watch(found) as looking:
            for _ in range(3):
                assert ordering.profile("gpu", KLEIN.id, 1).input_images_max == 1
                await looking.round()
                assert ordering.profile("gpu", KLEIN.id, 1).input_images_max > 1
                adapter.keep(())
    assert len(ordering._profiles) == 1


async def test_a_new_configuration_is_looked_at_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STEP_SECONDS", 0.01)
    with worker(FakeEngine()) as one:
        configured = [backends(tmp_path, gone()), backends(tmp_path, one.base)]
        now = [configured[0]]
        async with Transport() as transport:
            running = asyncio.create_task(Watch(transport, lambda: now[0]).run())
            now[0] = configured[1]
            adapter: Any = configured[1]["gpu"].adapter
            for _ in range(2000):
                await asyncio.sleep(0.01)
                if adapter.knows:
                    break
            assert adapter.knows
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
