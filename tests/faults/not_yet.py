"""The one list of what the gateway does not do yet, of all that the tests of faults and crashes ask for.

Each entry says why, and what happens today. The tests hold the gateway to that, so an entry that has come true fails:
take it out, and the test asks for what is due instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tests.faults.billing import FREE
from tests.faults.cells import CELLS, NATIVE, OK, PAID, End


@dataclass(frozen=True)
class NotYet:
    reason: str
    today: End


SAME_KEY = "a submission whose outcome is unknown is not sent again with the same Idempotency-Key"
RENDER_AGAIN = "work at a worker that costs nothing is not done again when it was lost on the way"
PRICED_AS_ASKED = "a submission is booked at the price of the pictures that it asked for, not of those that came"
FLUSHED = "an answer that a proxy took whole, and lost, has reached its client as far as the gateway can tell"

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


def _bought_twice(name: str) -> Iterator[tuple[tuple[str, str], NotYet]]:
    """The picture is not lost: it can be had by its generation's id, which the answer took with it."""
    for kind in PAID:
        end = End(OK, charged=2, delivered=1, violations=frozenset({"overbought"}))
        yield (name, kind), NotYet(FLUSHED, end)


MATRIX: Mapping[tuple[str, str], NotYet] = {
    **dict(_as_elsewhere(SAME_KEY, "apiframe", (*UNSURE, "F21 503"))),
    **dict(_as_elsewhere(RENDER_AGAIN, "flux_worker", UNSURE)),
    **{
        ("F35 one left out", kind): NotYet(PRICED_AS_ASKED, End(OK, 4, 4, violations=frozenset({"sums"})))
        for kind in NATIVE
    },
    **dict(_bought_twice("F45 answer lost on the way back")),
}
"""By cell and kind."""


@dataclass(frozen=True)
class NotYetAfterCrash:
    reason: str
    violations: frozenset[str]
    """Rules of the checker that are broken today."""


CRASH: Mapping[tuple[str, str], NotYetAfterCrash] = {}
"""By place and kind."""
