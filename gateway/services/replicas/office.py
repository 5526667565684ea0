"""A replica's name, which lies beside its records, and what one of its processes does for all of them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from gateway.services.attempts import new_id
from normalization.errors import StateUnavailable

FILE = "replica"
_ID = re.compile(r"[0-9A-Z]{26}")


def replica_id(data_dir: Path) -> str:
    """The name of the replica whose records lie in `data_dir`; made at its first start. Blocks. Raises
    StateUnavailable."""
    path = data_dir / FILE
    try:
        with contextlib.suppress(FileNotFoundError):
            found = path.read_text().strip()
            if _ID.fullmatch(found):
                return found
        draft = path.with_name(f"{FILE}.{secrets.token_hex(8)}")
        draft.write_text(new_id())
        # A link fails where the name is there: of several processes that start at once, one names the replica.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
        return path.read_text().strip()
    except OSError as error:
        raise StateUnavailable(f"{path} cannot be used: {error.strerror}") from error


class Office:
    """Held by one process of those that share a data directory; the system gives it on when that one ends. `gone`
    says which of them have ended."""

    def __init__(self, data_dir: Path, gone: Callable[[list[str]], list[str]]) -> None:
        self.gone = gone
        self._path = data_dir / "replica.lock"
        self._file: int | None = None

    def mine(self) -> bool:
        """Whether it is this process's, now or from now on."""
        if self._file is not None:
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._file = file
        return True

    @property
    def held(self) -> bool:
        return self._file is not None

    def leave(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
