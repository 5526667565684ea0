"""What other replicas told, written into this one's journal: of an attempt that both know the higher order stands."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.services.attempts import charge_of_unknown
from gateway.services.replicas.outbox import row_of
from gateway.services.replicas.records import ATTEMPT, GENERATION, REQUEST, SETTLED, Shared, Told, listed, order_of

_INTERRUPTED = {"state": "maybe", "outcome": "interrupted", "delivered": 0}
# Owned by nobody where it is not `mine`: a held attempt of one's own holds its key's budget, as a settlement of this
# replica's would leave it.
_ATTEMPT = f"""
INSERT INTO attempts ({", ".join(ATTEMPT)}, owner, lease_until, fence, origin, heard)
VALUES ({", ".join("?" * len(ATTEMPT))}, ?, ?, 1, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, job = excluded.job, outcome = excluded.outcome, charge = excluded.charge,
    cost_micros = excluded.cost_micros, delivered = excluded.delivered, seconds = excluded.seconds,
    resume = excluded.resume, owner = excluded.owner, lease_until = excluded.lease_until, fence = 1,
    heard = excluded.heard,
    held_micros = CASE excluded.charge WHEN 'none' THEN 0
        WHEN 'charged' THEN CASE WHEN attempts.key_name IS NULL THEN 0
            ELSE coalesce(excluded.cost_micros, attempts.planned_cost_micros, 0) END
        ELSE attempts.held_micros END
"""  # noqa: S608 (a constant)
_GENERATION = f"""
INSERT INTO generations ({", ".join(GENERATION)}, owner, lease_until) VALUES ({", ".join("?" * len(GENERATION))}, ?, ?)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended = excluded.ended, delivered = excluded.delivered,
    answer = excluded.answer, error = excluded.error, owner = excluded.owner, lease_until = excluded.lease_until
WHERE generations.state = 'running'
"""  # noqa: S608 (a constant)
_REQUEST = f"""
INSERT INTO requests ({", ".join(REQUEST)}, origin) VALUES ({", ".join("?" * len(REQUEST))}, ?)
ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 (a constant)
_UNTELL = "DELETE FROM outbox WHERE kind = ? AND id = ?"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who goes on with what is merged: a process, until when (epoch seconds), and the fence between replicas."""

    owner: str
    until: float
    fence: int


def merge_attempt(connection: sqlite3.Connection, told: Told, replica: str, holder: Holder | None = None) -> bool:
    """Write what was told of an attempt, unless this replica knows better; `replica` is this one. With a `holder` it
    is this replica's from now on, and what was being sent is settled: nobody can tell any more. True where written."""
    id = told.row["id"]
    known = row_of(connection, "attempt", id)
    if known is not None and told.order <= local_order(known, replica):
        return False
    row: Mapping[str, Any] = told.row
    if holder is not None and row["state"] == "sending":
        row = {**row, **_INTERRUPTED, "charge": charge_of_unknown(row["planned_cost_micros"])}
    keeper = (None, None) if holder is None or row["state"] in SETTLED else (holder.owner, holder.until)
    origin = None if told.by == replica else told.by
    connection.execute(_ATTEMPT, (*listed(ATTEMPT, row), *keeper, origin, told.order))
    if holder is None:
        connection.execute(_UNTELL, ("attempt", id))
    return True


def local_order(row: Mapping[str, Any], replica: str) -> str:
    """The order of a row of this replica's journal, as `outbox.row_of` reads it."""
    own = order_of(row, row["taken"], row["lease"], replica)
    return max(own, row["heard"] or "")


def fence_of(connection: sqlite3.Connection, generation: str) -> int:
    """By which fence this replica has taken a generation over from another; 0 where it has not."""
    found = connection.execute("SELECT fence FROM followed WHERE generation_id = ?", (generation,)).fetchone()
    return 0 if found is None else int(found[0])


def follow(connection: sqlite3.Connection, shared: Shared, replica: str, holder: Holder) -> bool:
    """Take over a generation into this replica's journal; False where that was done before."""
    if fence_of(connection, shared.id) >= holder.fence:
        return False
    connection.execute("INSERT OR REPLACE INTO followed VALUES (?, ?)", (shared.id, holder.fence))
    for told in shared.attempts:
        merge_attempt(connection, told, replica, holder)
    if shared.row is not None:
        merge_generation(connection, shared.row, holder)
    return True


def merge_generation(connection: sqlite3.Connection, row: Mapping[str, Any], holder: Holder | None) -> None:
    """Write what was told of a generation. Its Idempotency-Key is left where another one here holds that."""
    values = dict(row)
    if values["scope"] is not None:
        other = connection.execute("SELECT id FROM generations WHERE scope = ?", (values["scope"],)).fetchone()
        if other is not None and other[0] != values["id"]:
            values["scope"] = None
    running = values["state"] == "running"
    keeper = (holder.owner, holder.until) if holder is not None and running else (None, None)
    connection.execute(_GENERATION, (*listed(GENERATION, values), *keeper))
    if holder is None:
        connection.execute(_UNTELL, ("generation", values["id"]))


def let_go(connection: sqlite3.Connection, shared: Shared, replica: str) -> None:
    """Another replica goes on with a generation of this one's, or has ended it: what it told stands here, too; what is
    open still is nobody's here, so that it is looked for again."""
    for told in shared.attempts:
        if told.by != replica:
            merge_attempt(connection, told, replica)
    if shared.row is not None and shared.row["state"] != "running":
        merge_generation(connection, shared.row, None)
    for table, states in (("attempts", "'sending', 'accepted'"), ("generations", "'running'")):
        column = "generation_id" if table == "attempts" else "id"
        connection.execute(
            f"UPDATE {table} SET owner = NULL, lease_until = NULL WHERE {column} = ? AND state IN ({states})",  # noqa: S608
            (shared.id,),
        )


def merge_ledger(
    connection: sqlite3.Connection, attempts: Sequence[Told], requests: Sequence[tuple[str, dict[str, Any]]], own: str
) -> int:
    """Write what others settled and answered; how many rows are new or better."""
    written = sum(merge_attempt(connection, told, own) for told in attempts if told.by != own)
    for by, row in requests:
        if by != own:
            written += connection.execute(_REQUEST, (*listed(REQUEST, row), by)).rowcount
    return written
