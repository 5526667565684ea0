"""Strategies: which route comes first, by value; and what free requests may fall to whatever the strategy."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.backends import build_backends
from gateway.ordering import Asked, Ordering
from gateway.outcome import Candidate
from gateway.routing import Catalogue
from gateway.services.breakers import Sign
from gateway.services.speeds import STALE_SECONDS, Speeds
from gateway.strategies import ranked
from normalization.rules import FREE, Price
from tests.gateway.scripted import Time, backend, candidate
from tests.served import settings_of


def dollars(amount: str) -> Price:
    return Price(usd_per_image=Decimal(amount))


def names(candidates: list[Candidate]) -> list[str]:
    return [each.plan.provider for each in candidates]


def never() -> float:
    raise AssertionError("nothing is drawn here")


def timed(name: str, seconds: float | None, **more: Any) -> Candidate:
    at = backend(name, time=Time())
    if seconds is not None:
        at.speeds.delivered(f"{name}-model", seconds)
    return candidate(name, at=at, **more)


LOSSY = {"steps": 30}
"""A parameter that these routes cannot do."""


def test_priority_is_the_order_written_whatever_a_plan_loses_or_costs() -> None:
    routes = [candidate("a", said=LOSSY, price=dollars("9")), candidate("b", price=FREE)]
    assert names(ranked(routes, "priority", never)) == ["a", "b"]


def test_cheapest_goes_by_what_the_whole_plan_costs_and_the_unknown_comes_last() -> None:
    routes = [
        candidate("unknown", n=3),
        candidate("each", n=3, price=dollars("0.05")),
        candidate("once", n=3, price=Price(usd_per_request=Decimal("0.12"))),
        candidate("free", n=3, price=FREE),
    ]
    assert names(ranked(routes, "cheapest", never)) == ["free", "once", "each", "unknown"]


def test_of_two_that_cost_the_same_the_one_that_loses_nothing_comes_first() -> None:
    routes = [candidate("lossy", said=LOSSY, price=FREE), candidate("b", price=FREE), candidate("c", price=FREE)]
    assert names(ranked(routes, "cheapest", never)) == ["b", "c", "lossy"]


def test_fastest_goes_by_what_routes_take_and_tries_the_untried_first() -> None:
    failing = timed("failing", None)
    failing.backend.speeds.failed("failing-model")
    routes = [failing, timed("slow", 9.0), timed("quick", 2.0), timed("new", None)]
    assert names(ranked(routes, "fastest", never)) == ["new", "quick", "slow", "failing"]


def test_of_two_untried_the_cheaper_of_those_that_lose_nothing_comes_first() -> None:
    routes = [
        timed("lossy", None, said=LOSSY, price=FREE),
        timed("dear", None, price=dollars("0.1")),
        timed("cheap", None, price=dollars("0.01")),
    ]
    assert names(ranked(routes, "fastest", never)) == ["cheap", "dear", "lossy"]


def test_weighted_comes_first_as_often_as_the_weights_say() -> None:
    routes = [candidate("one", weight=1), candidate("three", weight=3), candidate("never", weight=0)]
    draw = random.Random(7).random  # noqa: S311  (no secret)
    firsts = Counter(tuple(names(ranked(routes, "weighted", draw))) for _ in range(4000))
    assert firsts["three", "one", "never"] == pytest.approx(3000, rel=0.05)
    assert firsts["one", "three", "never"] == pytest.approx(1000, rel=0.1)
    assert len(firsts) == 2, "a weight of 0 is only fallen back to"


def test_the_same_chance_draws_the_same_order() -> None:
    routes = [candidate(name, weight=weight) for name, weight in [("a", 1), ("b", 2), ("c", 5)]]
    orders = [names(ranked(routes, "weighted", iter([0.9, 0.5, 0.1]).__next__)) for _ in range(2)]
    assert orders == [["c", "b", "a"]] * 2


def test_a_speed_is_an_average_that_leans_to_the_newest_and_is_forgotten_in_time() -> None:
    time = Time()
    speeds = Speeds(lambda: time.now)
    assert (speeds.tried("m"), speeds.expected("m")) == (False, None)
    speeds.delivered("m", 10.0)
    speeds.delivered("m", 20.0)
    assert speeds.expected("m") == pytest.approx(12.0)
    speeds.failed("m")
    assert speeds.expected("m") == pytest.approx(12.0), "how fast it fails is no speed"
    time.now += STALE_SECONDS + 1
    assert not speeds.tried("m")


def ordering(folder: Path, chance: Callable[[], float] = never, **model: Any) -> Ordering:
    config = {
        "auth": {"mode": "none"},
        "providers": {
            "free": {"type": "sketch"},
            "paid": {"type": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "k"},
        },
        "models": {
            "m": {
                "routes": [
                    {"provider": "paid", "model": "x", "price": {"usd_per_image": 0.05}, "weight": 1},
                    {"provider": "free", "model": "sketch", "weight": 1},
                ],
                **model,
            }
        },
    }
    settings = settings_of(folder, config)
    return Ordering(settings, Catalogue(settings), build_backends(settings), chance=chance)


def prepared(ordering: Ordering, name: str = "m") -> list[str]:
    asked = Asked({"prompt": "a fox", "model": name, "size": "256x256"})
    return names(list(ordering.prepare(asked, ordering.catalogue.resolve(name)).candidates))


def test_the_configured_strategy_is_the_one_in_force(tmp_path: Path) -> None:
    assert prepared(ordering(tmp_path)) == ["paid", "free"]
    assert prepared(ordering(tmp_path, strategy="cheapest")) == ["free", "paid"]
    drawn = ordering(tmp_path, iter([0.9, 0.1]).__next__, strategy="weighted")
    assert prepared(drawn) == ["free", "paid"]


def test_an_open_circuit_comes_last_whatever_the_strategy(tmp_path: Path) -> None:
    for strategy in ("priority", "cheapest"):
        here = ordering(tmp_path, strategy=strategy)
        first, second = prepared(here)
        model = "sketch" if first == "free" else "x"
        here.backends[first].circuits.record(model, Sign.DENIED, began=1e12, outcome="upstream_auth")
        assert prepared(here) == [second, first]


def test_trouble_at_a_free_provider_does_not_make_a_request_a_paid_one(tmp_path: Path) -> None:
    here = ordering(tmp_path, strategy="cheapest", fallback="free")
    here.backends["free"].circuits.record("sketch", Sign.DENIED, began=1e12, outcome="upstream_auth")
    assert prepared(here) == ["free"]
