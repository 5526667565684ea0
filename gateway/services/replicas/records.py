"""Records as other replicas are told of them, and which of two that contradict each other is believed.

Each telling of an attempt has an order, and the highest that was ever told stands, so that it makes no difference in
which order tellings arrive, or how often. What is known of a charge comes before anything that is not: it is evidence
of the provider's, and nobody's guess may cover it. Then the higher fence, by which the replica that went on with the
work is heard and not the one that it was taken from; then the later state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.services.generations import Submission

ATTEMPT = (
    "id",
    "generation_id",
    "request_id",
    "provider",
    "model",
    "requested_model",
    "key_name",
    "user",
    "images",
    "planned_cost_micros",
    "created",
    "operation",
    "state",
    "job",
    "outcome",
    "charge",
    "cost_micros",
    "delivered",
    "seconds",
    "resume",
)
"""The columns of an attempt that are told."""
GENERATION = (
    "id",
    "request_id",
    "key_name",
    "endpoint",
    "model",
    "created",
    "fingerprint",
    "scope",
    "state",
    "ended",
    "delivered",
    "answer",
    "error",
)
REQUEST = (
    "id",
    "request_id",
    "generation_id",
    "key_name",
    "model",
    "endpoint",
    "provider",
    "status",
    "code",
    "images",
    "megapixels",
    "bytes_out",
    "created",
    "seconds",
)
OPEN = ("sending", "accepted")
SETTLED = ("done", "failed", "refused", "not_sent", "maybe")
MOST_BYTES = 8 * 1024 * 1024
"""Bytes of one record: an answer's JSON, in which pictures stand as names."""
ORDER = 1 + 6 + 1 + 6 + 26
"""Characters of an order."""

_RANKS = {"sending": 0, "accepted": 1}
_HIGHEST = 999_999


def order_of(row: Mapping[str, Any], fence: int, lease: int, by: str) -> str:
    """The order of an attempt, comparable as text. `fence` is the generation's between replicas, `lease` the row's own
    within one; `by` is the replica that tells, of 26 characters, and decides between equals."""
    state, charge = row["state"], row["charge"]
    # What costs nothing is charged nothing whatever became of it: that is no evidence of how it ended.
    known = state in SETTLED and state != "maybe" and charge in ("none", "charged")
    return f"{int(known)}{min(fence, _HIGHEST):06d}{_RANKS.get(state, 2)}{min(lease, _HIGHEST):06d}{by:26.26}"


@dataclass(frozen=True, slots=True)
class Told:
    """An attempt as a replica told of it."""

    order: str
    by: str
    row: dict[str, Any]

    @property
    def open(self) -> bool:
        return self.row["state"] in OPEN

    @property
    def submission(self) -> Submission:
        names = ("id", "provider", "model", "state", "outcome", "charge", "cost_micros", "seconds", "created", "job")
        return Submission(*(self.row[each] for each in (*names, "resume", "planned_cost_micros")))


@dataclass(frozen=True, slots=True)
class Shared:
    """A generation as all replicas know it. `row` None: attempts were told of, and the generation was not."""

    id: str
    owner: str | None
    """The replica that works on it, or did."""
    fence: int
    delivered: bool
    row: dict[str, Any] | None
    attempts: tuple[Told, ...]


def listed(names: Sequence[str], row: Mapping[str, Any]) -> list[Any]:
    """A row's columns in their order."""
    return [row[name] for name in names]


def attempt_value(row: Mapping[str, Any], order: str, by: str) -> list[Any]:
    """What is told of an attempt, to be sealed as `attempt_name`. What it took to go on is told while it is open."""
    values = listed(ATTEMPT, row)
    if row["state"] in SETTLED:
        values[-1] = None
    return [order, by, values]


def attempt_name(id: str) -> str:
    return f"attempt {id}"


def generation_name(id: str) -> str:
    return f"generation {id}"


def read_attempt(value: Any) -> Told:
    """Raises ValueError, TypeError or LookupError where it is none."""
    order, by, values = value
    row = _row(ATTEMPT, values)
    if not (isinstance(order, str) and len(order) == ORDER and isinstance(by, str) and len(by) == ORDER - 14):
        raise ValueError("order")
    if row["state"] not in (*OPEN, *SETTLED) or not isinstance(row["images"], int):
        raise ValueError("state")
    _typed(row, str, "id", "generation_id", "request_id", "provider", "model", "requested_model")
    _typed(row, int | float, "created")
    _typed(row, int | None, "planned_cost_micros", "cost_micros", "delivered")
    _typed(row, str | None, "key_name", "user", "operation", "job", "outcome", "charge", "resume")
    _typed(row, int | float | None, "seconds")
    return Told(order, by, row)


def read_generation(value: Any) -> dict[str, Any]:
    """Raises ValueError, TypeError or LookupError where it is none."""
    row = _row(GENERATION, value)
    if row["state"] not in ("running", "succeeded", "failed", "unknown"):
        raise ValueError("state")
    _typed(row, str, "id", "request_id", "endpoint", "model")
    _typed(row, int | float, "created")
    _typed(row, str | None, "key_name", "fingerprint", "scope", "answer", "error")
    return row


def read_request(value: Any) -> tuple[str, dict[str, Any]]:
    """Who told of it, and its row. Raises ValueError, TypeError or LookupError where it is none."""
    by, values = value
    row = _row(REQUEST, values)
    _typed(row, str, "id", "request_id", "model", "endpoint")
    _typed(row, str | None, "generation_id", "key_name", "provider", "code")
    _typed(row, int, "status", "images", "bytes_out")
    _typed(row, int | float, "megapixels", "created", "seconds")
    if not isinstance(by, str):
        raise TypeError("by")
    return by, row


def _row(names: Sequence[str], values: Any) -> dict[str, Any]:
    if not isinstance(values, list):
        raise TypeError("not a row")
    return dict(zip(names, values, strict=True))


def _typed(row: Mapping[str, Any], kind: Any, *names: str) -> None:
    for name in names:
        if not isinstance(row[name], kind):
            raise TypeError(name)
