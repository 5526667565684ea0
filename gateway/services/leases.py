"""Who works on what is under way: a process holds it by a lease, and proves that it lives by a file that it has locked.

The system lets go of the lock when the process ends, however it ends, so that what a process on this machine left
behind is known at once; the lease is for one that is still there and does nothing any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3
from pathlib import Path

import orjson

from gateway.services.attempts_schema import INTERRUPT, OWNERS, RENEW, TAKE, TAKE_GENERATIONS
from gateway.services.attempts_writer import LEASE_SECONDS
from gateway.services.generations import Orphan, Submission
from gateway.services.generations_rows import generation_of
from gateway.services.generations_schema import BY_ID, SUBMISSIONS
from gateway.services.sqlite import transaction
from normalization.errors import StateUnavailable

FOLDER = "owners"
_OWNER = re.compile(r"[0-9A-Z]{26}")
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class Life:
    """This process, as `owner`, for as long as it lives. Raises StateUnavailable where no file can be made."""

    def __init__(self, data_dir: Path, owner: str) -> None:
        self.owner = owner
        self._folder = data_dir / FOLDER
        self._path = self._folder / owner
        draft = self._folder / f"{owner}.new"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._file = os.open(draft, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            # Locked before it has its name: nobody ever finds it unlocked while we live.
            fcntl.flock(self._file, fcntl.LOCK_EX)
            draft.rename(self._path)
            # Whoever was killed with nothing under way has left a file that nobody would ask for again.
            self.gone([name for name in os.listdir(self._folder) if _OWNER.fullmatch(name)])
        except OSError as error:
            raise StateUnavailable(f"{self._folder} cannot be used: {error.strerror}") from error

    def gone(self, owners: list[str]) -> list[str]:
        """Those of the owners whose process has ended."""
        return [owner for owner in owners if owner != self.owner and not self._lives(owner)]

    def end(self) -> None:
        """Leave; what is still under way is anybody's."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._file)

    def _lives(self, owner: str) -> bool:
        path = self._folder / owner
        try:
            file = os.open(path, _FLAGS)
        except FileNotFoundError:
            return False
        except OSError:
            # We cannot tell, as where too many files are open: its work is not ours to take before its lease is over.
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except OSError:
            return True
        finally:
            os.close(file)
        return False


def interrupt(connection: sqlite3.Connection, life: Life, now: float) -> int:
    """Settle as `maybe` what nobody sends any more, and return how many submissions that were."""
    found = connection.execute(INTERRUPT, _left(connection, life, now)).rowcount
    return max(0, found)


def take(connection: sqlite3.Connection, life: Life, now: float) -> tuple[list[Orphan], dict[str, int]]:
    """Take over what others left under way: the generations, and the new fences of the attempts."""
    left = _left(connection, life, now)
    with transaction(connection):
        connection.execute(INTERRUPT, left)
        taken = connection.execute(TAKE, left).fetchall()
        ids = [row[0] for row in connection.execute(TAKE_GENERATIONS, left).fetchall()]
    ids += dict.fromkeys(generation for _, _, generation in taken if generation not in ids)
    return [_orphan(connection, id) for id in ids], {id: fence for id, fence, _ in taken}


def renew(connection: sqlite3.Connection, life: Life, until: float) -> None:
    """Hold what this process works on `until` then (epoch seconds)."""
    with transaction(connection):
        for statement in RENEW:
            connection.execute(statement, {"owner": life.owner, "until": until})


def _left(connection: sqlite3.Connection, life: Life, now: float) -> dict[str, object]:
    owners = [row[0] for row in connection.execute(OWNERS) if row[0] is not None]
    gone = orjson.dumps(life.gone(owners)).decode()
    return {"owner": life.owner, "now": now, "until": now + LEASE_SECONDS, "gone": gone}


def _orphan(connection: sqlite3.Connection, id: str) -> Orphan:
    row = connection.execute(BY_ID, (id,)).fetchone()
    submissions = tuple(Submission(*each) for each in connection.execute(SUBMISSIONS, {"id": id}))
    return Orphan(id, None if row is None else generation_of(row).new, submissions)
