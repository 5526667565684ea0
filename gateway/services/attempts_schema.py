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

COLUMNS = f"{_FIELDS}, operation, held_micros, held_in, allotted_micros"
"""Of an attempt that begins, in the order of its row. `held_micros`: what it takes of its key's budgets;
`allotted_micros` and `held_in`: the budget that it must fit in, and which span of it; NULL where the key has none."""
_COUNT = COLUMNS.count(",") + 1

_INTO = f"INSERT INTO attempts ({COLUMNS}, state, charge, owner, lease_until, fence)"
# json_extract by position, not by name: the names would travel with every row.
_EXTRACTED = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(_COUNT))

# Rows that their budget has no room for are left out, silently: see `_budgets`.
BEGIN = f"{_INTO} SELECT {_EXTRACTED}, 'sending', 'unknown', :owner, :lease_until, 1 FROM json_each(:rows)"  # noqa: S608 (a constant)
BEGIN_ONE = f"{_INTO} VALUES ({', '.join('?' * _COUNT)}, 'sending', 'unknown', ?, ?, 1)"

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
                    delivered = told.delivered, seconds = told.seconds, lease_until = NULL,
                    held_micros = CASE
                        WHEN told.charge = 'none' OR told.state IN ('refused', 'not_sent') THEN 0
                        WHEN told.charge = 'charged' THEN coalesce(told.cost_micros, planned_cost_micros, 0)
                        ELSE held_micros END
FROM told
WHERE attempts.id = told.id AND attempts.fence = told.fence AND +attempts.state IN ('sending', 'accepted')
"""

RENEW = (
    "UPDATE attempts SET lease_until = :until WHERE owner = :owner AND state IN ('sending', 'accepted')",
    "UPDATE generations SET lease_until = :until WHERE owner = :owner AND state = 'running'",
)

# What was being sent may have been done, and nobody can tell any more; what was accepted changes hands. The states are
# named twice because SQLite takes the index of open attempts for no less.
OPEN = "state IN ('sending', 'accepted')"
LEFT = "owner IS NOT :owner AND (owner IS NULL OR lease_until < :now OR owner IN (SELECT value FROM json_each(:gone)))"
INTERRUPT = f"""
UPDATE attempts SET state = 'maybe', outcome = 'interrupted', delivered = 0, fence = fence + 1, lease_until = NULL,
                    charge = CASE planned_cost_micros WHEN 0 THEN 'none' ELSE 'unknown' END
