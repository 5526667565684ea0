"""The checker is worth its name: it finds each planted bug, and nothing in the gateway as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.bench import Bench, bench
from tests.faults.mutations import BUGS, SITUATIONS


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("house")) as found:
        yield found


@pytest.fixture(autouse=True)
def _fresh(house: Bench) -> None:
    house.reset()


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_honest_gateway_passes(situation: str, house: Bench) -> None:
    assert SITUATIONS[situation](house) == []


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str, house: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = BUGS[bug]
    planted.plant(monkeypatch)
    found = {violation.rule for violation in SITUATIONS[planted.situation](house)}
    assert planted.rule in found


def test_each_situation_has_a_bug_that_shows_in_it() -> None:
    assert set(SITUATIONS) == {bug.situation for bug in BUGS.values()}
    assert len({bug.plant for bug in BUGS.values()}) >= 12
