"""Budgets from the client's side: what is charged never passes them, and what fits in them is made."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config.model import digest
from gateway.failing import FailureClass
from gateway.outcome import Order
from gateway.services.budgets import Allotment
from normalization.errors import BudgetExceeded, UpstreamUnavailable
from normalization.rules import Price
from tests.faults.billing import providers
from tests.gateway.scripted import ScriptedDriver, candidate, dispatcher, failing, ok, order
from tests.gateway.together import KEY, Busy, ask, together, until
from tests.journeys import HURRIED, STEADY
from tests.served import served, settings_of
from tests.simulators import onemin_simulator, openai_simulator

TEAM, OTHER = "team-key", "other-key"
CENT = {"usd_per_image": 0.01}


class House:
    """A gateway with the model `m` at the provider `paid`, whose pictures cost a cent, then at a drawer that is free
    where the test asks for one."""

    def __init__(self, base_url: str, paid: Any, data: Path) -> None:
        self.base_url, self.paid, self.data = base_url, paid, data

    def ask(self, key: str = TEAM, *, query: str = "", **body: Any) -> httpx.Response:
        given = {"model": "m", "prompt": "a fox", "size": "64x64", "response_format": "b64_json", **body}
        return httpx.post(
            f"{self.base_url}/images/generations{query}",
            json=given,
            headers={"authorization": f"Bearer {key}"},
            timeout=60,
        )

    def held(self) -> int:
        """Micro-dollars that the team's submissions hold."""
        with closing(sqlite3.connect(self.data / "imagegate.sqlite3")) as connection:
            [found] = connection.execute("SELECT sum(held_micros) FROM attempts WHERE key_name = 'team'").fetchone()
            return found or 0


