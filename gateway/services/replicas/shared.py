"""Generations as they lie in Redis, read and believed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from gateway.services.redis.connection import RedisConnection
from gateway.services.redis.wire import Refused
from gateway.services.replicas.records import (
    MOST_BYTES,
    ORDER,
    Shared,
    Told,
    attempt_name,
    generation_name,
    read_attempt,
    read_generation,
)

log = logging.getLogger("imagegate.redis")


async def mended(redis: RedisConnection, kinds: Mapping[str, bytes]) -> bool:
    """Throw away what lies under a name of ours and is of another kind than ours, given by name; whether there was
    any. Raises StateUnavailable."""
    found = await redis.batch(("TYPE", name) for name in kinds)
    spoilt = [name for name, kind in zip(kinds, found, strict=True) if kind not in (kinds[name], b"none")]
    for name in spoilt:
        log.warning("what lies in Redis as %s is none of ours, and thrown away", name)
        await redis.command("DEL", name)
    return bool(spoilt)


async def shared_generation(redis: RedisConnection, id: str) -> Shared | None:
    """What all replicas know of a generation; None where nothing is to be believed. Raises StateUnavailable."""
    try:
        values = await redis.command("HGETALL", redis.key("generation", id))
    except Refused as error:
        if error.word != "WRONGTYPE":
            raise
        log.warning("what lies in Redis as generation %s is none, and not believed", id)
        return None
    fields: dict[bytes, bytes] = dict(zip(values[::2], values[1::2], strict=True))
    if not fields:
        return None
    row = redis.seal.open(generation_name(id), fields.get(b"record"), read_generation, most=MOST_BYTES)
    if row is not None and row["id"] != id:
        row = None
    attempts = [
        told
        for name, value in sorted(fields.items())
        if name.startswith(b"a:") and (told := _attempt(redis, id, name[2:], value)) is not None
    ]
    if row is None and not attempts:
        return None
    owner = fields.get(b"owner")
    fence = fields.get(b"fence", b"1")
    return Shared(
        id,
        None if owner is None else owner.decode("utf-8", "replace"),
        int(fence) if fence.isdigit() else 1,
        fields.get(b"delivered") == b"1" or b"claimed" in fields,
        row,
        tuple(attempts),
    )


def _attempt(redis: RedisConnection, generation: str, name: bytes, value: Any) -> Told | None:
    id = name.decode("utf-8", "replace")
    told = redis.seal.open(attempt_name(id), value[ORDER:], read_attempt, most=MOST_BYTES)
    if told is None or told.row["id"] != id or told.row["generation_id"] != generation:
        return None
    return told if value[:ORDER] == told.order.encode() else None
