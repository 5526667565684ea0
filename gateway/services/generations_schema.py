"""The statements that write and read generations; the table is made with that of the attempts.

Each statement that writes takes all its rows as one JSON array of arrays; their order is that of the columns.
"""

from __future__ import annotations

_NEW = "id, request_id, key_name, endpoint, model, created, fingerprint, scope"
FIELDS = f"{_NEW}, state, ended, delivered, answer, error"

_FIRST = """json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
       json_extract(value, '$[6]'), json_extract(value, '$[7]')"""

# A second attempt finds its generation there. An Idempotency-Key that another process has claimed is an error.
BEGIN_GENERATION = f"""
INSERT INTO generations ({_NEW}, state, owner, lease_until)
SELECT {_FIRST}, 'running', :owner, :lease_until
FROM json_each(:rows) WHERE true
ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 (a constant)
BEGIN_ONE_GENERATION = f"""
INSERT INTO generations ({_NEW}, state, owner, lease_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?)
ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 (a constant)

# "WHERE true" keeps SQLite from reading ON as the condition of a join.
END = f"""
INSERT INTO generations ({_NEW}, state, ended, delivered, answer, error)
SELECT {_FIRST}, json_extract(value, '$[8]'), json_extract(value, '$[9]'), json_extract(value, '$[10]'),
       json_extract(value, '$[11]'), json_extract(value, '$[12]')
FROM json_each(:rows) WHERE true
ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended = excluded.ended, delivered = excluded.delivered,
                               answer = excluded.answer, error = excluded.error, scope = excluded.scope,
                               fingerprint = excluded.fingerprint, lease_until = NULL
WHERE generations.state = 'running'
"""  # noqa: S608 (a constant)

CLEAR = """
UPDATE attempts SET resume = NULL
WHERE generation_id IN (SELECT json_extract(value, '$[0]') FROM json_each(:rows)) AND state <> 'sending'
      AND resume IS NOT NULL
"""

DELIVERED = """
WITH told AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS reached FROM json_each(:rows))
UPDATE generations SET delivered = told.reached FROM told WHERE generations.id = told.id
"""

# "key_name IS ?": that nobody had to say who they are is an owner too.
FIND = f"SELECT {FIELDS} FROM generations WHERE id = ? AND key_name IS ?"  # noqa: S608 (a constant)
BY_ID = f"SELECT {FIELDS} FROM generations WHERE id = ?"  # noqa: S608 (a constant)
KEYED = f"SELECT {FIELDS} FROM generations WHERE scope = ?"  # noqa: S608 (a constant)
_SUBMISSION = """
SELECT id, provider, model, state, outcome, charge, cost_micros, seconds, created, job, resume, planned_cost_micros
FROM attempts WHERE generation_id = :id
"""
# Each half by an index of its own: those being sent are few, and are not yet in the index by generation.
SUBMISSIONS = f"""
{_SUBMISSION} AND state <> 'sending' UNION ALL
{_SUBMISSION} AND state = 'sending' AND state IN ('sending', 'accepted') ORDER BY id
"""
RELEASE_OLD = "UPDATE generations SET scope = NULL WHERE scope = ? AND created < ? AND state <> 'running'"

# Failures that cost nothing have let go of their scope and fingerprint: who tries again is to buy, not to be refused.
UNDELIVERED = f"""
SELECT {FIELDS} FROM generations
WHERE fingerprint = ? AND delivered = 0 AND key_name IS ? AND ended > ? ORDER BY created LIMIT 1
"""  # noqa: S608 (a constant)
CLAIM = "UPDATE generations SET delivered = 1 WHERE id = ? AND delivered = 0"

TRIM = """
UPDATE generations SET scope = NULL WHERE state <> 'running' AND rowid IN (
    SELECT rowid FROM generations WHERE key_name IS ? AND scope IS NOT NULL
    ORDER BY created DESC LIMIT -1 OFFSET ?)
"""

SWEEP_AT_ONCE = 1000
"""Rows that one transaction deletes: those who wait for a commit are not to wait long."""

# By the key, which begins with the time. What still holds a part of a budget stays until it lets go.
OLD_ATTEMPTS = f"""
DELETE FROM attempts WHERE id IN (
    SELECT id FROM attempts WHERE id < ? AND state NOT IN ('sending', 'accepted')
                                  AND (charge IS NOT 'unknown' OR held_micros = 0) LIMIT {SWEEP_AT_ONCE})
"""  # noqa: S608 (a constant)
# In the order in which they were written, up to the first that is young enough: one written late goes with the next.
OLD_GENERATIONS = f"""
DELETE FROM generations WHERE rowid IN (
    SELECT rowid FROM generations
    WHERE rowid < coalesce((SELECT rowid FROM generations WHERE created >= ? ORDER BY rowid LIMIT 1), 1 << 62)
          AND state <> 'running'
    LIMIT {SWEEP_AT_ONCE})
"""  # noqa: S608 (a constant)
OLD_ANSWERS = f"""
UPDATE generations SET answer = NULL WHERE rowid IN (
    SELECT rowid FROM generations WHERE answer IS NOT NULL AND created < ? LIMIT {SWEEP_AT_ONCE})
"""  # noqa: S608 (a constant)
OLD_KEYS = f"""
UPDATE generations SET scope = NULL WHERE rowid IN (
    SELECT rowid FROM generations
    WHERE scope IS NOT NULL AND created < ? AND state <> 'running' LIMIT {SWEEP_AT_ONCE})
"""  # noqa: S608 (a constant)
