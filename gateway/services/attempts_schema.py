"""The table of attempts: its schema, step by step, and the statements that write and read it.

Each statement takes all its rows as one JSON array of arrays; their order is that of the columns named in it.
"""

from __future__ import annotations

import sqlite3

from gateway.services.sqlite import Migration

_FIELDS = (
    "id, generation_id, request_id, provider, model, requested_model, key_name, user, images, planned_cost_micros, "
    "created"
)

# json_extract by position, not by name: the names would travel with every row.
BEGIN = """
INSERT INTO attempts (id, generation_id, request_id, provider, model, requested_model, key_name, user, images,
                      planned_cost_micros, created, state)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
       json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'),
       json_extract(value, '$[9]'), json_extract(value, '$[10]'), 'sending'
FROM json_each(?)
"""

# "told" is materialized, and "+" keeps the planner off the index of open attempts: otherwise it reads all of them for
# every row of the batch, instead of one row by its key.
ACCEPT = """
WITH told AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS job FROM json_each(?))
UPDATE attempts SET state = 'accepted', job = told.job, outcome = NULL, charge = NULL
FROM told
WHERE attempts.id = told.id
  AND (+attempts.state = 'sending' OR (+attempts.state = 'maybe' AND attempts.outcome = 'interrupted'))
"""

SETTLE = """
WITH told AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS state,
           json_extract(value, '$[2]') AS outcome, json_extract(value, '$[3]') AS charge,
           json_extract(value, '$[4]') AS cost_micros, json_extract(value, '$[5]') AS delivered,
           json_extract(value, '$[6]') AS seconds
    FROM json_each(?))
UPDATE attempts SET state = told.state, outcome = told.outcome, charge = told.charge, cost_micros = told.cost_micros,
                    delivered = told.delivered, seconds = told.seconds
FROM told
WHERE attempts.id = told.id
  AND (+attempts.state IN ('sending', 'accepted')
       OR (+attempts.state = 'maybe' AND attempts.outcome = 'interrupted'))
"""

# A process that lives on, beside the one that restarted, still has the last word on its own attempts: what was found
# "interrupted" may be overwritten by the two statements above, and nothing else that is settled.
INTERRUPT = """
UPDATE attempts SET state = 'maybe', outcome = 'interrupted', charge = 'unknown', delivered = 0
WHERE state = 'sending'
"""

UNSETTLED = f"SELECT {_FIELDS}, state, job FROM attempts WHERE state IN ('sending', 'accepted') ORDER BY id"  # noqa: S608 (a constant)


def _first_schema(connection: sqlite3.Connection) -> None:
    # Without a rowid, as the key is already in the order of time: one tree less to keep.
    connection.execute("""
        CREATE TABLE attempts (
            id TEXT PRIMARY KEY NOT NULL,
            generation_id TEXT NOT NULL,
            request_id TEXT NOT NULL,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            requested_model TEXT NOT NULL,
            key_name TEXT,
            user TEXT,
            images INTEGER NOT NULL,
            planned_cost_micros INTEGER,
            created REAL NOT NULL,
            state TEXT NOT NULL,
            job TEXT,
            outcome TEXT,
            charge TEXT,
            cost_micros INTEGER,
            delivered INTEGER,
            seconds REAL
        ) WITHOUT ROWID""")
    connection.execute("CREATE INDEX open_attempts ON attempts (state) WHERE state IN ('sending', 'accepted')")


MIGRATIONS: tuple[Migration, ...] = (_first_schema,)
"""Step i leads from schema i to i + 1. Append only: a step that was released never changes."""
