"""What is to be entered into the ledger, noted in a file first: a commit waits for others, and a process can be killed.

A note costs one write and no wait for the disk: what the system was given outlives the process, however that ends. The
entries of one that is gone are found in its file by the next that starts, and are entered by their ids, so that none
counts twice. As with leases, a lock that the system lets go of tells whether a process lives.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import orjson

from gateway.services.attempts import new_id
from gateway.services.ledger import Entry

log = logging.getLogger("imagegate.ledger")

FOLDER = "requests"
PAGE_BYTES = 1024 * 1024
"""After so much a new file is begun, and the one before the last is let go of: what stands there was entered long
ago."""
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class Notebook:
    """This process's notes under `data_dir`, for one event loop. Where it cannot write, nothing is noted and that is
    logged once."""

    def __init__(self, data_dir: Path, *, page_bytes: int = PAGE_BYTES) -> None:
        self._folder = data_dir / FOLDER
        self._page_bytes = page_bytes
        self._pages: list[tuple[Path, int]] = []
        self._left = 0
        self._warned = False

    def note(self, entry: Entry) -> None:
        """Note what is about to be entered."""
        # A line break before it as well: one that was cut short spoils no other.
        line = b"\n" + orjson.dumps(entry) + b"\n"
        try:
            if self._left < len(line):
                self._turn()
            self._left -= len(line)
            os.write(self._pages[-1][1], line)
        except OSError as error:
            if not self._warned:
                log.error("requests cannot be noted in %s: %s", self._folder, error.strerror)
            self._warned = True

    def left(self) -> Iterator[tuple[Path, tuple[Entry, ...]]]:
        """The files that processes which are gone have left, each with its entries; `drop` it once they are entered."""
        for path in sorted(self._folder.glob("*.notes")):
            try:
                file = os.open(path, _FLAGS)
            except OSError:
                continue  # another process has dropped it
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                entries = tuple(_read(path.read_bytes()))
            except OSError:
                continue  # its process lives
            finally:
                os.close(file)
            yield path, entries

    def drop(self, path: Path) -> None:
        """Let go of a file that was left."""
        path.unlink(missing_ok=True)

    def close(self, *, entered: bool) -> None:
        """Note no more. `entered`: all that was noted is in the ledger; else it is left for the next start."""
        while self._pages:
            self._tear(entered=entered)
        self._left = 0

    def _turn(self) -> None:
        """Begin a new file."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{new_id()}.notes"
        draft = path.with_suffix(".new")
        file = os.open(draft, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Locked before it has its name: nobody ever finds it unlocked while we live.
            fcntl.flock(file, fcntl.LOCK_EX)
            draft.rename(path)
        except OSError:
            os.close(file)
            raise
        self._pages.append((path, file))
        self._left = self._page_bytes
        if len(self._pages) > 2:
            self._tear(entered=True)

    def _tear(self, *, entered: bool) -> None:
        """Let go of the oldest file."""
        path, file = self._pages.pop(0)
        try:
            if entered:
                path.unlink(missing_ok=True)
        finally:
            os.close(file)


def _read(notes: bytes) -> Iterator[Entry]:
    for line in notes.splitlines():
        try:
            if line:
                yield Entry(**orjson.loads(line))
        except (TypeError, ValueError):
            log.warning("a note of a request was cut short and is left out")
