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
                      planned_cost_micros, created, operation, state, charge, owner, lease_until, fence)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
       json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'),
       json_extract(value, '$[9]'), json_extract(value, '$[10]'), json_extract(value, '$[11]'),
       'sending', 'unknown', :owner, :lease_until, 1
FROM json_each(:rows)
"""

# "told" is materialized, and "+" keeps the planner off the index of open attempts: otherwise it reads all of them for
# every row of the batch, instead of one row by its key.
ACCEPT = """
WITH told AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS fence,
           json_extract(value, '$[2]') AS job, json_extract(value, '$[3]') AS resume
    FROM json_each(:rows))
UPDATE attempts SET state = 'accepted', job = told.job, resume = told.resume
FROM told
WHERE attempts.id = told.id AND attempts.fence = told.fence AND +attempts.state = 'sending'
"""

SETTLE = """
WITH told AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS fence,
           json_extract(value, '$[2]') AS state,
           json_extract(value, '$[3]') AS outcome, json_extract(value, '$[4]') AS charge,
           json_extract(value, '$[5]') AS cost_micros, json_extract(value, '$[6]') AS delivered,
           json_extract(value, '$[7]') AS seconds
    FROM json_each(:rows))
UPDATE attempts SET state = told.state, outcome = told.outcome, charge = told.charge, cost_micros = told.cost_micros,
                    delivered = told.delivered, seconds = told.seconds, lease_until = NULL
FROM told
WHERE attempts.id = told.id AND attempts.fence = told.fence AND +attempts.state IN ('sending', 'accepted')
"""

RENEW = (
    "UPDATE attempts SET lease_until = :until WHERE owner = :owner AND state IN ('sending', 'accepted')",
    "UPDATE generations SET lease_until = :until WHERE owner = :owner AND state = 'running'",
)

# What was being sent may have been done, and nobody can tell any more; what was accepted changes hands.
LEFT = "owner IS NOT :owner AND (owner IS NULL OR lease_until < :now OR owner IN (SELECT value FROM json_each(:gone)))"
INTERRUPT = f"""
UPDATE attempts SET state = 'maybe', outcome = 'interrupted', charge = 'unknown', delivered = 0, fence = fence + 1,
                    lease_until = NULL
WHERE state = 'sending' AND {LEFT}
"""  # noqa: S608 (a constant)
TAKE = f"""
UPDATE attempts SET owner = :owner, lease_until = :until, fence = fence + 1
WHERE state = 'accepted' AND {LEFT}
RETURNING id, fence, generation_id
"""  # noqa: S608 (a constant)
TAKE_GENERATIONS = f"""
UPDATE generations SET owner = :owner, lease_until = :until WHERE state = 'running' AND {LEFT} RETURNING id
"""  # noqa: S608 (a constant)
OWNERS = """
SELECT owner FROM attempts WHERE state IN ('sending', 'accepted') UNION SELECT owner FROM generations
WHERE state = 'running'
"""

UNSETTLED = (
    f"SELECT {_FIELDS}, operation, state, job, resume FROM attempts WHERE state IN ('sending', 'accepted') ORDER BY id"  # noqa: S608 (a constant)
)


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


def _journal(connection: sqlite3.Connection) -> None:
    for column in (
        "operation TEXT",
        "owner TEXT",
        "lease_until REAL",
        "fence INTEGER NOT NULL DEFAULT 1",
        "resume TEXT",
    ):
        connection.execute(f"ALTER TABLE attempts ADD COLUMN {column}")
    connection.execute("CREATE INDEX attempts_by_generation ON attempts (generation_id)")
    connection.execute("""
        CREATE TABLE generations (
            id TEXT UNIQUE NOT NULL,
            request_id TEXT NOT NULL,
            key_name TEXT,
            endpoint TEXT NOT NULL,
            model TEXT NOT NULL,
            created REAL NOT NULL,
            fingerprint TEXT,
            scope TEXT,
            state TEXT NOT NULL,
            ended REAL,
            delivered INTEGER NOT NULL DEFAULT 0,
            answer TEXT,
            error TEXT,
            owner TEXT,
            lease_until REAL
        )""")
    connection.execute("CREATE INDEX running_generations ON generations (state) WHERE state = 'running'")
    connection.execute("CREATE INDEX generations_by_time ON generations (created)")
    connection.execute("CREATE INDEX answers_by_time ON generations (created) WHERE answer IS NOT NULL")
    connection.execute("CREATE UNIQUE INDEX idempotency_keys ON generations (scope) WHERE scope IS NOT NULL")
    connection.execute(
        "CREATE INDEX idempotency_keys_by_owner ON generations (key_name, created) WHERE scope IS NOT NULL"
    )
    connection.execute("CREATE INDEX undelivered ON generations (fingerprint) WHERE delivered = 0")


def _ledger(connection: sqlite3.Connection) -> None:
    # What an attempt takes of its key's budget, and of which span; which other gateway told of it.
    for column in ("held_micros INTEGER", "held_in TEXT", "origin TEXT"):
        connection.execute(f"ALTER TABLE attempts ADD COLUMN {column}")
    connection.execute("""
        CREATE TABLE spending (
            key_name TEXT NOT NULL,
            span TEXT NOT NULL,
            micros INTEGER NOT NULL,
            PRIMARY KEY (key_name, span)
        ) WITHOUT ROWID""")
    connection.execute("""
        CREATE TABLE requests (
            id TEXT PRIMARY KEY NOT NULL,
            request_id TEXT NOT NULL,
            generation_id TEXT,
            key_name TEXT,
            model TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            provider TEXT,
            status INTEGER NOT NULL,
            code TEXT,
            images INTEGER NOT NULL,
            megapixels REAL NOT NULL,
            bytes_out INTEGER NOT NULL,
            created REAL NOT NULL,
            seconds REAL NOT NULL,
            origin TEXT
        ) WITHOUT ROWID""")


MIGRATIONS: tuple[Migration, ...] = (_first_schema, _journal, _ledger)
"""Step i leads from schema i to i + 1. Append only: a step that was released never changes."""