WHERE state = 'sending' AND {OPEN} AND {LEFT}
"""  # noqa: S608 (a constant)
TAKE = f"""
UPDATE attempts SET owner = :owner, lease_until = :until, fence = fence + 1
WHERE state = 'accepted' AND {OPEN} AND {LEFT}
RETURNING id, fence, generation_id
"""  # noqa: S608 (a constant)
TAKE_GENERATIONS = f"""
UPDATE generations SET owner = :owner, lease_until = :until WHERE state = 'running' AND {LEFT} RETURNING id
"""  # noqa: S608 (a constant)
OWNERS = """
SELECT owner FROM attempts WHERE state IN ('sending', 'accepted') UNION SELECT owner FROM generations
WHERE state = 'running'
"""

UNKNOWN = "state NOT IN ('sending', 'accepted') AND charge = 'unknown' AND held_micros > 0"
"""Of attempts that are over and of which nobody knows what they cost: they hold what they were planned to cost."""

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
    # `origin`: which other gateway told of it.
    for column in ("held_micros INTEGER NOT NULL DEFAULT 0", "held_in TEXT", "allotted_micros INTEGER", "origin TEXT"):
        connection.execute(f"ALTER TABLE attempts ADD COLUMN {column}")
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
    _budgets(connection)
    _lighter_beginnings(connection)


def _budgets(connection: sqlite3.Connection) -> None:
    """`spending` is what the keys' attempts hold in a span of time, kept by the database itself: no statement that
    begins, settles or lets go of an attempt can forget it. A row is there once a budget asked for it."""
    connection.execute("""
        CREATE TABLE spending (
            key_name TEXT NOT NULL,
            span TEXT NOT NULL,
            micros INTEGER NOT NULL,
            PRIMARY KEY (key_name, span)
        ) WITHOUT ROWID""")
    connection.execute("""
        UPDATE attempts SET held_micros = CASE charge WHEN 'none' THEN 0
            WHEN 'charged' THEN coalesce(cost_micros, planned_cost_micros, 0) ELSE coalesce(planned_cost_micros, 0) END
        WHERE key_name IS NOT NULL""")
    # Of the rows of one statement each sees what those before it have taken. Without a row in `spending` none fits.
    connection.execute("""
        CREATE TRIGGER within_budget BEFORE INSERT ON attempts WHEN NEW.allotted_micros IS NOT NULL
        BEGIN
            SELECT RAISE(IGNORE) WHERE NOT coalesce((
                SELECT micros + NEW.held_micros <= NEW.allotted_micros FROM spending
                WHERE key_name = NEW.key_name AND span = NEW.held_in), 0);
        END""")
    spans = "'total', strftime('%Y-%m', {0}, 'unixepoch'), strftime('%Y-%m-%d', {0}, 'unixepoch')"
    taken = f"""
        UPDATE spending SET micros = micros + {{0}}
        WHERE key_name = NEW.key_name AND span IN ({spans.format("CAST(NEW.created AS INTEGER)")});
        END"""  # noqa: S608 (a constant)
    whose = "NEW.key_name IS NOT NULL AND NEW.origin IS NULL"
    connection.execute(f"""
        CREATE TRIGGER taken AFTER INSERT ON attempts WHEN NEW.held_micros <> 0 AND {whose}
        BEGIN {taken.format("NEW.held_micros")}""")
    connection.execute(f"""
        CREATE TRIGGER taken_otherwise AFTER UPDATE OF held_micros ON attempts
        WHEN NEW.held_micros <> OLD.held_micros AND {whose}
        BEGIN {taken.format("NEW.held_micros - OLD.held_micros")}""")
    connection.execute(f"CREATE INDEX unknown_attempts ON attempts (created) WHERE {UNKNOWN}")


def _lighter_beginnings(connection: sqlite3.Connection) -> None:
    """Leave to a settlement or an end, for which nobody waits, what a beginning need not write."""
    for index in ("attempts_by_generation", "generations_by_time", "undelivered"):
        connection.execute(f"DROP INDEX {index}")
    connection.execute("CREATE INDEX attempts_by_generation ON attempts (generation_id) WHERE state <> 'sending'")
    connection.execute(
        "CREATE INDEX undelivered ON generations (fingerprint) WHERE delivered = 0 AND ended IS NOT NULL"
    )


def _replicas(connection: sqlite3.Connection) -> None:
    # What is to be told to other replicas, by name alone: what it says stands in its own table. `told`: epoch seconds
    # of when it was; `again`: it was told before, and the one who was told has forgotten it.
    connection.execute("""
        CREATE TABLE outbox (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            id TEXT NOT NULL,
            told REAL,
            again INTEGER NOT NULL DEFAULT 0,
            UNIQUE (kind, id)
        )""")
    connection.execute("CREATE INDEX outbox_waiting ON outbox (again, seq) WHERE told IS NULL")
    # The order of the telling by which another replica wrote the row; NULL = none did.
    connection.execute("ALTER TABLE attempts ADD COLUMN heard TEXT")
    # Generations of other replicas that this one goes on with, and by which fence.
    connection.execute(
        "CREATE TABLE followed (generation_id TEXT PRIMARY KEY NOT NULL, fence INTEGER NOT NULL) WITHOUT ROWID"
    )
    connection.execute("CREATE TABLE marks (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID")


MIGRATIONS: tuple[Migration, ...] = (_first_schema, _journal, _ledger, _replicas)
"""Step i leads from schema i to i + 1. Append only: a step that was released never changes."""
