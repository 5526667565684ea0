"""Budgets in the file of the attempts: what is spent there, who could not begin, and what unknown outcomes let go of.

The sums stand in `spending`, which the database itself keeps as attempts begin, are settled and let go; a sum is made
on its first use, from the attempts on record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.services.attempts import NewAttempt, new_id
from gateway.services.attempts_schema import UNKNOWN
from gateway.services.budgets import UNKNOWN_SECONDS, Span
from normalization.errors import BudgetExceeded

AHEAD_SECONDS = 3600.0
"""How long before an attempt is on record its id may have been made."""

# By the key, which begins with the time; the span then by the same rule as that of the triggers.
FIRST_USE = """
INSERT INTO spending (key_name, span, micros)
SELECT :key_name, :span, (
    SELECT coalesce(sum(held_micros), 0) FROM attempts
    WHERE id >= :first_id AND key_name = :key_name AND origin IS NULL
          AND CAST(created AS INTEGER) >= :begins AND CAST(created AS INTEGER) < :ends)
WHERE NOT EXISTS (SELECT 1 FROM spending WHERE key_name = :key_name AND span = :span)
"""
SPENT = "SELECT micros FROM spending WHERE key_name = ? AND span = ?"
ADMITTED = "SELECT id FROM attempts WHERE id IN (SELECT value FROM json_each(?))"
LET_GO = f"""
UPDATE attempts SET held_micros = 0 WHERE {UNKNOWN} AND created < ?
RETURNING id, key_name, planned_cost_micros
"""  # noqa: S608 (a constant)
OLD_SPANS = "DELETE FROM spending WHERE span <> 'total' AND span < strftime('%Y-%m', ?, 'unixepoch')"
FOREVER = float(1 << 53)
KEPT_SECONDS = 62 * 86_400.0
"""Sums of days and months are kept for longer than what may still be settled in them."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """A submission whose outcome nobody found out, and what it held of its key's budget until now."""

    attempt_id: str
    key_name: str
    micros: int


def fitted(attempt: NewAttempt) -> tuple[int, str | None, int | None]:
    """What the attempt takes, in which span of its key's budget it must fit, and into how much (`held_micros`,
    `held_in`, `allotted_micros`). What costs nothing, or nobody knows what, fits always."""
    held = attempt.planned_cost_micros or 0
    if attempt.allotment is None or not held:
        return held, None, None
    return held, attempt.allotment.span(attempt.created).name, attempt.allotment.micros


def spent(connection: sqlite3.Connection, key_name: str, span: Span) -> int:
    """Micro-dollars that the key's attempts of the span hold."""
    _have(connection, key_name, span)
    found: int = connection.execute(SPENT, (key_name, span.name)).fetchone()[0]
    return found


def make_ready(connection: sqlite3.Connection, attempts: Iterable[NewAttempt]) -> None:
    """Have the sums that these attempts must fit into, so that they can begin."""
    for key_name, span in {(each.key_name, span) for each, span in _budgeted(attempts)}:
        _have(connection, key_name or "", span)


def refusals(connection: sqlite3.Connection, attempts: Sequence[NewAttempt]) -> dict[str, BudgetExceeded]:
    """Why those of the attempts that are not on record could not begin, by id."""
    ids = orjson.dumps([each.id for each in attempts]).decode()
    admitted = {row[0] for row in connection.execute(ADMITTED, (ids,))}
    found = {}
    for each, span in _budgeted(each for each in attempts if each.id not in admitted):
        assert each.allotment is not None  # noqa: S101  (it is budgeted)
        taken = spent(connection, each.key_name or "", span)
        found[each.id] = each.allotment.refusal(span, taken, each.planned_cost_micros or 0)
    return found


def let_go(connection: sqlite3.Connection, now: float) -> list[LetGo]:
    """Give back what submissions of unknown outcome have held for too long, and forget sums of long ago."""
    connection.execute(OLD_SPANS, (int(now - KEPT_SECONDS),))
    rows: list[tuple[Any, ...]] = connection.execute(LET_GO, (now - UNKNOWN_SECONDS,)).fetchall()
    return [LetGo(id, key_name or "", planned or 0) for id, key_name, planned in rows]


def _have(connection: sqlite3.Connection, key_name: str, span: Span) -> None:
    given = {
        "key_name": key_name,
        "span": span.name,
        "first_id": new_id(max(0.0, span.begins - AHEAD_SECONDS))[:10],
        "begins": span.begins,
        "ends": min(span.ends, FOREVER),
    }
    connection.execute(FIRST_USE, given)


def _budgeted(attempts: Iterable[NewAttempt]) -> Iterator[tuple[NewAttempt, Span]]:
    for each in attempts:
        if each.allotment is not None and each.planned_cost_micros:
            yield each, each.allotment.span(each.created)
