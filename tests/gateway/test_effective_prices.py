"""Which price a route has, from the configuration or from the providers' public ones, and who is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.dry_run import dry_run
from gateway.backends import build_backends
from gateway.cli import main
from gateway.ordering import Asked, Ordering, Prepared
from gateway.routing import Catalogue
from normalization.rules import Count, Price, Profile
from providers import prices
from providers.prices import Listing
from tests.given import painted
from tests.journeys import SIMULATORS, journey_to
from tests.served import settings_of

MODEL = "black-forest-labs/flux-kontext-max/text-to-image"
LISTED = Price(usd_per_image=Decimal("0.07"))

PROVIDERS = {
    "listed": {"type": "modelverse", "api_key": "k"},
    "unlisted": {"type": "onemin", "api_key": "k"},
    "own": {"type": "flux_worker", "base_url": "http://127.0.0.1:8800"},
    "drawn": {"type": "sketch"},
    "relay": {"type": "openai", "base_url": "https://relay.example.com/v1", "api_key": "k"},
}


@pytest.fixture(autouse=True)
def one_listed_price(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = Listing("7 US cents a picture", "https://example.com/", date(2026, 1, 31), LISTED)
    monkeypatch.setattr(prices, "CATALOGUE", {("modelverse", MODEL): listing})


def ordered(
    tmp_path: Path, *routes: Mapping[str, Any] | str, fallback: str = "paid", edited: int = 0, **body: Any
) -> Prepared:
    """A request for the model `m`, ready to go; a route is a provider's name, or what its entry says besides."""
    models = {"listed": MODEL, "own": "black-forest-labs/FLUX.2-dev", "drawn": "sketch"}
    written = [{"provider": route} if isinstance(route, str) else dict(route) for route in routes]
    written = [{"model": models.get(route["provider"], "x"), **route} for route in written]
    config = {
        "auth": {"mode": "none"},
        "providers": PROVIDERS,
        "models": {"m": {"routes": written, "fallback": fallback}},
    }
    settings = settings_of(tmp_path, config)
    ordering = Ordering(settings, Catalogue(settings), build_backends(settings))
    asked = Asked(
        {"prompt": "a fox", "model": "m", **body},
        operation="edit" if edited else "generate",
        pictures=tuple(painted(64, 48) for _ in range(edited)),
    )
    return ordering.prepare(asked, ordering.catalogue.resolve("m"))


def priced(price: Mapping[str, Any]) -> dict[str, Any]:
    """The one route of a journey to 1min.ai, with a price."""
    return {"models": {"m": {"routes": [{"provider": "p", "model": SIMULATORS["onemin"][1], "price": price}]}}}


def providers_of(prepared: Prepared) -> list[str]:
    return [candidate.plan.provider for candidate in prepared.candidates]


@pytest.mark.parametrize(
    ("route", "usd", "micros"),
    [
        ("listed", "0.07", 700_000),
        ({"provider": "listed", "price": {"usd_per_image": 0.01}}, "0.01", 100_000),
        ({"provider": "listed", "price": {"usd_per_image": 0}}, "0", 0),
        ({"provider": "unlisted", "price": {"usd_per_image": "0.02"}}, "0.02", 200_000),
        ("own", "0", 0),
        ({"provider": "own", "price": {"usd_per_image": 0.003}}, "0.003", 30_000),
    ],
)
def test_a_routes_price_is_its_own_or_else_the_public_one(tmp_path: Path, route: Any, usd: str, micros: int) -> None:
    prepared = ordered(tmp_path, route, n=10)
    candidate = prepared.candidates[0]
    assert candidate.price == Price(usd_per_image=Decimal(usd))
    assert candidate.plan.cost_micros == dry_run(prepared)["total_cost_micros"] == micros


def test_a_routes_own_price_takes_the_place_of_the_whole_public_one(tmp_path: Path) -> None:
    prepared = ordered(tmp_path, {"provider": "listed", "price": {"usd_per_request": "0.5"}})
    assert prepared.candidates[0].price == Price(usd_per_request=Decimal("0.5"))


@pytest.mark.parametrize("provider", ["unlisted", "relay"])
def test_a_dry_run_of_an_unpriced_route_says_that_it_does_not_know(tmp_path: Path, provider: str) -> None:
    prepared = ordered(tmp_path, provider, n=2)
    assert prepared.candidates[0].price is None
    shown = dry_run(prepared)
    assert (shown["total_cost_micros"], shown["components"]) == (None, [])


def test_a_dry_run_shows_the_lines_of_a_split_request(tmp_path: Path) -> None:
    price = {"usd_per_image": 0.04, "usd_per_request": 0.001}
    shown = dry_run(ordered(tmp_path, {"provider": "listed", "price": price}, n=10))
    assert len(shown["plan"]["calls"]) == 3
    assert [(line["type"], line["quantity"], line["total_cost"]) for line in shown["components"]] == [
        ("output", 10, 400_000),
        ("request", 3, 3_000),
    ]
    assert shown["total_cost_micros"] == 403_000


