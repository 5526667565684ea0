"""Every fault at every kind of provider, through the official client with its own retries: never more pictures paid for
than asked for, never one lost, and always the one answer that the client is due."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway import collecting, container, finishing
from tests.faults.bench import Bench, bench, no_such_host
from tests.faults.billing import MICROS
from tests.faults.cells import CELLS, MATRIX, Cell, End, Told
from tests.faults.checker import check
from tests.faults.not_yet import MATRIX as NOT_YET


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with no_such_host(), bench(tmp_path_factory.mktemp("house")) as found:
        yield found


@pytest.fixture(autouse=True)
def _fresh(house: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reset()
    monkeypatch.setattr(finishing, "FETCHES", 2)  # the pauses between more of them are long
    monkeypatch.setattr(container, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(collecting, "RENEWAL_FIRST_SECONDS", 0.01)


def run(house: Bench, cell: Cell, kind: str) -> End:
    with cell.inject(house, kind):
        client = house.client(front=cell.front, timeout=cell.timeout)
        ask = house.ask(f"{kind}{cell.variant}", n=cell.n, client=client, **cell.extra)
    evidence = house.evidence(ask)
    assert ask.status is not None, "the client was told nothing"
    told = Told(ask.status, ask.type, ask.code, ask.should_retry, ask.retry_after is not None)
    charged = sum(charge.micros for charge in evidence.charges if not charge.refunded)
    return End(
        told,
        charged=charged // MICROS,
        delivered=ask.delivered,
        violations=frozenset(violation.rule for violation in check(evidence)),
    )


@pytest.mark.parametrize(("name", "kind"), MATRIX, ids=[f"{name} - {kind}" for name, kind in MATRIX])
def test_what_goes_wrong_costs_nothing_twice_loses_nothing_and_has_one_answer(
    name: str, kind: str, house: Bench
) -> None:
    late = NOT_YET.get((name, kind))
    assert run(house, CELLS[name], kind) == (CELLS[name].due(kind) if late is None else late.today)


def test_what_is_not_done_yet_is_not_what_is_due() -> None:
    for (name, kind), late in NOT_YET.items():
        assert kind in CELLS[name].kinds
        assert late.today != CELLS[name].due(kind), f"{name} at {kind} is as it should be: take it off the list"


def test_the_matrix_covers_the_table() -> None:
    assert len({name.split()[0] for name in CELLS}) >= 25
    assert {kind for _, kind in MATRIX} == {"apiframe", "onemin", "modelverse", "openai", "flux_worker"}