def config_of(paid: Mapping[str, Any], budget: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    keys = [{"name": "team", "key": TEAM, "budget": budget}, {"name": "other", "key": OTHER}]
    route = {"provider": "paid", "model": "x", "price": CENT}
    return {
        "auth": {"keys": keys},
        "network": {"allow_private": ["127.0.0.0/8"]},
        "limits": HURRIED | STEADY,
        "providers": {"paid": {"api_key": "k", **paid}, "draw": {"type": "sketch"}},
        "models": {"m": {"routes": [route]}},
    } | more


@contextmanager
def house(folder: Path, budget: Mapping[str, Any], *, free: bool = False, **route: Any) -> Iterator[House]:
    with ExitStack() as stack:
        paid = stack.enter_context(openai_simulator())
        config = config_of({"type": "openai", "base_url": paid.base_url}, budget)
        routes = [{"provider": "paid", "model": "x", "price": CENT, **route}]
        if free:
            routes.append({"provider": "draw", "model": "sketch"})
        config["models"] = {"m": {"routes": [{k: v for k, v in each.items() if v is not None} for each in routes]}}
        yield House(stack.enter_context(served(settings_of(folder, config))), paid, folder / "data")


def refused(answer: httpx.Response) -> dict[str, Any]:
    """The error of a refusal for the budget's sake."""
    error: dict[str, Any] = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (429, "insufficient_quota", "budget_exceeded")
    assert answer.headers["x-should-retry"] == "false"
    return error


@pytest.mark.anyio
async def test_of_500_at_once_on_a_budget_for_100_exactly_100_are_charged(tmp_path: Path) -> None:
    with providers(tmp_path / "books") as billing:
        base_url = f"{billing.origins['openai']}/v1"
        config = config_of({"type": "openai", "base_url": base_url}, {"usd": 1, "per": "month"})
        with served(settings_of(tmp_path, config)) as gateway:
            headers = {"authorization": f"Bearer {TEAM}"}
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(headers=headers, timeout=300, limits=limits) as client:
                body = {"model": "m", "prompt": "a fox", "size": "64x64", "response_format": "b64_json"}
                asked = (client.post(f"{gateway}/images/generations", json=body) for _ in range(500))
                answers = await asyncio.gather(*asked)
        assert Counter(answer.status_code for answer in answers) == {200: 100, 429: 400}
        assert {answer.json()["error"]["code"] for answer in answers if answer.status_code == 429} == {
            "budget_exceeded"
        }
        charges = billing.charges()
    assert len(charges) == 100
    assert sum(charge.micros for charge in charges) == 1_000_000


def test_a_refusal_tells_what_is_left_and_when_it_begins_anew_and_nobody_else_is_held_to_it(tmp_path: Path) -> None:
    with house(tmp_path, {"usd": 0.015, "per": "day"}) as gateway:
        assert gateway.ask().status_code == 200
        answer = gateway.ask()
        message = refused(answer)["message"]
        assert message.startswith("$0.005 of $0.015 a day is left in this key's budget, and this would cost $0.01; it ")
        assert message.endswith("T00:00:00Z")
        assert "x-imagegate-provider" not in answer.headers
        assert gateway.ask(OTHER).status_code == 200
        assert len(gateway.paid.submissions) == 2


def test_a_stream_that_does_not_fit_is_refused_before_it_begins(tmp_path: Path) -> None:
    with house(tmp_path, {"usd": 0.005}) as gateway:
        refused(gateway.ask(stream=True))
        assert not gateway.paid.submissions


def test_a_budget_of_nothing_leaves_what_is_free(tmp_path: Path) -> None:
    with house(tmp_path, {"usd": 0}, free=True) as gateway:
        answer = gateway.ask()
        assert answer.status_code == 200
        assert (answer.json()["metadata"]["provider"], answer.json()["metadata"]["cost"]) == ("draw", 0)
        assert not gateway.paid.submissions


def test_several_pictures_are_not_begun_where_not_all_can_be_paid(tmp_path: Path) -> None:
    with onemin_simulator() as paid:
        config = config_of({"type": "onemin", "base_url": paid.base_url}, {"usd": 0.03})
        model = "black-forest-labs/flux-2-max"
        config["models"] = {"m": {"routes": [{"provider": "paid", "model": model, "price": CENT}]}}
        with served(settings_of(tmp_path, config)) as base_url:
            gateway = House(base_url, paid, tmp_path / "data")
            assert "would cost $0.04" in refused(gateway.ask(n=4))["message"]
            assert not paid.submissions
            assert len(gateway.ask(n=3).json()["data"]) == 3
            assert len(paid.submissions) == 3
            refused(gateway.ask())


def test_what_the_provider_refused_or_never_got_costs_the_budget_nothing(tmp_path: Path) -> None:
    with house(tmp_path, {"usd": 0.01}) as gateway:
        gateway.paid.fail_next(status=400, message="no such size")
        assert gateway.ask().json()["error"]["code"] == "rejected_by_provider"
        assert gateway.ask().status_code == 200
        refused(gateway.ask())


def test_a_provider_that_is_not_there_costs_the_budget_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    config = config_of({"type": "openai", "base_url": f"http://127.0.0.1:{port}/v1"}, {"usd": 0.01})
    with served(settings_of(tmp_path, config)) as base_url:
        gateway = House(base_url, None, tmp_path / "data")
        for _ in range(2):  # each of them is tried three times, and what one try holds the next one has back
            assert gateway.ask().json()["error"]["code"] == "upstream_unavailable"
    assert gateway.held() == 0


def test_what_may_have_been_charged_holds_its_part(tmp_path: Path) -> None:
    with house(tmp_path, {"usd": 0.01}) as gateway:
        gateway.paid.fail_next(hang_up=True)
        assert gateway.ask().json()["error"]["code"] == "outcome_unknown"
        refused(gateway.ask())
        assert len(gateway.paid.submissions) == 1


@pytest.mark.parametrize("query", ["", "?dryRun=true"])
def test_a_route_that_nobody_has_priced_is_left_out_for_a_key_with_a_budget(query: str, tmp_path: Path) -> None:
    with house(tmp_path, {"usd": 5}, price=None) as gateway:
        answer = gateway.ask(query=query)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["code"]) == (403, "permission_error", "unpriced_route")
        assert gateway.ask(OTHER, query=query).status_code == 200
        assert len(gateway.paid.submissions) == (0 if query else 1)


def test_an_unpriced_route_gives_way_to_one_that_has_a_price(tmp_path: Path) -> None:
    with house(tmp_path, {"usd": 5}, price=None, free=True) as gateway:
        assert gateway.ask().json()["metadata"]["provider"] == "draw"
        assert gateway.ask(query="?dryRun=true").json()["provider"] == "draw"


def test_unpriced_routes_that_are_allowed_take_nothing_of_the_budget_and_are_not_called_free(tmp_path: Path) -> None:
    with house(tmp_path, {"usd": 0, "unpriced": "allow"}, price=None) as gateway:
        answer = gateway.ask()
        assert answer.status_code == 200
        assert answer.json()["metadata"]["cost"] is None
        assert "x-imagegate-cost" not in answer.headers
    assert gateway.held() == 0


