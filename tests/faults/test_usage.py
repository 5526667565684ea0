"""The operator's sums are the providers' own: after everything that can go wrong, the ledger and their books agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.faults.bench import Bench, bench, until
from tests.faults.checker import Ask
from tests.faults.happenings import DROPPED, Fault, own

GROUPS = ("day", "hour", "key", "model", "provider", "status")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("usage")) as found:
        yield found


@pytest.fixture(scope="module")
def asks(house: Bench) -> dict[str, Ask]:
    """A day's trouble, each wish by what befell it."""
    billing, proxies = house.providers, house.proxies
    made = {f"well at {kind}": house.ask(kind, n=2) for kind in proxies}
    billing.fail_next("openai", status=400)
    made["refused"] = house.ask("openai")
    billing.fail_next("openai", too_few=True)
    made["one was missing, and made up for"] = house.ask("openai", n=2)
    billing.fail_next("apiframe", soft_fail=True)
    made["a job that failed, paid back, and made again"] = house.ask("apiframe")
    billing.fail_next("openai", status=402, message="no credit")
    made["no credit here, so from the other"] = house.ask("openai-pair")
    proxies["modelverse"].next(Fault(answer=own(429, b"{}", retry_after="0"), forward=False))
    made["busy"] = house.ask("modelverse")
    made["never reached"] = house.ask("openai-tls")
    proxies["openai"].next(DROPPED)
    made["unknown"] = house.ask("openai", client=house.client(retries=0))
    proxies["onemin"].next(DROPPED)
    made["unknown at another"] = house.ask("onemin", client=house.client(retries=0))
    billing.fail_next("openai", not_a_picture=True)
    made["charged for what is no picture"] = house.ask("openai", client=house.client(retries=0))
    made["left"] = _left(house)
    house.settle(*made.values())
    return made


def _left(house: Bench) -> Ask:
    """A client that goes before its picture comes."""
    proxy = house.proxies["modelverse"]
    proxy.next(Fault(hold=True))
    with house.client(retries=0, timeout=0.5) as client:
        ask = house.ask("modelverse", client=client)
    assert ask.status is None
    proxy.release()
    return ask


def usage(house: Bench, group: str) -> Any:
    address = f"{house.base_url.removesuffix('/v1')}/admin/usage"
    return httpx.get(address, params={"group_by": group}, timeout=20).raise_for_status().json()


def micros(row: Any) -> int:
    return int(1_000_000 * row["cost_usd"] + 0.5)


def test_what_is_known_to_have_been_charged_is_what_providers_charged(house: Bench, asks: dict[str, Ask]) -> None:
    unknown = {ask.mark for name, ask in asks.items() if name.startswith("unknown")}
    charges = [charge for charge in house.providers.charges() if not charge.refunded]
    known, lost = Counter[str](), 0
    for charge in charges:
        if charge.mark in unknown:
            lost += 1
        else:
            known[charge.provider] += charge.micros
    assert lost == 2, "they made the pictures whose answers were lost"
    assert until(lambda: usage(house, "day")["totals"]["requests"] == len(asks)), usage(house, "day")
    for group in GROUPS:
        totals = usage(house, group)["totals"]
        assert micros(totals) == known.total()
        assert totals["unknown_cost_calls"] == lost
    by_provider = {row["group"]: row for row in usage(house, "provider")["rows"]}
    assert {name: micros(row) for name, row in by_provider.items() if micros(row)} == +known
    assert by_provider["openai"]["unknown_cost_calls"] == by_provider["onemin"]["unknown_cost_calls"] == 1


def test_groups_add_up_to_the_totals(house: Bench, asks: dict[str, Ask]) -> None:
    for group in GROUPS:
        found = usage(house, group)
        for name, whole in found["totals"].items():
            if not name.startswith("p"):
                assert sum(row[name] for row in found["rows"]) == pytest.approx(whole), (group, name)


def test_requests_pictures_and_errors_are_those_that_clients_saw(house: Bench, asks: dict[str, Ask]) -> None:
    totals = usage(house, "day")["totals"]
    assert totals["requests"] == len(asks)
    assert totals["images"] == sum(ask.delivered for ask in asks.values())
    assert totals["errors"] == sum(ask.status != 200 for ask in asks.values())
    assert totals["megapixels"] == pytest.approx(totals["images"] * 256 * 256 / 1e6)
    statuses = Counter(str(ask.status or 499) for ask in asks.values())
    rows = {row["group"]: row for row in usage(house, "status")["rows"]}
    assert {status: row["requests"] for status, row in rows.items()} == statuses
    assert micros(rows["499"]) > 0, "what was made for a client that left is charged all the same"


def test_calls_are_the_submissions_that_left_the_house(house: Bench, asks: dict[str, Ask]) -> None:
    evidence = house.evidence(*asks.values(), settled=False)
    sent = [row for row in evidence.rows if row.state != "not_sent"]
    assert len(sent) < len(evidence.rows), "some never left"
    assert usage(house, "day")["totals"]["upstream_calls"] == len(sent)
    by_model = {row["group"]: row for row in usage(house, "model")["rows"]}
    assert by_model["openai-tls"]["upstream_calls"] == 0
    assert by_model["openai-tls"]["errors"] == 1
    assert by_model["openai-pair"]["upstream_calls"] == 2


def test_a_dry_run_and_a_stranger_to_the_rules_are_told_apart(house: Bench, asks: dict[str, Ask]) -> None:
    before = usage(house, "day")["totals"]
    with house.client(retries=0) as client:
        client.images.with_raw_response.generate(prompt="a fox", model="openai", extra_query={"dryRun": "true"})
        with pytest.raises(openai.BadRequestError):
            client.images.generate(prompt="a fox", model="openai", n=99)
        with pytest.raises(openai.NotFoundError):
            client.images.generate(prompt="a fox", model="no-such-model")
        client.models.list()
    after = usage(house, "day")["totals"]
    assert after["requests"] - before["requests"] == after["errors"] - before["errors"] == 2
    assert after["upstream_calls"] == before["upstream_calls"]
    rows = {row["group"]: row for row in usage(house, "model")["rows"]}
    assert rows["unknown"]["requests"] >= 1, "no client's word becomes a group"
    assert "no-such-model" not in rows
