"""Which jobs somebody waits for, so that a provider's notice can end the wait. Per process; nothing here is believed:
whoever is woken looks at the job itself."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

EARLY_MOST = 1024
"""Notices remembered for jobs that nobody waits for yet; the oldest are forgotten first."""

_Job = tuple[str, str]


class Wakes:
    """Events by provider and job. Only the loop that serves may call it."""

    def __init__(self, early_most: int = EARLY_MOST) -> None:
        self._waiting: dict[_Job, asyncio.Event] = {}
        self._early: OrderedDict[_Job, None] = OrderedDict()
        self._early_most = early_most

    def expect(self, provider: str, job: str) -> asyncio.Event:
        """The event that a notice sets; set already where the notice came before its job was known here."""
        event = self._waiting.setdefault((provider, job), asyncio.Event())
        if (provider, job) in self._early:
            del self._early[provider, job]
            event.set()
        return event

    def forget(self, provider: str, job: str) -> None:
        """Nobody waits for this job any more."""
        self._waiting.pop((provider, job), None)

    def ring(self, provider: str, job: str) -> None:
        """Wake whoever waits for the job; a notice of a job that nobody waits for is remembered for a while, because
        it can overtake the answer that told the job's id."""
        event = self._waiting.get((provider, job))
        if event is not None:
            event.set()
            return
        self._early[provider, job] = None
        self._early.move_to_end((provider, job))
        while len(self._early) > self._early_most:
            self._early.popitem(last=False)
