"""What became of each request: who waits for it, how it ended, and that nobody buys twice what was asked for once.

A generation is here, with its pictures in memory, from its first submission until it is put away; then it is a row, and
its pictures lie in the storage. An Idempotency-Key is claimed here before anything is submitted.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from gateway.config.limits import Limits
from gateway.jobs import Job, Visit
from gateway.keeping import Keeper
from gateway.outcome import Delivered, Order
from gateway.peers import Peers
from gateway.services.generations import Ages, Generation, Generations, NewGeneration
from gateway.services.storage import Storage
from normalization.errors import IdempotencyKeyReused, OperatorError

log = logging.getLogger("imagegate.journal")

LEFT_SECONDS = 900.0
"""How long an answer that did not reach its client waits for the client's own retry."""
TRIMS = 100
"""A key's records are trimmed each time that they may have grown by this share of the most."""
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two requests the same. `fingerprint` is of the request as it came, its path included; `retry`: the
    client's library says that it has tried before."""

    key_name: str | None
    path: str
    fingerprint: str
    key: str | None = None
    retry: bool = False

    @property
    def scope(self) -> str | None:
        """Stands for the Idempotency-Key of this key, method and path."""
        if self.key is None:
            return None
        return hashlib.sha256(orjson.dumps([self.key_name, "POST", self.path, self.key])).hexdigest()


