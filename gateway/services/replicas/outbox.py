"""What is to be told to other replicas, in the journal's own file: made in the commit of what it tells, and kept until
Redis has it, so that an outage loses nothing.

Triggers make it, so that no statement can forget it. A row names what changed; what is told is how that stands when it
is told. A name is told once for several changes, and again where it changes meanwhile.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson

from gateway.services.attempts_schema import MIGRATIONS
from gateway.services.attempts_sqlite import FILE
from gateway.services.replicas.records import ATTEMPT, GENERATION, REQUEST
from gateway.services.sqlite import open_database, translated
from gateway.services.sqlite_thread import SqliteThread

T = TypeVar("T")

Kind = Literal["spending", "generation", "attempt", "request"]

MOST_ROWS = 100_000
"""Of what waits to be told, before paid work is refused: some 10 MB, as rows are names."""
KEPT_SECONDS = 60.0
"""How long what was told can be told again: longer than what a Redis that changes its master may lose."""
AT_ONCE = 200
RETOLD_AT_ONCE = 1000

# Not OR REPLACE: the conflict clause of the statement that fired a trigger would go before it.
_PUT = "DELETE FROM outbox WHERE kind = '{0}' AND id = {1}; INSERT INTO outbox (kind, id) VALUES ('{0}', {1});"
# What others told is not told again, but for what this replica has taken over from them.
_OWN = "(NEW.origin IS NULL OR EXISTS (SELECT 1 FROM followed WHERE generation_id = NEW.generation_id))"
_SPENT = _PUT.format("spending", "NEW.key_name || char(10) || NEW.span")
TRIGGERS = {
    "tell_new_attempt": f"AFTER INSERT ON attempts WHEN {_OWN} BEGIN {_PUT.format('attempt', 'NEW.id')} END",
    "tell_attempt": "AFTER UPDATE OF state, charge, cost_micros ON attempts "
    f"WHEN {_OWN} BEGIN {_PUT.format('attempt', 'NEW.id')} END",
    "tell_new_generation": f"AFTER INSERT ON generations BEGIN {_PUT.format('generation', 'NEW.id')} END",
    "tell_generation": "AFTER UPDATE OF state, delivered, scope ON generations "
    f"BEGIN {_PUT.format('generation', 'NEW.id')} END",
    "tell_request": f"AFTER INSERT ON requests WHEN NEW.origin IS NULL BEGIN {_PUT.format('request', 'NEW.id')} END",
    "tell_new_spending": f"AFTER INSERT ON spending BEGIN {_SPENT} END",
    "tell_spending": f"AFTER UPDATE ON spending BEGIN {_SPENT} END",
}

_COUNT = "SELECT count(*) FROM outbox WHERE told IS NULL AND again = 0"
_WAITING = "SELECT seq, kind, id FROM outbox WHERE told IS NULL ORDER BY again, seq LIMIT ?"
_NAMED = """
SELECT outbox.seq, outbox.kind, outbox.id FROM json_each(?) AS asked JOIN outbox
ON outbox.kind = json_extract(asked.value, '$[0]') AND outbox.id = json_extract(asked.value, '$[1]')
WHERE told IS NULL ORDER BY seq
"""
_ATTEMPT = f"""
SELECT {", ".join(ATTEMPT)}, fence AS lease, heard,
       coalesce((SELECT fence FROM followed WHERE followed.generation_id = attempts.generation_id), 1) AS taken
