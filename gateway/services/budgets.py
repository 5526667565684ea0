"""Budgets: what a key may spend, in which span of time. Days and months are those of UTC.

What a submission is planned to cost is taken from its key's budget in the commit that records it, so before its first
byte leaves; what it did cost takes that place when it is settled. While nobody knows, the plan stays taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Per = Literal["day", "month", "total"]

UNKNOWN_SECONDS = 7 * 86_400.0
"""How long a submission whose cost nobody knows holds what it was planned to cost."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time that a budget is for: its name, such as `2026-11-21`, `2026-11` or `total`, and its beginning in
    epoch seconds."""

    name: str
    begins: float


@dataclass(frozen=True, slots=True)
class Allotment:
    """What a key may spend: so many micro-dollars in each span."""

    micros: int
    per: Per

    def span(self, now: float) -> Span:
        """The span that `now`, in epoch seconds, lies in."""
        if self.per == "total":
            return Span("total", 0.0)
        at = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self.per == "month":
            at = at.replace(day=1)
        return Span(at.strftime("%Y-%m-%d" if self.per == "day" else "%Y-%m"), at.timestamp())
