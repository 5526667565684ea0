"""Whether a key's budget has room for what a request would cost, asked before anything is submitted.

The commit that records a submission decides; this keeps a request from beginning what it could not finish.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.outcome import Order
from gateway.services.budgets import Allotment
from normalization.errors import BudgetExceeded

Spent = Callable[[str, Allotment, float], Awaitable[int]]
"""What a key has spent and holds of a budget's span; see `Ledger.spent`."""


@dataclass(frozen=True, slots=True)
class Affording:
    """Asks what is spent."""

    spent: Spent

    async def check(self, order: Order) -> None:
        """Raise BudgetExceeded where none of an order's candidates fits, or StateUnavailable where nobody can tell."""
        costs = [candidate.plan.cost_micros or 0 for candidate in order.candidates]
        refusal = await self.refusal(order, min(costs, default=0))
        if refusal is not None:
            raise refusal

    async def refusal(self, order: Order, cost_micros: int | None) -> BudgetExceeded | None:
        """Why an order may not go where that is the price; None = it may. What costs nothing, or nobody knows what,
        fits always."""
        allotment, key_name = order.allotment, order.key_name
        if allotment is None or key_name is None or not cost_micros:
            return None
        now = time.time()
        spent = await self.spent(key_name, allotment, now)
        if spent + cost_micros <= allotment.micros:
            return None
        return allotment.refusal(allotment.span(now), spent, cost_micros)
