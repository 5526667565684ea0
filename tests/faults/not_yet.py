"""The one list of what the gateway does not do yet, of all that the tests of faults and crashes ask for.

Each entry says why, and what happens today. The tests hold the gateway to that, so an entry that has come true fails:
take it out, and the test asks for what is due instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tests.faults.billing import FREE
from tests.faults.cells import ALL, CELLS, NATIVE, OK, PAID, End


@dataclass(frozen=True)
class NotYet:
    reason: str
    today: End


SAME_KEY = "a submission whose outcome is unknown is not sent again with the same Idempotency-Key"
RENDER_AGAIN = "work at a worker that costs nothing is not done again when it was lost on the way"
PRICED_AS_ASKED = "a submission is booked at the price of the pictures that it asked for, not of those that came"
NO_ATTACHING = "a client that tries again gets a new generation instead of the one that it lost"

UNSURE = (
    "F05 reset within the head",
    "F05 reset within the body",
    "F05 reset after the body",
    "F05 closed after the body",
    "F06 never read",
    "F06 no answer in time",
    "F08 done and closed",
    "F08 done and reset",
    "F08 cut within the head",
    "F08 cut within the body",
    "F08 reset within the body",
    "F08 all but the last byte",
    "F09 no JSON",
    "F10 a page",
    "F11 error in a 200",
    "F22 500",
    "F23 502 of a middlebox",
    "F23 504 of a middlebox",
    "F35 one of three failed",
)
"""Cells in which nobody can know whether the provider did the work."""


def _as_elsewhere(reason: str, kind: str, names: Iterable[str]) -> Iterator[tuple[tuple[str, str], NotYet]]:
    """Today the kind ends as those do that may not be asked again."""
    for name in names:
        end = CELLS[name].end
        yield (name, kind), NotYet(reason, replace(end, charged=0) if kind in FREE else end)


def _bought_twice(name: str, *, lost: bool) -> Iterator[tuple[tuple[str, str], NotYet]]:
    for kind in ALL:
        violations = ({"overbought"} if kind in PAID else set()) | ({"lost"} if lost else set())
        end = End(OK, charged=2 if kind in PAID else 0, delivered=1, violations=frozenset(violations))
        yield (name, kind), NotYet(NO_ATTACHING, end)


MATRIX: Mapping[tuple[str, str], NotYet] = {
    **dict(_as_elsewhere(SAME_KEY, "apiframe", (*UNSURE, "F21 503"))),
    **dict(_as_elsewhere(RENDER_AGAIN, "flux_worker", UNSURE)),
    **{
        ("F35 one left out", kind): NotYet(PRICED_AS_ASKED, End(OK, 4, 4, violations=frozenset({"sums"})))
        for kind in NATIVE
    },
    **dict(_bought_twice("F45 answer lost on the way back", lost=True)),
    **{key: late for key, late in _bought_twice("F45 client asks again", lost=False) if key[1] in PAID},
}
"""By cell and kind."""


@dataclass(frozen=True)
class NotYetAfterCrash:
    reason: str
    violations: frozenset[str]
    """Rules of the checker that are broken today."""


NOT_RESUMED = "a job whose id is on record is not followed to its end after a restart: its row stays accepted"
PAID_AND_GONE = (
    "after_accepted",
    "polling",
    "after_result",
    "after_fetch",
    "before_settle",
    "before_answer",
    "while a look is on its way",
)

CRASH: Mapping[tuple[str, str], NotYetAfterCrash] = {
    (place, "apiframe"): NotYetAfterCrash(NOT_RESUMED, frozenset({"unsettled"})) for place in PAID_AND_GONE
}
"""By place and kind."""
