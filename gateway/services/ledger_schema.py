"""The statements that write requests, and that sum them up with the attempts.

Both tables lie in the order of their ids, which begin with the time, so a span of time is a range of them. Nothing else
is indexed for the sums: whoever waits until a submission is on record would wait for that too.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.services.attempts import new_id
from gateway.services.generations_schema import SWEEP_AT_ONCE
from gateway.services.ledger import Entry, Group

_COLUMNS = (
    "id, request_id, generation_id, key_name, model, endpoint, provider, status, code, images, megapixels, bytes_out, "
    "created, seconds"
)
_EXTRACTED = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(_COLUMNS.count(",") + 1))

ENTER = f"INSERT OR IGNORE INTO requests ({_COLUMNS}) SELECT {_EXTRACTED} FROM json_each(:rows)"  # noqa: S608 (a constant)

OLD_REQUESTS = f"""
DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE id < ? LIMIT {SWEEP_AT_ONCE})
"""  # noqa: S608 (a constant)

EARLY_SECONDS = 3_600.0
"""The most by which the time in a row's id and its `created` differ: a submission may wait between the two."""
BEFORE_SECONDS = 86_400.0
"""The most by which a request precedes its submissions."""

_REQUESTS: Mapping[Group, str] = {
    "day": "CAST(created / 86400 AS INTEGER)",
    "hour": "CAST(created / 3600 AS INTEGER)",
    "key": "coalesce(key_name, '')",
    "model": "model",
    "provider": "coalesce(provider, '')",
    "status": "status",
}
_CALLS: Mapping[Group, str] = {
    **_REQUESTS,
    "model": "requested_model",
    "provider": "provider",
    "status": "coalesce(asked.status, 0)",
}
"""What a row's group is. 0 is the status of a request that was never answered, because its process was killed."""

_SPAN = "id >= :first AND id < :last AND created >= :begin AND created < :end"
_SENT = f"{_SPAN} AND state <> 'not_sent'"
# By the request's own id, which is there once: an answer that is given again is a request of the same generation.
_ASKED = (
    "WITH asked AS MATERIALIZED (SELECT request_id, status FROM requests WHERE id >= :asked_first AND id < :last)",
    "LEFT JOIN asked USING (request_id)",
)
_UNKNOWN = "charge = 'unknown' OR (charge = 'charged' AND cost_micros IS NULL)"


def request_sums(group: Group) -> str:
    """Group, requests, images, errors, megapixels, bytes."""
    return f"""
SELECT {_REQUESTS[group]} AS part, count(*), sum(images), sum(status >= 400), sum(megapixels), sum(bytes_out)
FROM requests WHERE {_SPAN} GROUP BY part ORDER BY part"""  # noqa: S608 (constants)


def call_sums(group: Group) -> str:
    """Group, calls, known cost in micro-dollars, settled calls of unknown cost, calls whose time is known."""
    before, join = _ASKED if group == "status" else ("", "")
    return f"""
{before}
SELECT {_CALLS[group]} AS part, count(*), coalesce(sum(cost_micros), 0),
       sum(state NOT IN ('sending', 'accepted') AND ({_UNKNOWN})), count(seconds)
FROM attempts {join} WHERE {_SENT} GROUP BY part ORDER BY part"""  # noqa: S608 (constants)


def placed(group: Group | None) -> str:
    """Place and seconds of those at `:places`, counted from 1 through all rows by group and time; of requests, or of
    calls by provider; without a group of requests by time alone."""
    table, span = ("attempts", f"{_SENT} AND seconds IS NOT NULL") if group == "provider" else ("requests", _SPAN)
    order = "seconds" if group is None else f"{_REQUESTS[group]}, seconds"
    return f"""
SELECT place, seconds
FROM (SELECT row_number() OVER (ORDER BY {order}) AS place, seconds FROM {table} WHERE {span})
WHERE place IN (SELECT value FROM json_each(:places))"""  # noqa: S608 (constants)


def span_of(begin: float, end: float) -> dict[str, object]:
    """What the statements take, but for the places."""
    return {
        "begin": begin,
        "end": end,
        "first": prefix(begin - EARLY_SECONDS),
        "last": prefix(end + EARLY_SECONDS),
        "asked_first": prefix(begin - BEFORE_SECONDS),
    }


def prefix(at: float) -> str:
    """Ids that were made at this time or later sort after it, all others before it."""
    return new_id(min(max(0.0, at), 2.0**48 / 1000 - 1))[:10]


def row_of(entry: Entry) -> tuple[object, ...]:
    """A request as its columns."""
    return (
        entry.id,
        entry.request_id,
        entry.generation_id,
        entry.key_name,
        entry.model,
        entry.endpoint,
        entry.provider,
        entry.status,
        entry.code,
        entry.images,
        entry.megapixels,
        entry.bytes_out,
        entry.created,
        entry.seconds,
    )
