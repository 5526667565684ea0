"""Generations in the file of the attempts, and in its commits."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

from gateway.services.attempts import new_id
from gateway.services.attempts_sqlite import SqliteAttempts
from gateway.services.budgets import dollars
from gateway.services.budgets_sqlite import let_go
from gateway.services.generations import Ages, Ended, Generation, NewGeneration, Submission
from gateway.services.generations_rows import ended_row, generation_of
from gateway.services.generations_schema import (
    CLAIM,
    FIND,
    KEYED,
    OLD_ANSWERS,
    OLD_ATTEMPTS,
    OLD_GENERATIONS,
    OLD_KEYS,
    RELEASE_OLD,
    SUBMISSIONS,
    SWEEP_AT_ONCE,
    TRIM,
    UNDELIVERED,
)
from gateway.services.ledger_schema import OLD_REQUESTS

log = logging.getLogger("imagegate.attempts")


class SqliteGenerations:
    """`Generations` through the writer of `attempts`."""

    def __init__(self, attempts: SqliteAttempts) -> None:
        self._attempts = attempts

    async def end(self, new: NewGeneration, ended: Ended) -> None:
        self._attempts.write_later(self._attempts.next.ended, (ended_row(new, ended), None))
        if ended.jobs:
            self._attempts.write_later(self._attempts.next.cleared, ((new.id,), None))

    async def delivered(self, id: str, *, reached: bool) -> None:
        self._attempts.write_later(self._attempts.next.delivered, ((id, int(reached)), None))

    async def find(self, id: str, key_name: str | None) -> Generation | None:
        return await self._one(FIND, id, key_name)

    async def submissions(self, id: str) -> Sequence[Submission]:
        return await self._attempts.ask(
            lambda connection: [Submission(*row) for row in connection.execute(SUBMISSIONS, {"id": id})]
        )

    async def keyed(self, scope: str, since: float) -> Generation | None:
        def look(connection: sqlite3.Connection) -> Generation | None:
            row = connection.execute(KEYED, (scope,)).fetchone()
            found = None if row is None else generation_of(row)
            if found is None or found.new.created >= since or found.status == "running":
                return found
            connection.execute(RELEASE_OLD, (scope, since))
            return None

        return await self._attempts.ask(look)

    async def undelivered(self, fingerprint: str, key_name: str | None, since: float) -> Generation | None:
        def look(connection: sqlite3.Connection) -> Generation | None:
            row = connection.execute(UNDELIVERED, (fingerprint, key_name, since)).fetchone()
            if row is None or connection.execute(CLAIM, (row[0],)).rowcount != 1:
                return None
            return generation_of(row)

        return await self._attempts.ask(look)

    async def trim(self, key_name: str | None, most: int) -> None:
        await self._attempts.ask(_doing(TRIM, key_name, most))

    async def sweep(self, ages: Ages) -> int:
        # An id begins with the time that it was made at.
        steps = (
            (OLD_ATTEMPTS, new_id(max(0.0, ages.rows))[:10]),
            (OLD_REQUESTS, new_id(max(0.0, ages.rows))[:10]),
            (OLD_GENERATIONS, ages.rows),
            (OLD_ANSWERS, ages.answers),
            (OLD_KEYS, ages.keys),
        )
        await self._let_go()
        swept = 0
        for statement, before in steps:
            while (found := await self._attempts.ask(_doing(statement, before))) > 0:
                swept += found
                if found < SWEEP_AT_ONCE:
                    break
        return swept

    async def _let_go(self) -> None:
        """Give back what nobody has found out about, and say so: the operator may want to look at the provider's
        bill."""
        for each in await self._attempts.ask(lambda connection: let_go(connection, time.time())):
            log.warning(
                "submission %s has held %s of the budget of %r for 7 days, and nobody knows whether it was charged: "
                "the budget has it back",
                each.attempt_id,
                dollars(each.micros),
                each.key_name,
            )

    async def _one(self, statement: str, *given: object) -> Generation | None:
        def look(connection: sqlite3.Connection) -> Generation | None:
            row = connection.execute(statement, given).fetchone()
            return None if row is None else generation_of(row)

        return await self._attempts.ask(look)


def _doing(statement: str, *given: Any) -> Callable[[sqlite3.Connection], int]:
    return lambda connection: connection.execute(statement, given).rowcount