FROM attempts WHERE id = ?
"""  # noqa: S608 (a constant)
_GENERATION = f"""
SELECT {", ".join(GENERATION)}, coalesce((SELECT fence FROM followed WHERE generation_id = generations.id), 1) AS taken
FROM generations WHERE id = ?
"""  # noqa: S608 (a constant)
_REQUEST = f"SELECT {', '.join(REQUEST)} FROM requests WHERE id = ?"  # noqa: S608 (a constant)
_SPENDING = "SELECT key_name, span, micros FROM spending WHERE key_name || char(10) || span = ?"
_READ: dict[str, str] = {
    "attempt": _ATTEMPT,
    "generation": _GENERATION,
    "request": _REQUEST,
    "spending": _SPENDING,
}

_OWN_IDS: tuple[tuple[Kind, str], ...] = (
    ("spending", "SELECT key_name || char(10) || span AS id FROM spending"),
    ("generation", "SELECT id FROM generations"),
    (
        "attempt",
        "SELECT id FROM attempts WHERE origin IS NULL OR generation_id IN (SELECT generation_id FROM followed)",
    ),
    ("request", "SELECT id FROM requests WHERE origin IS NULL"),
)


@dataclass(frozen=True, slots=True)
class Message:
    """Something that is to be told: as it stands, None where it is gone since."""

    seq: int
    kind: Kind
    id: str
    row: dict[str, Any] | None


class Outbox:
    """The outbox of the replica whose records lie in `data_dir`. Opening it blocks; the rest is done in a thread.

    Raises StorageFull or StateUnavailable when the file cannot be had.
    """

    def __init__(self, data_dir: Path) -> None:
        connection = open_database(data_dir / FILE, MIGRATIONS)
        try:
            # What is forgotten of what was told is told again. The journal's own commits wait for the disk.
            connection.execute("PRAGMA synchronous = NORMAL")
            for name, text in TRIGGERS.items():
                connection.execute(f"CREATE TRIGGER IF NOT EXISTS {name} {text}")
        except sqlite3.Error as error:
            connection.close()
            raise translated(error) from error
        self._file = SqliteThread(connection, "outbox")
        self.waiting = 0
        """Names that were not told yet, as of the last look."""

    async def due(self, names: Sequence[tuple[Kind, str]] | None = None) -> list[Message]:
        """What is to be told, in its order: `names` of it, or the oldest."""

        def read(connection: sqlite3.Connection) -> list[Message]:
            if names is None:
                found = connection.execute(_WAITING, (AT_ONCE,)).fetchall()
            else:
                found = connection.execute(_NAMED, (orjson.dumps(names).decode(),)).fetchall()
            return [Message(seq, kind, id, row_of(connection, kind, id)) for seq, kind, id in found]

        return await self.run(read, reading=True)

    async def told(self, seqs: Sequence[int]) -> None:
        """Redis has these."""
        listed = orjson.dumps(seqs).decode()
        now = time.time()

        def note(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE outbox SET told = ? WHERE seq IN (SELECT value FROM json_each(?))", (now, listed)
            )

        await self.run(note)

    async def look(self) -> int:
        """Forget what was told long ago, and return how many names wait."""

        def tidied(connection: sqlite3.Connection) -> int:
            connection.execute(
                "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE told < ? ORDER BY seq LIMIT ?)",
                (time.time() - KEPT_SECONDS, 5 * RETOLD_AT_ONCE),
            )
            connection.execute(
                "DELETE FROM followed WHERE NOT EXISTS (SELECT 1 FROM attempts"
                " WHERE attempts.generation_id = followed.generation_id AND state <> 'sending')"
                " AND NOT EXISTS (SELECT 1 FROM generations WHERE id = followed.generation_id)"
            )
            return int(connection.execute(_COUNT).fetchone()[0])

        self.waiting = await self.run(tidied)
        return self.waiting

    async def again(self) -> None:
        """Have told again what was told a moment ago: the server that has it may be another than it was."""
        await self.run(
            lambda connection: connection.execute("UPDATE outbox SET told = NULL, again = 1 WHERE told IS NOT NULL")
        )

    async def retell(self, after: tuple[int, str]) -> tuple[int, str] | None:
        """Have everything told again, piece by piece: this one is behind `after`, at first (0, ""). What the next one
        is behind; None at the end."""

        def queue(connection: sqlite3.Connection) -> tuple[int, str] | None:
            index, last = after
            if index >= len(_OWN_IDS):
                return None
            kind, statement = _OWN_IDS[index]
            ids = [
                row[0]
                for row in connection.execute(
                    f"SELECT id FROM ({statement}) WHERE id > ? ORDER BY id LIMIT ?",  # noqa: S608 (constants)
                    (last, RETOLD_AT_ONCE),
                )
            ]
            connection.executemany(
                "INSERT INTO outbox (kind, id, again) VALUES (?, ?, 1) ON CONFLICT (kind, id) DO "
                "UPDATE SET told = NULL",
                [(kind, id) for id in ids],
            )
            return (index, ids[-1]) if len(ids) == RETOLD_AT_ONCE else (index + 1, "")

        return await self.run(queue)

    async def mark(self, name: str) -> Any:
        """What is noted under a name, as JSON; None where nothing is."""
        row = await self.run(
            lambda connection: connection.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone(),
            reading=True,
        )
        return None if row is None else orjson.loads(row[0])

    async def note(self, name: str, value: Any) -> None:
        """Note something under a name."""
        await self.run(lambda connection: put_mark(connection, name, value))

    async def close(self) -> None:
        await self._file.close()

    async def run(self, work: Callable[[sqlite3.Connection], T], *, reading: bool = False) -> T:
        """As `SqliteThread.run`."""
        return await self._file.run(work, reading=reading)


def put_mark(connection: sqlite3.Connection, name: str, value: Any) -> None:
    """Note something under a name, in the transaction of the caller."""
    text = orjson.dumps(value).decode()
    connection.execute("INSERT OR REPLACE INTO marks (name, value) VALUES (?, ?)", (name, text))


def row_of(connection: sqlite3.Connection, kind: Kind, id: str) -> dict[str, Any] | None:
    """What a name stands for, by column; None where it is gone."""
    found = connection.execute(_READ[kind], (id,))
    row = found.fetchone()
    return None if row is None else dict(zip((each[0] for each in found.description), row, strict=True))


def forget(data_dir: Path) -> None:
    """There are no other replicas any more: what changes is to be told to nobody. Blocks. Raises StorageFull or
    StateUnavailable."""
    connection = open_database(data_dir / FILE, MIGRATIONS)
    with contextlib.closing(connection):
        try:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tell_attempt'").fetchone() is None:
                return
            for name in TRIGGERS:
                connection.execute(f"DROP TRIGGER IF EXISTS {name}")
            connection.execute("DELETE FROM outbox")
            connection.execute("DELETE FROM marks")
        except sqlite3.Error as error:
            raise translated(error) from error
