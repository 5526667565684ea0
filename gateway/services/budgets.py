"""Budgets: what a key may spend, in which span of time. Days and months are those of UTC.

What a submission is planned to cost is taken from its key's budget in the commit that records it, so before its first
byte leaves; what it did cost takes that place when it is settled. While nobody knows, the plan stays taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from normalization.errors import BudgetExceeded

Per = Literal["day", "month", "total"]

UNKNOWN_SECONDS = 7 * 86_400.0
"""How long a submission whose cost nobody knows holds what it was planned to cost."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time that a budget is for: its name, such as `2026-11-21`, `2026-11` or `total`, and its first second
    and the one after its last, in epoch seconds."""

    name: str
    begins: float
    ends: float = math.inf


@dataclass(frozen=True, slots=True)
class Allotment:
    """What a key may spend: so many micro-dollars in each span."""

    micros: int
    per: Per

    def span(self, now: float) -> Span:
        """The span that `now`, in epoch seconds, lies in."""
        if self.per == "total":
            return Span("total", 0.0)
        at = datetime.fromtimestamp(int(now), UTC).replace(hour=0, minute=0, second=0)
        if self.per == "day":
            return Span(at.strftime("%Y-%m-%d"), at.timestamp(), (at + timedelta(days=1)).timestamp())
        at = at.replace(day=1)
        following = (at + timedelta(days=31)).replace(day=1)
        return Span(at.strftime("%Y-%m"), at.timestamp(), following.timestamp())

    def refusal(self, span: Span, spent: int, cost: int) -> BudgetExceeded:
        """What a key is told that wants to spend `cost` where `spent` is taken already (micro-dollars)."""
        whole = f"{dollars(self.micros)} in all" if self.per == "total" else f"{dollars(self.micros)} a {self.per}"
        left = f"{dollars(max(0, self.micros - spent))} of {whole} is left in this key's budget"
        again = "it does not begin anew"
        if span.ends < math.inf:
            again = f"it begins anew at {datetime.fromtimestamp(span.ends, UTC):%Y-%m-%dT%H:%M:%SZ}"
        return BudgetExceeded(f"{left}, and this would cost {dollars(cost)}; {again}")


def dollars(micros: int) -> str:
    """Micro-dollars as people write them: `$0.07`, `$20.00`, `$0.001234`."""
    cents, rest = divmod(micros, 10_000)
    return f"${cents // 100:,}.{cents % 100:02}" if not rest else f"${Decimal(micros).scaleb(-6):,f}".rstrip("0")
