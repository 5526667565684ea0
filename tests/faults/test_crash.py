"""The gateway is killed at every place of a submission's life; what it finds when it is back must be true, and what was
paid for must not be gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.bench import PATIENCE, proxied
from tests.faults.crash import CRASHES, JOB, PLACES, Aftermath, House, crash
from tests.faults.not_yet import CRASH as NOT_YET

BRIEF = 1.5
"""Seconds in which work that is resumed would have ended long since."""

NOTHING = Aftermath(())
NOT_SENT = Aftermath((("maybe", "unknown"),))
"""Nobody who was killed between the record and the send can know that nothing was sent."""
UNKNOWN = Aftermath((("maybe", "unknown"),), charged=1)
RESUMED = Aftermath((("done", "charged"),), charged=1, kept=1)


def due(place: str, kind: str) -> Aftermath:
    """What must be found: a job whose id is on record is followed to its end, and its picture kept."""
    if place in ("before_begin", "after_begin"):
        return NOTHING if place == "before_begin" else NOT_SENT
    if place in ("after_send", "while the provider works"):
        return UNKNOWN
    return RESUMED if kind == "apiframe" else UNKNOWN


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with proxied(tmp_path_factory.mktemp("house")) as (running, proxies):
        yield House(running, proxies)


@pytest.mark.parametrize(("place", "kind"), CRASHES, ids=[f"{place} - {kind}" for place, kind in CRASHES])
def test_a_killed_gateway_comes_back_with_the_truth(place: str, kind: str, house: House, tmp_path: Path) -> None:
    late = NOT_YET.get((place, kind))
    found = crash(house, place, kind, tmp_path, patience=PATIENCE if late is None else BRIEF)
    if late is None:
        assert found == due(place, kind)
    else:
        assert found.violations == late.violations


def test_what_is_not_done_yet_breaks_a_rule() -> None:
    for (place, kind), late in NOT_YET.items():
        assert place in PLACES[kind]
        assert late.violations


def test_work_that_is_looked_at_has_more_places_to_die() -> None:
    assert set(PLACES["apiframe"]) - set(PLACES["onemin"]) == set(JOB)
