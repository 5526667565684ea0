"""Generations of a gateway of several replicas: this one's journal, and what the others told."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gateway.services.generations import Ages, Ended, Generation, NewGeneration, Submission
from gateway.services.generations_rows import generation_of
from gateway.services.generations_sqlite import SqliteGenerations
from gateway.services.replicas.attempts import Copresence
from gateway.services.replicas.outbox import Kind
from gateway.services.replicas.records import GENERATION, OPEN, Shared, listed
from gateway.services.replicas.scripts import CLAIM_LEFT, DELIVERED, LEFT
from gateway.services.replicas.shared import shared_generation
from gateway.services.replicas.telling import same_as
from normalization.errors import StateUnavailable

log = logging.getLogger("imagegate.redis")


class SharedGenerations:
    """`Generations` of `local`, and of all other replicas."""

    def __init__(self, local: SqliteGenerations, with_others: Copresence) -> None:
        self._local = local
        self._others = with_others
        self._redis = with_others.redis
        self._delivered = self._redis.script(DELIVERED)
        self._left = self._redis.script(LEFT)
        self._claim_left = self._redis.script(CLAIM_LEFT)

    async def end(self, new: NewGeneration, ended: Ended) -> None:
        await self._local.end(new, ended)
        if new.scope is not None:
            # Whoever waits for this Idempotency-Key at another replica looks as soon as this one lets go of it.
            names: list[tuple[Kind, str]] = [("attempt", each.id) for each in await self._local.submissions(new.id)]
            await self._others.told([*names, ("generation", new.id)])

    async def delivered(self, id: str, *, reached: bool) -> None:
        await self._local.delivered(id, reached=reached)
        try:
            await self._delivered([self._redis.key("generation", id)], (id, int(reached)))
        except StateUnavailable as error:
            log.warning("that the answer of generation %s was delivered is not told: %s", id, error.message)

    async def find(self, id: str, key_name: str | None) -> Generation | None:
        own = await self._local.find(id, key_name)
        if own is not None and own.status != "running":
            return own
        try:
            shared = await shared_generation(self._redis, id)
        except StateUnavailable:
            if own is None:
                raise
            return own
        found = _generation(shared)
        if found is None or found.new.key_name != key_name:
            return own
        return found if own is None or found.status != "running" else own

    async def submissions(self, id: str) -> Sequence[Submission]:
        found = {each.id: each for each in await self._local.submissions(id)}
        try:
            shared = await shared_generation(self._redis, id)
        except StateUnavailable:
            shared = None
        for told in () if shared is None else shared.attempts:
            own = found.get(told.row["id"])
            if own is None or (own.state in OPEN and not told.open):
                found[told.row["id"]] = told.submission
        return [found[each] for each in sorted(found)]

    async def keyed(self, scope: str, since: float) -> Generation | None:
        own = await self._local.keyed(scope, since)
        if own is not None and own.status != "running":
            return own

        async def holder() -> Generation | None:
            # What this replica has let go of is free.
            await self._others.teller.drain()
            held = await self._redis.command("GET", self._redis.key("scope", scope))
            return await self._holder(held, scope, since)

        return await self._redis.patiently(holder) or own

    async def _holder(self, held: bytes | None, scope: str, since: float) -> Generation | None:
        """The generation that holds an Idempotency-Key, as far as it is to be believed and not too old."""
        if held is None:
            return None
        found = _generation(await shared_generation(self._redis, held.decode("utf-8", "replace")))
        if found is None or found.new.scope != scope:
            return None
        return found if found.new.created >= since or found.status == "running" else None

    async def undelivered(self, fingerprint: str, key_name: str | None, since: float) -> Generation | None:
        if not self._redis.available:
            return await self._local.undelivered(fingerprint, key_name, since)
        self._others.turns.hurry()
        name = self._redis.key("same", same_as(fingerprint, key_name))
        try:
            ended, found = await self._left([name], (self._redis.prefix, since, self._others.replica))
            if ended:
                return await self._given(found, fingerprint, key_name)
            for id, owner in zip(found[::2], found[1::2], strict=True):
                claimed = [self._redis.key("generation", id.decode("utf-8", "replace"))]
                if not await self._alive(owner) and await self._claim_left(claimed) == 1:
                    return await self._given(id, fingerprint, key_name)
        except StateUnavailable as error:
            log.warning("what was left at other replicas could not be looked for: %s", error.message)
        own = await self._local.undelivered(fingerprint, key_name, since)
        if own is not None and await self._claimed_elsewhere(own.new.id):
            return None
        return own

    async def _claimed_elsewhere(self, id: str) -> bool:
        try:
            return int(await self._claim_left([self._redis.key("generation", id)])) == 0
        except StateUnavailable:
            return False

    async def _given(self, id: bytes, fingerprint: str, key_name: str | None) -> Generation | None:
        found = _generation(await shared_generation(self._redis, id.decode("utf-8", "replace")))
        if found is None or (found.new.fingerprint, found.new.key_name) != (fingerprint, key_name):
            return None
        # Nothing where it is another replica's.
        await self._local.delivered(found.new.id, reached=True)
        return found

    async def _alive(self, replica: bytes) -> bool:
        """Whether anybody hears a replica's name: the server knows at once when a process is gone."""
        channel = self._redis.key("replica:" + replica.decode("utf-8", "replace"))
        return bool((await self._redis.command("PUBSUB", "NUMSUB", channel))[1])

    async def trim(self, key_name: str | None, most: int) -> None:
        await self._local.trim(key_name, most)

    async def sweep(self, ages: Ages) -> int:
        return await self._local.sweep(ages)


def _generation(shared: Shared | None) -> Generation | None:
    if shared is None or shared.row is None:
        return None
    return generation_of([*listed(GENERATION, {**shared.row, "delivered": shared.delivered})])
