"""The ledger: what was asked for and what it came to, and the sums of that. Append only.

A request is entered once it is answered; what it bought are the attempts of its generation, entered before they were
sent. Sums over both answer what a key, a model or a provider took and cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.services.attempts import Attempt
from gateway.services.budgets import Allotment

Group = Literal["day", "hour", "key", "model", "provider", "status"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a known caller, as it was answered."""

    id: str
    """From `attempts.new_id`, so that ids sort by time."""
    request_id: str
    generation_id: str | None
    key_name: str | None
    model: str
    """The configured model's name, or PROVIDER/ID where a provider's own id was asked for that no model names;
    `unknown` where the request named nothing of the kind."""
    endpoint: str
    """The route's template."""
    provider: str | None
    """Who made most of its pictures; where it failed, who was asked last; None where nobody was."""
    status: int
    """The HTTP status that was sent; 499 where the client left before it."""
    code: str | None
    """The error's code; None where it went well."""
    images: int
    """Pictures in the answer."""
    megapixels: float
    """Of those pictures, in millions of pixels."""
    bytes_out: int
    """Bytes of the answer's body that were sent."""
    created: float
    """Epoch seconds."""
    seconds: float
    """From the request's head to the last byte of the answer."""


@dataclass(frozen=True, slots=True)
class Row:
    """The sums of one group. Percentiles, by nearest rank, are over the group's requests; of a provider, over the calls
    of it that are settled. None where there are none."""

    group: str
    """A day or an hour of UTC, a name or a status. Empty for what has none: nobody was asked for a key, no provider was
    asked for a picture, or the process was killed before it could answer."""
    requests: int
    """Of a provider: those of which it made most pictures, or which failed there last."""
    images: int
    errors: int
    """Requests with a status of 400 or more."""
    upstream_calls: int
    """Submissions that were sent, by when that was, whichever came of them; each is its request's key's, model's and
    status's, and the provider's that it went to."""
    cost_micros: int
    """What is known to have been charged for them."""
    unknown_cost_calls: int
    """Settled calls that were charged, or may have been, at a price that nobody knows."""
    megapixels: float
    bytes_out: int
    p50_seconds: float | None
    p95_seconds: float | None


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums by group, in the groups' order, and over all of them."""

    rows: tuple[Row, ...]
    totals: Row


class Ledger(Protocol):
    """Where it is written. Each method raises StorageFull or StateUnavailable where the state cannot be used."""

    async def enter(self, entry: Entry) -> None:
        """Enter a request. Written in order, but maybe after the return; at the latest when the state is closed."""
        ...

    async def sums(self, begin: float, end: float, group: Group) -> Sums:
        """The sums over what was created from `begin` on and before `end` (epoch seconds)."""
        ...

    async def unsettled(self, state: str | None = None) -> Sequence[Attempt]:
        """Attempts that are not settled, oldest first; `state` chooses."""
        ...

    async def spent(self, key_name: str, allotment: Allotment, now: float) -> int:
        """Micro-dollars of the span's budget that are spent, or held by what is under way or unknown."""
        ...
