"""The public prices: each row has its source, names what is there, and counts only in US dollars."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from normalization.rules import FREE, Price
from providers import prices
from providers.base import Options, Provider
from providers.prices import CATALOGUE, Listing, price_of
from providers.registry import PROVIDERS

A_DAY = date(2026, 1, 31)
DEAR = Price(usd_per_image=Decimal("0.5"))


def adapter(kind: str) -> Provider:
    return PROVIDERS[kind](Options(name="p"))


def listed(monkeypatch: pytest.MonkeyPatch, rows: Mapping[tuple[str, str], Price | None]) -> None:
    listings = {key: Listing("so much", "https://example.com/", A_DAY, price) for key, price in rows.items()}
    monkeypatch.setattr(prices, "CATALOGUE", listings)


@pytest.mark.parametrize("key", CATALOGUE, ids="/".join)
def test_a_row_names_a_known_model_of_a_registered_provider_and_says_where_and_when_it_was_read(
    key: tuple[str, str],
) -> None:
    kind, model = key
    listing = CATALOGUE[key]
    assert model in PROVIDERS[kind].known_models
    assert date(2026, 1, 1) <= listing.read <= date.today()
    source = urlsplit(listing.source)
    assert source.scheme == "https"
    assert source.hostname
    assert listing.said


@pytest.mark.parametrize("key", CATALOGUE, ids="/".join)
def test_a_row_counts_only_where_its_page_speaks_of_dollars(key: tuple[str, str]) -> None:
    listing = CATALOGUE[key]
    if listing.price is not None:
        assert "USD" in listing.said or "$" in listing.said or "dollar" in listing.said
        assert not listing.price.free
    assert price_of(*key) == listing.price
    assert adapter(key[0]).profile(key[1]).price == listing.price


def test_no_price_is_kept_for_servers_that_may_be_anybodys() -> None:
    assert [key for key in CATALOGUE if key[0] == "openai"] == []


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("apiframe", "flux-2-max"),
        ("onemin", "black-forest-labs/flux-2-max"),
        ("modelverse", "black-forest-labs/flux-kontext-max/text-to-image"),
    ],
)
def test_a_listed_price_is_the_profiles(kind: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert adapter(kind).profile(model).price is None
    listed(monkeypatch, {(kind, model): DEAR})
    assert adapter(kind).profile(model).price == DEAR
    assert adapter(kind).profile("another").price is None


@pytest.mark.parametrize("kind", PROVIDERS)
def test_what_nobody_lists_costs_nothing_only_where_there_is_nobody_to_pay(kind: str) -> None:
    """Unknown is None and never 0, but for the two that are the operator's own."""
    expected = FREE if kind in ("sketch", "flux_worker") else None
    assert adapter(kind).profile("a-model-that-no-page-names").price == expected
    assert price_of(kind, "a-model-that-no-page-names") is None