CONFIG = """
auth: {{keys: [{{name: team, key: "sha256:{key}", budget: {{usd: {usd}, per: total}}}}]}}
providers: {{up: {{type: openai, base_url: "{url}"}}}}
models: {{m: {{routes: [{{provider: up, model: x, price: {{usd_per_image: 0.01}}}}]}}}}
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="several processes need a socket that can be inherited")


def configured(folder: Path, upstream: Busy, usd: float) -> Path:
    config = folder / "c.yaml"
    config.write_text(CONFIG.format(key=digest(KEY), usd=usd, url=upstream.base_url))
    return config


@posix
def test_workers_spend_one_budget_and_a_reload_changes_it_for_all(tmp_path: Path, upstream: Busy) -> None:
    config = configured(tmp_path, upstream, 0.25)
    with together(config, tmp_path / "data") as gateway:
        first, second = gateway.workers
        with gateway.served_by(first, 20) as some, gateway.served_by(second, 20) as others:
            with ThreadPoolExecutor(40) as threads:
                answers = list(threads.map(ask, [*some, *others]))
            assert Counter(answer.status_code for answer in answers) == {200: 25, 429: 15}
            assert len(upstream.submissions) == 25
            configured(tmp_path, upstream, 0.27)
            gateway.process.send_signal(signal.SIGHUP)
            while "reloaded" not in gateway.err.readline():  # requests are logged too
                pass
            assert [ask(client).status_code for client in (some[0], others[0], some[0])] == [200, 200, 429]
        assert len(upstream.submissions) == 27


@posix
def test_a_gateway_that_is_killed_leaves_what_its_submissions_hold(tmp_path: Path, upstream: Busy) -> None:
    config = configured(tmp_path, upstream, 0.01)
    upstream.free.clear()
    with ThreadPoolExecutor(1) as threads:
        with together(config, tmp_path / "data") as gateway, gateway.served_by(gateway.workers[0]) as [client]:
            lost = threads.submit(ask, client)
            until("the provider has it", lambda: upstream.inside == 1)
            for worker in gateway.workers:
                os.kill(worker, signal.SIGKILL)
            with pytest.raises(httpx.TransportError):
                lost.result()
        upstream.free.set()
    with together(config, tmp_path / "data") as gateway, gateway.served_by(gateway.workers[0]) as [client]:
        refused(ask(client))
        assert [state for state, _ in gateway.rows()] == ["maybe"]
    assert len(upstream.submissions) == 1


SPENT = failing(BudgetExceeded("spent"), FailureClass.NOT_SENT)
BUDGET = {"key_name": "team", "allotment": Allotment(1_000_000, "total")}


@pytest.mark.anyio
async def test_a_race_lost_in_the_midst_of_a_request_costs_no_picture_that_was_paid() -> None:
    driver = ScriptedDriver({"a": [ok, SPENT, ok]})
    asked: Order = order(candidate("a", n=3, most=1), **BUDGET)
    outcome = await dispatcher(driver).run(asked, deadline=1e9)
    assert (len(outcome.pictures), outcome.failed) == (2, 1)
    assert [attempt.outcome for attempt in outcome.attempts] == ["ok", "ok"]
    assert len(asked.progress.attempts) == 2


@pytest.mark.anyio
async def test_a_race_lost_goes_on_at_a_route_that_still_fits() -> None:
    driver = ScriptedDriver({"a": [SPENT], "b": [ok]})
    outcome = await dispatcher(driver).run(order(candidate("a"), candidate("b"), **BUDGET), deadline=1e9)
    assert driver.asked == ["a", "b"]
    assert [attempt.outcome for attempt in outcome.attempts] == ["ok"]


@pytest.mark.anyio
async def test_a_budget_is_the_answer_only_where_nothing_says_more() -> None:
    dear = candidate("a", price=Price(usd_per_image=Decimal(2)))
    away = failing(UpstreamUnavailable("nobody there"), FailureClass.NOT_SENT)
    driver = ScriptedDriver({"a": [ok], "b": [away]})
    with pytest.raises(UpstreamUnavailable):
        await dispatcher(driver).run(order(dear, candidate("b"), **BUDGET), deadline=1e9)
    assert driver.asked == ["b"]
    with pytest.raises(BudgetExceeded):
        await dispatcher(driver).run(order(dear, **BUDGET), deadline=1e9)
    assert driver.asked == ["b"]
