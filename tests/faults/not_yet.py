"""The one list of what the gateway does not do yet, of all that the tests of faults and crashes ask for.

Each entry says why, and what happens today. The tests hold the gateway to that, so an entry that has come true fails:
take it out, and the test asks for what is due instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.faults.cells import OK, PAID, End


@dataclass(frozen=True)
class NotYet:
    reason: str
    today: End


FLUSHED = "an answer that a proxy took whole, and lost, has reached its client as far as the gateway can tell"


def _bought_twice(name: str) -> Iterator[tuple[tuple[str, str], NotYet]]:
    """The picture is not lost: it can be had by its generation's id, which the answer took with it."""
    for kind in PAID:
        end = End(OK, charged=2, delivered=1, violations=frozenset({"overbought"}))
        yield (name, kind), NotYet(FLUSHED, end)


MATRIX: Mapping[tuple[str, str], NotYet] = dict(_bought_twice("F45 answer lost on the way back"))
"""By cell and kind."""


@dataclass(frozen=True)
class NotYetAfterCrash:
    reason: str
    violations: frozenset[str]
    """Rules of the checker that are broken today."""


CRASH: Mapping[tuple[str, str], NotYetAfterCrash] = {}
"""By place and kind."""
