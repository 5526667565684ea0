"""A SQLite file as the house keeps it: private, durable, its schema brought up to date step by step."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from normalization.errors import ConfigurationError, OperatorError, StateUnavailable, StorageFull

BUSY_SECONDS = 5.0
"""How long to wait for another process that writes to the same file."""
PRESENCE_SECONDS = 0.05
"""Between looks at whether the file is where it was: one at each commit is a tenth of what a submission waits."""

Migration = Callable[[sqlite3.Connection], None]


def open_database(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """A connection in autocommit mode, for one thread at a time. A commit survives a power cut (WAL, synchronous=FULL).

    `migrations[i]` leads from schema version i to i + 1. The file is made 0600, its directory 0700 when it is new.
    Raises StorageFull, StateUnavailable, or ConfigurationError when the file's schema is newer than `migrations`.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    except OSError as error:
        raise StateUnavailable(f"the state file {path} cannot be opened: {error.strerror}") from error
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unopened(error, path) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection, migrations, path)
    except sqlite3.Error as error:
        connection.close()
        raise _unopened(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _make(path: Path) -> None:
    """Make the file where there is none. One that is there is not opened: to close it again would take from this
    process the locks that its other connections hold on it, and another process would delete the log under them."""
    try:
        # SQLite would make the file readable to all, and gives its companions (-wal, -shm) the file's own mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


def _migrate(connection: sqlite3.Connection, migrations: Sequence[Migration], path: Path) -> None:
    # One transaction, begun for writing: of several processes that start at once, one migrates, the rest find it done.
    with transaction(connection):
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(migrations):
            raise ConfigurationError(
                f"{path} has schema version {version}, made by a newer imagegate; this one knows up to "
                f"{len(migrations)}: run the newer one, or point server.data_dir elsewhere"
            )
        for step in migrations[version:]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, *, reading: bool = False) -> Iterator[None]:
    """All of what the block writes, or nothing; where it is only `reading`, nobody who writes waits for it.

    SQLite ends a transaction by itself after some failures and not after others (https://www.sqlite.org/lang_transaction.html):
    one that were left open would refuse every later one on this connection, long after the disk has room again.
    """
    connection.execute("BEGIN" if reading else "BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def presence(path: Path) -> Callable[[], None]:
    """A check that raises sqlite3.OperationalError once the file that is at `path` now was deleted or replaced: SQLite
    goes on writing to it, and nobody ever reads that."""
    about = path.stat()
    looked = -math.inf

    def check() -> None:
        nonlocal looked
        if time.monotonic() - looked < PRESENCE_SECONDS:
            return
        try:
            now = path.stat()
        except FileNotFoundError:
            raise sqlite3.OperationalError(f"{path} was deleted while it was in use; start the gateway anew") from None
        except OSError:  # whether it is there cannot be told
            return
        if (now.st_dev, now.st_ino) != (about.st_dev, about.st_ino):
            raise sqlite3.OperationalError(f"{path} was replaced while it was in use; start the gateway anew")
        looked = time.monotonic()

    return check


def _unopened(error: sqlite3.Error, path: Path) -> OperatorError:
    """`translated`, for whoever starts the gateway: with the file, and what SQLite says of it."""
    kind = translated(error)
    return type(kind)(f"the state file {path} cannot be opened: {error}", detail=kind.detail)


def translated(error: sqlite3.Error) -> OperatorError:
    """What a failure of SQLite's is to the client and the operator."""
    code = getattr(error, "sqlite_errorcode", None)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFull("the gateway's disk is full", detail=f"{name}: {error}")
    return StateUnavailable("the gateway cannot keep records now", detail=f"{name}: {error}")
