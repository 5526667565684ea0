"""What is kept of work that has ended: how, its answer as a record, and its pictures in the storage."""

from __future__ import annotations

import logging
import time

from gateway.config.limits import Limits
from gateway.jobs import Job
from gateway.outcome import Delivered, Link, Order, Piece
from gateway.services.allowance import Allowance
from gateway.services.generations import Ended, KeptAnswer, KeptError, KeptPicture, KeptPieces, Status
from gateway.services.storage import Storage
from normalization.errors import (
    BadUpstreamResponse,
    DrainingUnfinished,
    GenerationTimeout,
    ImagegateError,
    OperatorError,
    OutcomeUnknown,
)

log = logging.getLogger("imagegate.journal")

KEPT_BYTES = 64 * 1024 * 1024
KEPT_BYTES_PER_SECOND = 16 * 1024 * 1024
"""At once, and in the long run, of pictures that reached their clients and are not anywhere yet: writing down more
would slow down everybody for what hardly anybody asks for."""
UNKNOWN = (OutcomeUnknown, BadUpstreamResponse, GenerationTimeout, DrainingUnfinished)


class Keeper:
    """For one process. `lasting`: the storage has room for all pictures."""

    def __init__(self, storage: Storage, limits: Limits, *, lasting: bool) -> None:
        self._storage = storage
        self._limits = limits
        self._lasting = lasting
        self._allowance = Allowance(KEPT_BYTES, KEPT_BYTES_PER_SECOND)

    async def name(
        self, order: Order, picture: Delivered, *, durable: bool = True, seconds: float | None = None
    ) -> str:
        """The name of a finished picture in the storage, where it is put once. Raises StorageFull or
        StateUnavailable."""
        stored = order.progress.stored
        if id(picture) not in stored:
            name = await self._storage.put(picture.read(), picture.format, durable=durable, seconds=seconds)
            stored[id(picture)] = name
        return stored[id(picture)]

    async def ended(self, job: Job) -> Ended | None:
        """How a job ended; None where it has not: another process will go on with it."""
        progress, now = job.order.progress, time.time()
        if job.stopped:
            if progress.open_jobs or not progress.begun:
                return None
            error: ImagegateError = DrainingUnfinished("the gateway stopped before it knew what became of the work")
            return Ended("unknown", now, delivered=False, error=kept_error(error), released=not progress.worked)
        if job.failure is not None:
            if progress.made:  # strict, and one is missing
                await self._save(job)
            return Ended(
                status_of(job.failure),
                now,
                job.delivered,
                error=kept_error(job.failure),
                released=not progress.worked,
                jobs=progress.any_jobs,
            )
        kept = await self._kept(job)
        return Ended("succeeded", now, job.delivered, kept, jobs=progress.any_jobs)

    async def _kept(self, job: Job) -> KeptAnswer | None:
        answer, new = job.answer, job.order.generation
        if answer is None or new is None:
            return None
        if not job.delivered:
            await self._save(job)
        pieces = (*answer.pieces, *(job.events or ()))
        if job.delivered and new.scope is None and not self._worth_keeping(job, pieces):
            return None
        try:
            body = await self._listed(job.order, answer.pieces)
            events = None if job.events is None else await self._listed(job.order, job.events)
        except OperatorError as error:
            log.error("the answer of generation %s cannot be kept: %s", job.generation_id, error.message)
            return None
        return KeptAnswer(dict(answer.headers), body, events)

    def _worth_keeping(self, job: Job, pieces: tuple[Piece, ...]) -> bool:
        """Whether an answer that its client has is kept, in case it asks again."""
        stored, writing = job.order.progress.stored, job.order.writing
        if writing is not None and writing.forgotten:
            return False
        size = sum(each.length for each in pieces if isinstance(each, Delivered) and id(each) not in stored)
        return not size or (self._lasting and self._allowance.take(size))

    async def _save(self, job: Job) -> None:
        """Pictures that nobody was given are paid for all the same."""
        seconds = self._limits.undelivered_seconds
        for picture in job.order.progress.made.values():
            try:
                known = id(picture) in job.order.progress.stored
                name = await self.name(job.order, picture, seconds=seconds)
                if known:
                    await self._storage.prolong(name, seconds)
            except OperatorError as error:
                log.error("a picture of generation %s is lost: %s", job.generation_id, error.message)
            else:
                log.warning("a picture of generation %s was given to nobody; kept as %s", job.generation_id, name)

    async def _listed(self, order: Order, pieces: tuple[Piece, ...]) -> KeptPieces:
        kept: list[str | KeptPicture] = []
        for piece in pieces:
            if isinstance(piece, bytes):
                kept.append(piece.decode())
            elif isinstance(piece, Link):
                kept.append(KeptPicture(piece.name, "url"))
            else:
                kept.append(KeptPicture(await self.name(order, piece, durable=False), "b64"))
        return tuple(kept)


def kept_error(error: ImagegateError) -> KeptError:
    """An error, as it is kept."""
    return KeptError(error.code, error.message, error.param, error.should_retry)


def status_of(error: ImagegateError) -> Status:
    """What a generation is that ended with an error."""
    return "unknown" if isinstance(error, UNKNOWN) else "failed"
