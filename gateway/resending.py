"""Sending a submission again with the same key, where its outcome is unknown and the provider never makes two jobs of
one key (`Traits.idempotent_submit`). It is one attempt: one record, one id, at most one purchase."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.config.limits import Limits
from gateway.services.clock import Clock
from providers.base import Done, Failed, Pending

TIMES: Final = 3
"""Times that an unknown outcome is asked about before it stays unknown."""

WITHIN_SECONDS: Final = 900.0
"""A key is not used again when it is older: how long a provider remembers one is nowhere promised to be longer."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often, and after which pauses in seconds. `most` 0 turns all repeats off."""

    most: int = 2
    first: float = 0.2
    longest: float = 5.0
    told: float = 20.0
    """The longest pause that a provider may ask for."""

    @classmethod
    def of(cls, limits: Limits) -> Repeats:
        return cls(limits.retries, limits.retry_first_seconds, limits.retry_most_seconds, limits.retry_after_seconds)


@dataclass(frozen=True, slots=True)
class Resending:
    """`clock` gives the pauses, the time and the chance."""

    repeats: Repeats = field(default_factory=Repeats)
    clock: Clock = field(default_factory=Clock)

    async def settled(
        self, unsure: Failed, send: Callable[[], Awaitable[Done | Failed | Pending]], deadline: float
    ) -> Done | Failed | Pending:
        """What the submission came to once it was sent again, or `unsure` itself. A refusal of the repeat settles
        nothing: being too busy to look a key up is no proof that there is no job for it."""
        until = min(deadline, self.clock.now() + WITHIN_SECONDS)
        for tried in range(TIMES if self.repeats.most else 0):
            pause = self.pause(self.repeats.first, tried)
            if self.clock.now() + pause >= until:
                break
            await self.clock.sleep(pause)
            reply = await send()
            if not isinstance(reply, Failed):
                return reply
        return unsure

    def pause(self, first: float, tried: int) -> float:
        """Full jitter, so that those who failed together do not come back together."""
        return self.clock.chance() * min(self.repeats.longest, first * 2.0**tried)
