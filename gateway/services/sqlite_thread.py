"""A SQLite file that a thread of its own works on: the event loop waits for no disk, and nobody else for this file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gateway.services.sqlite import transaction, translated
from normalization.errors import StateUnavailable

T = TypeVar("T")


class SqliteThread:
    """The thread that owns `connection` from now on; `name` is what it is called."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T], *, reading: bool = False) -> T:
        """What `work` finds, in a transaction of its own, after all that was asked for before; where it is only
        `reading` nobody who writes waits for it, nor it for them. Raises StorageFull or StateUnavailable."""
        if self._closed:
            raise StateUnavailable("the gateway is shutting down; try again in a moment")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work, reading)

    async def close(self) -> None:
        """Do what was asked for, and let go of the file."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)

    def _transact(self, work: Callable[[sqlite3.Connection], T], reading: bool) -> T:
        try:
            with transaction(self._connection, reading=reading):
                return work(self._connection)
        except sqlite3.Error as error:
            raise translated(error) from error