def test_an_edit_pays_for_its_pictures_with_every_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = Ordering.profile

    def edits(self: Ordering, provider: str, model: str, pictures: int = 0) -> Profile:
        known = profile(self, provider, model, pictures)
        return replace(known, operations=("generate", "edit"), input_images_max=2, count=Count("n", most=4))

    monkeypatch.setattr(Ordering, "profile", edits)
    price = {"usd_per_image": 0.04, "usd_per_input_image": "0.01", "usd_per_input_megapixel": 0.03}
    shown = dry_run(ordered(tmp_path, {"provider": "listed", "price": price}, edited=2, n=6))
    assert [(line["type"], line["metric"], line["quantity"], line["total_cost"]) for line in shown["components"]] == [
        ("output", "image", 6, 240_000),
        ("input", "image", 2 * 2, 40_000),
        ("input", "megapixel", 2 * 2, 120_000),
    ]
    assert shown["total_cost_micros"] == 400_000


def test_the_command_line_shows_how_an_estimate_comes_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ordered(tmp_path, {"provider": "listed", "price": {"usd_per_image": 0.04, "usd_per_request": 0.001}})
    assert main(["plan", "--model", "m", "--config", str(tmp_path / "imagegate.yaml"), "n=10"]) == 0
    shown = capsys.readouterr().out
    assert f"{MODEL}, $0.403" in " ".join(shown.split())
    assert "10 x output image at $0.04 = $0.4\n" in shown
    assert "3 x request at $0.001 = $0.003\n" in shown


FREE_ONLY = [
    (("unlisted", "listed", "own"), ["unlisted", "own"]),
    (("own", "listed", "unlisted", "drawn"), ["own", "unlisted", "drawn"]),
    (({"provider": "listed", "price": {"usd_per_image": 0}}, "unlisted"), ["listed", "unlisted"]),
    (("relay", {"provider": "unlisted", "price": {"usd_per_request": 1}}), ["relay"]),
    (("listed", "unlisted", "own"), ["listed", "unlisted", "own"]),
]


@pytest.mark.parametrize(("routes", "left"), FREE_ONLY)
def test_only_routes_without_a_price_follow_one_without_a_price(
    tmp_path: Path, routes: tuple[Any, ...], left: list[str]
) -> None:
    """Without a price is what has none in the configuration nor in public, and what costs 0."""
    assert providers_of(ordered(tmp_path, *routes, fallback="free")) == left


@pytest.mark.parametrize(("routes", "left"), FREE_ONLY)
def test_otherwise_every_route_may_follow(tmp_path: Path, routes: tuple[Any, ...], left: list[str]) -> None:
    assert len(ordered(tmp_path, *routes, fallback="paid").candidates) == len(routes) >= len(left)


@pytest.mark.parametrize(
    ("price", "usd", "cost"), [(None, None, None), ({"usd_per_image": "0.0421"}, "0.084200", 84_200)]
)
def test_an_answer_tells_what_it_cost_or_that_nobody_knows(
    tmp_path: Path, price: Any, usd: str | None, cost: int | None
) -> None:
    more = {} if price is None else priced(price)
    with journey_to("onemin", tmp_path, more) as journey:
        body = {"prompt": "a fox", "model": "m", "n": 2}
        answer = httpx.post(f"{journey.base_url}/images/generations", json=body, timeout=60)
        assert answer.status_code == 200
        metadata = answer.json()["metadata"]
        assert (metadata["cost_micros"], metadata["cost_currency"]) == (cost, "USD")
        assert metadata["cost"] == (None if cost is None else cost / 1_000_000)
        assert answer.headers.get("x-imagegate-cost") == usd
        estimate = httpx.post(f"{journey.base_url}/images/generations?dryRun=true", json=body, timeout=60).json()
        assert estimate["total_cost_micros"] == cost
        capabilities = httpx.get(f"{journey.base_url}/models/m", timeout=60).json()["capabilities"]
        assert capabilities["price"] == (None if price is None else {"usd_per_image": 0.0421})


def test_what_is_booked_for_the_submissions_is_the_estimate(tmp_path: Path) -> None:
    price = {"usd_per_image": "0.0000014", "usd_per_request": "0.000123"}
    with journey_to("onemin", tmp_path, priced(price)) as journey:
        body = {"prompt": "a fox", "model": "m", "n": 3}
        estimate = httpx.post(f"{journey.base_url}/images/generations?dryRun=true", json=body, timeout=60).json()
        answer = httpx.post(f"{journey.base_url}/images/generations", json=body, timeout=60).json()
        assert answer["metadata"]["cost_micros"] == estimate["total_cost_micros"] == 3 * (1 + 123)
