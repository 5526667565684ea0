"""Kept responses in a SQLite file under the data directory; their pictures lie in the storage of pictures.

The file is not that of the attempts: a body of megabytes must hold up no record of a submission.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import orjson

from gateway.services.responses import KeptPicture, KeptResponse
from gateway.services.sqlite import Migration, open_database
from gateway.services.sqlite_thread import SqliteThread

FILE = "responses.sqlite3"

# "owner IS ?": that nobody had to say who they are is an owner too.
_THEIRS = "id = ? AND owner IS ? AND expires > ?"
_FIND = f"SELECT expires, body FROM responses WHERE {_THEIRS}"  # noqa: S608 (a constant)
_KNOWN = f"SELECT 1 FROM responses WHERE {_THEIRS}"  # noqa: S608 (a constant)
_PICTURES = "SELECT item, name FROM response_pictures WHERE response = ? ORDER BY position"
_OF_ITEM = """
SELECT item, name FROM response_pictures JOIN responses ON responses.id = response_pictures.response
WHERE item = ? AND owner IS ? AND expires > ? ORDER BY position
"""


class SqliteResponses:
    """`Responses` in `data_dir`/responses.sqlite3. Opening it blocks; everything else is done in a thread of its own.

    Raises StorageFull or StateUnavailable when the file cannot be had, ConfigurationError when it is of a newer
    version of imagegate.
    """

    def __init__(self, data_dir: Path) -> None:
        connection = open_database(data_dir / FILE, MIGRATIONS)
        # What a power cut takes with it are the last seconds' answers, which were delivered; waiting for the disk with
        # every one of them would buy nothing.
        connection.execute("PRAGMA synchronous = NORMAL")
        self._file = SqliteThread(connection, "responses")

    async def keep(self, response: KeptResponse) -> None:
        await self._file.run(lambda connection: _keep(connection, response))

    async def find(self, id: str, owner: str | None, now: float) -> KeptResponse | None:
        return await self._file.run(lambda connection: _find(connection, id, owner, now), reading=True)

    async def pictures(self, id: str, owner: str | None, now: float) -> tuple[KeptPicture, ...] | None:
        return await self._file.run(lambda connection: _pictures(connection, id, owner, now), reading=True)

    async def delete(self, id: str, owner: str | None, now: float) -> bool:
        return await self._file.run(lambda connection: _delete(connection, _THEIRS, id, owner, now)) > 0

    async def sweep(self, now: float) -> int:
        return await self._file.run(lambda connection: _delete(connection, "expires <= ?", now))

    async def close(self) -> None:
        await self._file.close()


def _keep(connection: sqlite3.Connection, response: KeptResponse) -> None:
    body = orjson.dumps([piece.decode() if isinstance(piece, bytes) else {"picture": piece} for piece in response.body])
    _delete(connection, "id = ?", response.id)
    row = (response.id, response.owner, response.expires, body)
    connection.execute("INSERT INTO responses (id, owner, expires, body) VALUES (?, ?, ?, ?)", row)
    connection.executemany(
        "INSERT INTO response_pictures (response, position, item, name) VALUES (?, ?, ?, ?)",
        [(response.id, position, each.item, each.name) for position, each in enumerate(response.pictures)],
    )


def _find(connection: sqlite3.Connection, id: str, owner: str | None, now: float) -> KeptResponse | None:
    row = connection.execute(_FIND, (id, owner, now)).fetchone()
    if row is None:
        return None
    body = tuple(piece.encode() if isinstance(piece, str) else piece["picture"] for piece in orjson.loads(row[1]))
    return KeptResponse(id, owner, row[0], body, _listed(connection.execute(_PICTURES, (id,))))


def _pictures(connection: sqlite3.Connection, id: str, owner: str | None, now: float) -> tuple[KeptPicture, ...] | None:
    if connection.execute(_KNOWN, (id, owner, now)).fetchone() is not None:
        return _listed(connection.execute(_PICTURES, (id,)))
    return _listed(connection.execute(_OF_ITEM, (id, owner, now))) or None


def _listed(found: sqlite3.Cursor) -> tuple[KeptPicture, ...]:
    return tuple(KeptPicture(item, name) for item, name in found)


def _delete(connection: sqlite3.Connection, where: str, *given: object) -> int:
    """Forget what `where`, a condition written here, selects with the values `given`."""
    chosen = f"SELECT id FROM responses WHERE {where}"  # noqa: S608
    connection.execute(f"DELETE FROM response_pictures WHERE response IN ({chosen})", given)  # noqa: S608
    return connection.execute(f"DELETE FROM responses WHERE {where}", given).rowcount  # noqa: S608


def _first_schema(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE responses (id TEXT PRIMARY KEY NOT NULL, owner TEXT, expires REAL NOT NULL, body BLOB NOT NULL)"
    )
    connection.execute("CREATE INDEX responses_by_time ON responses (expires)")
    connection.execute("""
        CREATE TABLE response_pictures (
            response TEXT NOT NULL,
            position INTEGER NOT NULL,
            item TEXT NOT NULL,
            name TEXT NOT NULL,
            PRIMARY KEY (response, position)
        ) WITHOUT ROWID""")
    connection.execute("CREATE INDEX response_pictures_by_item ON response_pictures (item)")


MIGRATIONS: tuple[Migration, ...] = (_first_schema,)
"""Step i leads from schema i to i + 1. Append only: a step that was released never changes."""