class Claim:
    """The right to carry out a request. Others with the same Idempotency-Key wait until it is fulfilled or released."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.job: asyncio.Future[Job | None] = asyncio.get_running_loop().create_future()
        self.let_go: Callable[[], None] = lambda: None
        """Lets other processes carry it out."""

    @property
    def fulfilled(self) -> bool:
        return self.job.done() and self.job.result() is not None


class Journal:
    """The generations of this process. `storage_seconds`: how long pictures are kept that were delivered; `lasting`:
    the storage has room for all of them. `peers`: where other processes serve with this one."""

    def __init__(
        self,
        generations: Generations,
        storage: Storage,
        limits: Limits,
        *,
        storage_seconds: float,
        lasting: bool,
        peers: Peers | None = None,
    ) -> None:
        self.generations = generations
        self.limits = limits
        self._keeper = Keeper(storage, limits, lasting=lasting)
        self._storage_seconds = storage_seconds
        self._live: dict[str, Job] = {}
        self._claims: dict[str, Claim] = {}
        self._trimmed: dict[str | None, int] = {}
        self._peers = peers or Peers()
        self._peers.answer(self._left_for_peer, self._given_back, self._running_here, self._nobodys)

    async def claim(self, identity: Identity) -> Claim | Job | Generation:
        """The right to carry the request out, or what was made of it before: a job of this process, or what is on
        record. Raises IdempotencyKeyReused, StorageFull or StateUnavailable."""
        scope = identity.scope
        if scope is None:
            found = await self._left(identity) if identity.retry else None
            return Claim(identity) if found is None else found
        while (holder := self._claims.get(scope)) is not None:
            _check(holder.identity.fingerprint, identity)
            job = await asyncio.shield(holder.job)
            if job is not None:
                return job
        claim = self._claims[scope] = Claim(identity)
        try:
            claim.let_go = await self._peers.hold(scope)
            record = await self.generations.keyed(scope, time.time() - self.limits.idempotency_seconds)
        except BaseException:
            self.release(claim)
            raise
        if record is None:
            return claim
        self.release(claim)
        _check(record.new.fingerprint, identity)
        return self._live.get(record.new.id, record)

    def fulfil(self, claim: Claim, job: Job) -> None:
        """The request is being carried out."""
        if not claim.job.done():
            claim.job.set_result(job)

    def release(self, claim: Claim) -> None:
        """The request was not carried out: whoever asks next may. Nothing where it was."""
        if claim.job.done():
            return
        claim.job.set_result(None)
        scope = claim.identity.scope
        if scope is not None and self._claims.get(scope) is claim:
            del self._claims[scope]
            claim.let_go()

    async def _left(self, identity: Identity) -> Job | Generation | None:
        """What the same client asked for before and was not given."""
        fingerprint, key_name = identity.fingerprint, identity.key_name
        found = await self._left_here(fingerprint, key_name) or await self._peers.left(fingerprint, key_name)
        return found or await self._left_on_record(fingerprint, key_name)

    async def _left_for_peer(self, fingerprint: str, key_name: str | None) -> NewGeneration | None:
        """The same for another process, which cannot see yet what was written down a moment ago."""
        job = await self._left_here(fingerprint, key_name)
        if job is not None:
            return job.order.generation
        found = await self._left_on_record(fingerprint, key_name)
        return None if found is None else found.new

    async def _left_on_record(self, fingerprint: str, key_name: str | None) -> Generation | None:
        return await self.generations.undelivered(fingerprint, key_name, time.time() - LEFT_SECONDS)

    async def _left_here(self, fingerprint: str, key_name: str | None) -> Job | None:
        for job in tuple(self._live.values()):
            new = job.order.generation
            if new is None or (new.fingerprint, new.key_name) != (fingerprint, key_name):
                continue
            if job.claimed or job.delivered or (job.failure is not None and not job.order.progress.worked):
                continue
            if await job.deserted() and not job.claimed:
                job.claimed = True
                return job
        return None

    async def let_go(self, id: str) -> None:
        """A client that came back for what another process works on has left again."""
        await self._peers.let_go(id)

    def _given_back(self, id: str) -> bool:
        job = self._live.get(id)
        if job is not None:
            job.claimed = False
        return job is not None

    def begun(self, job: Job) -> None:
        """The job has begun."""
        if job.order.generation is not None:
            self._live[job.generation_id] = job

    async def find(self, id: str, key_name: str | None) -> Job | Generation | None:
        """A generation of this key's; None where there is none."""
        job = self._live.get(id)
        if job is None:
            return await self.generations.find(id, key_name) or await self._peers.running(id, key_name)
        return None if self._running_here(id, key_name) is None else job

    async def _nobodys(self, id: str) -> None:
        """What was claimed for a client's retry, and came too late for it."""
        await self._again(id, reached=False)

    def _running_here(self, id: str, key_name: str | None) -> NewGeneration | None:
        """A stream tells its id before the record of it is written: another process cannot see that yet."""
        job = self._live.get(id)
        new = None if job is None else job.order.generation
        return new if new is not None and new.key_name == key_name else None

    async def leave(self, job: Job, visit: Visit, *, delivered: bool) -> None:
        """A client waits no more: it was given its answer, or is gone. The last one puts the generation away."""
        job.visits.discard(visit)
        job.delivered |= delivered
        if job.put_away:
            if delivered:
                await self._again(job.generation_id, reached=True)
        elif not job.visits:
            job.claimed = False
            if job.ended:
                await self.put_away(job)

    async def returned(self, id: str, *, delivered: bool) -> None:
        """A client was given what is on record, or was not: then it may come back for it."""
        await self._again(id, reached=delivered)

    async def put_away(self, job: Job) -> None:
        """Write down how it ended, and keep its pictures. Never raises: whatever fails now must not become an answer
        that invites the client to pay again."""
        new = job.order.generation
        if job.put_away or new is None:
            return
        job.put_away = True
        try:
            ended = await self._keeper.ended(job)
            if ended is not None:
                await self.generations.end(new, ended)
                await self._trim(new.key_name, keyed=new.scope is not None)
        except OperatorError as error:
            log.error("the end of generation %s is not on record: %s", job.generation_id, error.message)
        except Exception:  # a bug of ours must not take a paid answer's place either
            log.exception("the end of generation %s is not on record", job.generation_id)
        finally:
            self._live.pop(job.generation_id, None)
            claim = self._claims.get(new.scope) if new.scope is not None else None
            if new.scope is not None and claim is not None and claim.job.done() and claim.job.result() is job:
                del self._claims[new.scope]
                claim.let_go()

    async def name(
        self, order: Order, picture: Delivered, *, durable: bool = True, seconds: float | None = None
    ) -> str:
        """As `Keeper.name`."""
        return await self._keeper.name(order, picture, durable=durable, seconds=seconds)

    async def sweep(self, now: float) -> int:
        """Forget what is old."""
        limits = self.limits
        answers = max(limits.undelivered_seconds, limits.idempotency_seconds, self._storage_seconds)
        ages = Ages(now - limits.ledger_days * DAY, now - answers, now - limits.idempotency_seconds)
        return await self.generations.sweep(ages)

    async def _again(self, id: str, *, reached: bool) -> None:
        try:
            await self.generations.delivered(id, reached=reached)
        except OperatorError as error:
            log.error("whether generation %s was delivered is not on record: %s", id, error.message)

    async def _trim(self, key_name: str | None, *, keyed: bool) -> None:
        """Hold a key to its number of records, without counting them at every request."""
        if not keyed:
            return
        most = self.limits.idempotency_records
        self._trimmed[key_name] = self._trimmed.get(key_name, 0) + 1
        if self._trimmed[key_name] >= max(1, most // TRIMS):
            self._trimmed[key_name] = 0
            await self.generations.trim(key_name, most)


def _check(fingerprint: str | None, identity: Identity) -> None:
    if fingerprint != identity.fingerprint:
        raise IdempotencyKeyReused(
            "Idempotency-Key: it was used for another request already; take a new key, or send the same request again",
            param="Idempotency-Key",
        )
