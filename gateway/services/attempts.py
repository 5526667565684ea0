"""Attempts: one record per submission to a provider, made before its first byte leaves.

    begin -> sending -> accepted(job) -> done | failed | maybe
                     -> done | failed | refused | not_sent | maybe

What was submitted, and what it may have cost, is known after any crash: `begin` and `accepted` return only when
the record would survive one. Settled records never change again. An open record is leased to the process that works
on it; whoever takes it over raises its fence, and what the earlier holder still has to say is then not heard.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.services.budgets import Allotment
from gateway.services.chance import random_bytes
from gateway.services.generations import NewGeneration, Orphan
from normalization.errors import Charge
from normalization.vocabulary import Operation

Settled = Literal["done", "failed", "refused", "not_sent", "maybe"]
"""How a submission ended: `refused` and `not_sent` are proof that the provider did no work, `maybe` is no proof."""

State = Literal["sending", "accepted"] | Settled

# Crockford's base 32: no I, L, O or U. Its order is the order of the characters, so ids sort by time.
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _DIGITS for low in _DIGITS)
_SHIFTS = tuple(range(120, -1, -10))


def new_id(now: float | None = None) -> str:
    """A new ULID: 26 characters, 48 bits of milliseconds (`now`: epoch seconds, default the clock's) that make it
    sortable, and 80 random bits that make it unguessable."""
    milliseconds = int((time.time() if now is None else now) * 1000)
    value = milliseconds << 80 | int.from_bytes(random_bytes()[:10], "big")
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])


def charge_of_unknown(planned_cost_micros: int | None) -> Charge:
    """What a submission of unknown outcome may have been charged: nothing where its price is zero. None, a price that
    nobody knows, is not zero."""
    return "none" if planned_cost_micros == 0 else "unknown"


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """A submission about to be sent."""

    id: str
    """From `new_id`; also the provider's idempotency key where it takes one."""
    generation_id: str
    request_id: str
    provider: str
    """The configured provider's name."""
    model: str
    """The provider's own model id."""
    requested_model: str
    """The configured model's name."""
    key_name: str | None
    user: str | None
    images: int
    """Pictures that this submission asks for."""
    planned_cost_micros: int | None
    """Micro-dollars; None = the price is unknown."""
    created: float
    """Epoch seconds."""
    operation: Operation = "generate"
    allotment: Allotment | None = None
    """The key's budget, of which it takes `planned_cost_micros`; None = it has none."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a submission ended."""

    state: Settled
    outcome: str
    """The fine word, such as `ok`, `connect_timeout` or `worker_oom`."""
    charge: Charge
    cost_micros: int | None
    """Micro-dollars that were charged; None = unknown."""
    images: int
    """Pictures that were delivered."""
    seconds: float
    """From the first byte sent to the last picture received."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A submission on record that is not settled: its outcome is still to come."""

    submission: NewAttempt
    state: Literal["sending", "accepted"]
    job: str | None
    """The provider's id of work that it has accepted."""
    resume: str | None = None
    """What it takes to go on with the job in another process."""


class Attempts(Protocol):
    """Where attempts are on record. Each method raises `StorageFull` or `StateUnavailable` when the record cannot
    be made; an attempt whose `begin` raised must not be sent."""

    async def begin(self, attempt: NewAttempt, generation: NewGeneration | None = None) -> None:
        """Record that `attempt` is about to be sent, and in the same commit the generation that it is part of, unless
        that is on record already. Durable on return. When cancelled instead of returning, the attempt is settled as
        `not_sent`. Raises BudgetExceeded, with nothing on record, where the key's budget has no room for its cost."""
        ...

    async def accepted(self, attempt_id: str, job: str, resume: str | None = None) -> None:
        """Record the provider's id of the work it accepted, and what it takes to go on with it. Durable on return.
        When it raises, the fact is kept and written as soon as that is possible again: go on with the job."""
        ...

    async def settle(self, attempt_id: str, settlement: Settlement) -> None:
        """Record how it ended. Written in order, but maybe after the return; at the latest by `close`. Settling
        twice changes nothing."""
        ...

    async def unsettled(self) -> list[Attempt]:
        """Everything begun and not settled, oldest first. What this instance was told before is in it."""
        ...

    async def take(self, now: float) -> list[Orphan]:
        """Take over what processes that are gone, or that have let their lease run out at `now` (epoch seconds), left
        under way. What they were sending is settled as `maybe`."""
        ...

    async def renew(self) -> None:
        """Hold on to what this process works on; `LEASE_SECONDS` after the last time others may take it."""
        ...

    @property
    def unwritten(self) -> int:
        """Records that wait to be written; where that fails, they stay."""
        ...

    async def ping(self) -> None:
        """Return when a record could be made now; raise otherwise."""
        ...

    async def close(self) -> None:
        """Write what is left to write, and let go. Nothing may be recorded afterwards."""
        ...
