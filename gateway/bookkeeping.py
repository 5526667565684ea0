"""From the account of a request that is over to the ledger, off the way of the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.api.account import Account
from gateway.services.attempts import new_id
from gateway.services.ledger import Entry, Ledger
from gateway.services.notebook import Notebook
from normalization.errors import OperatorError

log = logging.getLogger("imagegate.ledger")


class Bookkeeper:
    """Enters what asked for pictures and said who it is: what only reads, dry runs and strangers buy nothing. For one
    event loop."""

    def __init__(self, ledger: Ledger, notebook: Notebook) -> None:
        self._ledger = ledger
        self._notebook = notebook
        self._entering: set[asyncio.Task[None]] = set()

    def keep(self, account: Account) -> None:
        """A request is over."""
        if account.known and account.generates:
            entry = entry_of(account)
            self._notebook.note(entry)
            task = asyncio.ensure_future(self._enter(entry))
            self._entering.add(task)
            task.add_done_callback(self._entering.discard)

    async def catch_up(self, written: Callable[[], Awaitable[bool]]) -> None:
        """Enter what processes that are gone had noted. `written`: whether all that was entered is on record by now;
        notes of what is not are left for the next start. Raises StorageFull or StateUnavailable."""
        for path, entries in self._notebook.left():
            for entry in entries:
                await self._ledger.enter(entry)
            if await written():
                self._notebook.drop(path)

    async def close(self) -> None:
        """Return when all that was kept is entered."""
        while self._entering:
            await asyncio.gather(*self._entering)

    async def _enter(self, entry: Entry) -> None:
        try:
            await self._ledger.enter(entry)
        except OperatorError as error:
            log.error("a request could not be entered: %s", error.message, extra={"request_id": entry.request_id})
        except Exception:  # the task that waits for it is nobody's: it would be lost without a word
            log.exception("a request could not be entered", extra={"request_id": entry.request_id})


def entry_of(account: Account) -> Entry:
    """The account as the ledger has it."""
    return Entry(
        id=new_id(account.created),
        request_id=account.request_id,
        generation_id=account.generation_id,
        key_name=account.key_name,
        model=account.resolved,
        endpoint=account.endpoint,
        provider=account.provider,
        status=account.status,
        code=account.code,
        images=account.images,
        megapixels=account.megapixels,
        bytes_out=account.bytes_out,
        created=account.created,
        seconds=account.seconds,
    )
