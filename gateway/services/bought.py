"""Which submission a provider's job was bought by: one that answers another submission with the same job, because it
remembers the request or keeps its results, has made one picture and charged for one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

JOBS_MOST: Final = 20_000
"""Jobs that are remembered; the oldest is forgotten first."""


class Bought:
    """The jobs of this process. What it no longer remembers counts as bought again."""

    def __init__(self, most: int = JOBS_MOST) -> None:
        self._most = most
        self._by: OrderedDict[tuple[str, str], str] = OrderedDict()

    def first(self, provider: str, job: str, attempt: str) -> bool:
        """Whether this attempt is the one that bought the provider's job."""
        by = self._by.setdefault((provider, job), attempt)
        if len(self._by) > self._most:
            self._by.popitem(last=False)
        return by == attempt
