"""Generations: one record per request for pictures, from its first submission to its answer.

The record is made in the commit of the first submission, and its end is written when nobody waits for that, so that
it adds nothing to the way of a picture. What the answer says stands in it; the pictures lie in the storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Status = Literal["running", "succeeded", "failed", "unknown"]
"""`unknown`: nobody knows whether a provider did the work, and so whether it was charged."""

Form = Literal["b64", "url"]


@dataclass(frozen=True, slots=True)
class NewGeneration:
    """A request for pictures about to be carried out."""

    id: str
    request_id: str
    key_name: str | None
    """Who may ask for it; None = nobody had to say who they are."""
    endpoint: str
    model: str
    """The configured model's name."""
    created: float
    """Epoch seconds."""
    fingerprint: str | None = None
    """Of the request as it came: equal requests have equal ones."""
    scope: str | None = None
    """Stands for the client's Idempotency-Key; None = it sent none."""


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """Stands in a kept answer where a stored picture goes, as base64 or as a URL."""

    name: str
    form: Form


KeptPieces = tuple[str | KeptPicture, ...]


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer with pictures: its headers, its body in pieces, and what a stream said, where the request asked for a
    stream and may ask for it again."""

    headers: dict[str, str]
    body: KeptPieces
    events: KeptPieces | None = None


@dataclass(frozen=True, slots=True)
class KeptError:
    """A failure, as the client was told or would have been."""

    code: str
    message: str
    param: str | None
    should_retry: bool | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a generation ended. `released`: nothing was done for it, so that its Idempotency-Key is free again."""

    status: Status
    ended: float
    delivered: bool
    answer: KeptAnswer | None = None
    error: KeptError | None = None
    released: bool = False
    jobs: bool = False
    """Submissions of it hold what it took to go on with them, which nobody needs any more."""


@dataclass(frozen=True, slots=True)
class Submission:
    """An attempt as its generation tells of it."""

    id: str
    provider: str
    model: str
    state: str
    outcome: str | None
    charge: str | None
    cost_micros: int | None
    seconds: float | None
    created: float
    job: str | None
    resume: str | None
    planned_cost_micros: int | None

    def entry(self, now: float) -> dict[str, Any]:
        """As a client is told of it; one under way says so."""
        seconds = now - self.created if self.seconds is None else self.seconds
        outcome = self.outcome or ("polling" if self.job is not None else "running")
        return {"provider": self.provider, "model": self.model, "outcome": outcome, "seconds": round(seconds, 3)}


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation on record."""

    new: NewGeneration
    status: Status
    ended: Ended | None = None


@dataclass(frozen=True, slots=True)
class Orphan:
    """A generation that another process left under way, with all its submissions in their order. `generation` None:
    they were made for none."""

    id: str
    generation: NewGeneration | None
    submissions: tuple[Submission, ...]


@dataclass(frozen=True, slots=True)
class Ages:
    """Epoch seconds before which things are forgotten: rows, answers and Idempotency-Keys."""

    rows: float
    answers: float
    keys: float


class Generations(Protocol):
    """Where generations are on record; beginnings are recorded with the first attempt. Each method raises
    `StorageFull` or `StateUnavailable` when the state cannot be used."""

    async def end(self, new: NewGeneration, ended: Ended) -> None:
        """Record how it ended, also where nothing was begun for it. Written in order, but maybe after the return. The
        first end stands."""
        ...

    async def delivered(self, id: str, *, reached: bool) -> None:
        """Record whether its answer has reached a client after all. Written like `end`."""
        ...

    async def find(self, id: str, key_name: str | None) -> Generation | None:
        """A generation of this key's; what was recorded before is in it."""
        ...

    async def submissions(self, id: str) -> Sequence[Submission]:
        """Its attempts, in their order."""
        ...

    async def keyed(self, scope: str, since: float) -> Generation | None:
        """The generation that holds an Idempotency-Key, unless it is from before `since`: then it holds it no more."""
        ...

    async def undelivered(self, fingerprint: str, key_name: str | None, since: float) -> Generation | None:
        """The oldest generation of an equal request that ended after `since` and whose answer reached nobody. It is
        the caller's from now on: nobody else is given it. Failures that cost nothing are not among them."""
        ...

    async def trim(self, key_name: str | None, most: int) -> None:
        """Let go of a key's oldest Idempotency-Keys beyond `most`."""
        ...

    async def sweep(self, ages: Ages) -> int:
        """Forget what is old, and return how many rows that were."""
        ...
