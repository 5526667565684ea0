"""Tellings of one attempt, in any order and any number: the same one stands at the end, in Redis and in a journal."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.services.attempts_schema import MIGRATIONS
from gateway.services.replicas import merging
from gateway.services.replicas.records import ATTEMPT as COLUMNS
from gateway.services.replicas.records import Told, order_of
from gateway.services.replicas.scripts import ATTEMPT
from gateway.services.sqlite import open_database
from tests.redis_server import RedisServer

REPLICAS = tuple(name * 26 for name in "ABC")
ENDS = {
    "done": ("charged", 70_000),
    "failed": ("none", 0),
    "refused": ("none", 0),
    "not_sent": ("none", 0),
    "maybe": ("unknown", None),
}

_numbers = itertools.count(1)


@st.composite
def tellings(draw: st.DrawFn) -> list[Told]:
    """What replicas may tell of one attempt: each fence is one replica's, which goes on from what is open."""
    found = []
    for fence in range(1, draw(st.integers(1, 3)) + 1):
        by, lease = REPLICAS[fence - 1], 1
        for state in ("sending", "accepted"):
            if draw(st.booleans()):
                found.append(told(state, "unknown", None, fence, lease, by))
        if draw(st.booleans()):
            state = draw(st.sampled_from(sorted(ENDS)))
            found.append(told(state, *ENDS[state], fence, draw(st.integers(1, 3)), by))
    return found or [told("sending", "unknown", None, 1, 1, REPLICAS[0])]


def told(state: str, charge: str, cost: int | None, fence: int, lease: int, by: str) -> Told:
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"id": "X", "generation_id": "g", "request_id": "r", "provider": "p", "model": "m", "requested_model": "m"}
    row |= {"images": 1, "created": 1.0, "key_name": "k", "planned_cost_micros": 70_000}
    row |= {"state": state, "charge": charge, "cost_micros": cost, "outcome": f"{state} of {by} {fence}"}
    return Told(order_of(row, fence, lease, by), by, row)


def in_redis(redis: RedisServer, sequence: list[Told]) -> tuple[bytes, bytes]:
    """The telling that stands, and how many attempts the generation has open."""
    prefix = f"order{next(_numbers)}:"
    for each in sequence:
        args = (prefix, each.by, int(each.order[1:7]), 60_000, 0, "g", "X", int(each.open), each.order, "sealed")
        reply = redis.say("EVAL", ATTEMPT, 2, f"{prefix}generation:g", f"{prefix}ledger", *args)
        assert reply in (b":0\r\n", b":1\r\n")
    return (
        redis.say("HGET", f"{prefix}generation:g", "a:X"),
        redis.say("HGET", f"{prefix}generation:g", "open").split(b"\r\n")[-2].replace(b"$-1", b"0"),
    )


def in_a_journal(folder: Path, sequence: list[Told]) -> dict[str, Any]:
    path = folder / f"{next(_numbers)}.sqlite3"
    with contextlib.closing(open_database(path, MIGRATIONS)) as connection:
        for each in sequence:
            merging.merge_attempt(connection, each, "Z" * 26)
        connection.row_factory = sqlite3.Row
        [row] = connection.execute("SELECT * FROM attempts")
        return dict(row)


@pytest.mark.needs("redis-server")
@settings(max_examples=40)
@given(st.data())
def test_any_order_and_any_repetition_come_to_the_same(
    redis: RedisServer, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    each = data.draw(tellings())
    highest = max(each, key=lambda one: one.order)
    mixed = data.draw(st.permutations(each + data.draw(st.lists(st.sampled_from(each), max_size=4))))
    stands, opened = in_redis(redis, list(mixed))
    assert highest.order.encode() in stands
    assert opened == str(int(highest.open)).encode()
    settled = [one for one in mixed if not one.open]
    if settled:
        best = max(settled, key=lambda one: one.order)
        row = in_a_journal(tmp_path_factory.mktemp("journal"), settled)
        assert (row["state"], row["charge"], row["cost_micros"], row["outcome"]) == (
            best.row["state"],
            best.row["charge"],
            best.row["cost_micros"],
            best.row["outcome"],
        )


def test_what_is_known_of_a_charge_comes_before_any_guess_and_then_the_later_fence() -> None:
    ascending = [
        told("sending", "unknown", None, 1, 1, REPLICAS[0]),
        told("accepted", "unknown", None, 1, 1, REPLICAS[0]),
        told("maybe", "unknown", None, 1, 1, REPLICAS[0]),
        told("accepted", "unknown", None, 2, 1, REPLICAS[1]),
        told("maybe", "unknown", None, 2, 1, REPLICAS[1]),
        told("done", "charged", 70_000, 1, 1, REPLICAS[0]),
        told("failed", "none", 0, 2, 1, REPLICAS[1]),
    ]
    assert [each.order for each in ascending] == sorted(each.order for each in ascending)
