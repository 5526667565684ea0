"""The ledger of a gateway of several replicas: each writes down what all of them tell, so that the sums are its own."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.services.attempts import Attempt
from gateway.services.budgets import Allotment
from gateway.services.ledger import Entry, Group, Ledger, Sums
from gateway.services.replicas.spending import Spending


class SharedLedger:
    """`Ledger` of `local`; budgets are those of all replicas."""

    def __init__(self, local: Ledger, spending: Spending) -> None:
        self._local = local
        self._spending = spending

    async def enter(self, entry: Entry) -> None:
        await self._local.enter(entry)

    async def sums(self, begin: float, end: float, group: Group) -> Sums:
        return await self._local.sums(begin, end, group)

    async def unsettled(self, state: str | None = None) -> Sequence[Attempt]:
        return await self._local.unsettled(state)

    async def spent(self, key_name: str, allotment: Allotment, now: float) -> int:
        here = await self._local.spent(key_name, allotment, now)
        return max(here, await self._spending.spent(key_name, allotment, now))
