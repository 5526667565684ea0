"""The state file: several connections of one process to it, and another process that comes and goes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.services.sqlite import open_database
from normalization.errors import StateUnavailable


def test_a_second_connection_leaves_the_first_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    with contextlib.closing(open_database(path, ())) as first, contextlib.closing(open_database(path, ())) as second:
        first.execute("CREATE TABLE kept (value)")
        # The last connection of all deletes the log, and nobody else may take itself for that.
        visit = f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('SELECT * FROM kept'); c.close()"  # noqa: S608
        subprocess.run([sys.executable, "-c", visit], check=True)  # noqa: S603 - our own interpreter
        first.execute("INSERT INTO kept VALUES (1)")
        seen = f"import sqlite3; print(sqlite3.connect({str(path)!r}).execute('SELECT value FROM kept').fetchall())"  # noqa: S608
        said = subprocess.run([sys.executable, "-c", seen], check=True, capture_output=True, text=True)  # noqa: S603
        assert said.stdout.strip() == "[(1,)]"
        assert second.execute("SELECT value FROM kept").fetchall() == [(1,)]


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "state.sqlite3").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateUnavailable, match="symbolic links"):
        open_database(tmp_path / "state.sqlite3", ())


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StateUnavailable) as refused:
        open_database(path, ())
    assert refused.value.message == f"the state file {path} cannot be opened: file is not a database"
    assert path.read_bytes() == b"garbage" * 1000
