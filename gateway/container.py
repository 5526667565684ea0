"""Everything with a lifetime, wired together once per process."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.affording import Affording
from gateway.api.account import Account, Kept
from gateway.api.callers import Keyring
from gateway.backends import build_backends
from gateway.bookkeeping import Bookkeeper
from gateway.chores import Chores
from gateway.config.limits import Limits as HouseLimits
from gateway.config.model import Settings
from gateway.config.reloading import taken_over
from gateway.dispatch import Dispatcher
from gateway.finishing import Finisher, result_policy
from gateway.jobs import Finished, Job, Jobs
from gateway.journal import Journal
from gateway.ordering import Ordering
from gateway.outcome import Order, Outcome, Writing
from gateway.peers import Peers
from gateway.resending import Repeats, Resending
from gateway.resumption import Resumption
from gateway.routing import Catalogue
from gateway.services import heap, spool
from gateway.services.codecs import CodecPool, PoolSettings
from gateway.services.gates import GateFull
from gateway.services.hosting import Hosting
from gateway.services.intake import Intake
from gateway.services.notebook import Notebook
from gateway.services.sharing import TALLY, Alone, Sharing
from gateway.services.signing import Signer, key_from_text, load_or_make_key
from gateway.services.spool import Spool
from gateway.services.state import State, open_state
from gateway.services.storage import Storage
from gateway.services.storages import open_storage
from gateway.services.weights import Weights
from gateway.submission import Driver
from gateway.telemetry import context
from gateway.telemetry.exposition import Told, Values
from gateway.telemetry.gauges import readings
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.redaction import REDACTOR, secrets_of
from gateway.telemetry.traces import open_traces
from normalization.errors import ImagegateError, InternalError, OperatorError, Overloaded
from normalization.pictures import FinishOptions, Limits
from normalization.vocabulary import MEGAPIXEL
from providers.fetch import Fetcher
from providers.transport import Transport

if TYPE_CHECKING:
    from gateway.services.redis.connection import RedisConnection

log = logging.getLogger("imagegate")

LOOK_SECONDS = 1.0
"""Between looks at whether the disk has room."""
READY_SECONDS = 2.0
"""After it, whatever does not answer counts as gone."""
CLOSE_SECONDS = 60.0
"""After it, what has not closed at the end is left as it is."""

Restore = Callable[["Services", Mapping[str, Any]], Writing | None]
"""Makes a `Writing` anew from its recipe."""


def _shared(settings: Settings, given: Sharing | None) -> tuple[Sharing, RedisConnection | None]:
    """What this process shares, and its way to Redis, whose library is loaded only where it is used: that takes a tenth
    of a start."""
    if settings.state.redis is None:
        return given or Alone(), None
    from gateway.services.redis.sharing import RedisSharing, redis_sharing

    sharing = given or redis_sharing(settings) or Alone()
    return sharing, sharing.connection if isinstance(sharing, RedisSharing) else None


class Services:
    """What endpoints and the command line work with. `start` before the first request, `close` after the last."""

    def __init__(self, settings: Settings, restore: Restore | None = None, sharing: Sharing | None = None) -> None:
        """`restore`: jobs that other processes left are taken up; None = they are left alone. `sharing`: where other
        processes serve with this one."""
        self.settings = settings
        self.sharing, self.redis = _shared(settings, sharing)
        """Where replicas share records too."""
        self._restore = restore
        self.created = int(time.time())
        self.catalogue = Catalogue(settings)
        self.backends = build_backends(settings, sharing=self.sharing)
        self.ordering = Ordering(settings, self.catalogue, self.backends)
        self.keyring = Keyring(settings, self.sharing)
        self.rates = self.sharing.rates(settings.auth.keys)
        self.jobs = Jobs()
        self.wakes = self.sharing.wakes()
        self.storage: Storage
        self.signer: Signer
        self.hosting: Hosting
        self._looked = -math.inf
        self.spool: Spool
        self.intake: Intake
        self.state: State
        self.notebook: Notebook
        self.books: Bookkeeper
        self.journal: Journal
        REDACTOR.learn(secrets_of(settings))
        self.metrics = Metrics()
        self.metrics.expect(settings.models)
        self.traces = open_traces(os.environ)
        self.keepers: list[Kept] = [self.metrics.request]
        """Who is given the account of each request once it is over."""
        self.pool: CodecPool
        self.weights: Weights
        self.transport: Transport
        self.fetcher: Fetcher
        self.dispatcher: Dispatcher
        self._started: asyncio.Task[None] | None = None
        self._chores = Chores(self)

    def keep(self, account: Account) -> None:
        """A request is over."""
        for keeper in self.keepers:
            keeper(account)

    def reload(self, settings: Settings) -> None:
        """Take over providers, models, keys and how requests are fitted; the rest holds until a restart. Work under
        way goes on as it was planned."""
        REDACTOR.learn(secrets_of(settings))
        merged = taken_over(self.settings, settings)
        backends = build_backends(merged, self.backends, self.sharing)
        catalogue = Catalogue(merged)
        # All of it at once: nobody sees a part, also where another part cannot be made.
        ordering, keyring = Ordering(merged, catalogue, backends), Keyring(merged, self.sharing)
        self.settings, self.catalogue, self.backends = merged, catalogue, backends
        self.ordering, self.keyring = ordering, keyring
        self.rates.configure(merged.auth.keys)
        self.metrics.expect(merged.models)

    async def start(self) -> None:
        """Open files and clients; a second call waits for the first, and fails as it did."""
        if self._started is None:
            self._started = asyncio.create_task(self._start())
        if self._started.done():
            self._started.result()
        else:
            await asyncio.shield(self._started)

    async def _start(self) -> None:
        heap.keep()
        await self.sharing.start()
        settings, limits = self.settings, self.sharing.own(self.settings.limits)
        await self._open_state(settings)
        self.pool = CodecPool(
            PoolSettings(
                workers=limits.codec_processes,
                seconds_most=limits.codec_seconds,
                memory_most=limits.codec_memory_bytes,
            )
        )
        self.weights = Weights(limits.in_flight_picture_bytes)
        self.transport = Transport(room=self.weights.reply)
        self.fetcher = Fetcher()
        self.spool = Spool(settings.server.data_dir)
        self.intake = Intake(self.pool, self.fetcher, self.spool, limits, settings.network.allow_private)
        self.hosting = Hosting(self.storage, self.signer)
        driver = Driver(
            self.transport,
            self.state.attempts,
            self._finisher(limits),
            self.hosting,
            limits.queue_wait_seconds,
            limits.settle_seconds,
            self.wakes,
            Resending(Repeats.of(limits)),
            metrics=self.metrics,
            traces=self.traces,
        )
        pixels_most, affording = int(limits.output_megapixels * MEGAPIXEL), Affording(self.state.ledger.spent)
        self.dispatcher = Dispatcher(driver, pixels_most, affording, weights=self.weights)
        self.journal = Journal(
            self.state.generations,
            self.storage,
            limits,
            storage_seconds=settings.storage.retention_seconds,
            lasting=settings.storage.url != "memory",
            peers=Peers(self.sharing, settings.server.deadline_seconds),
        )
        self.sharing.answer(TALLY, self._tallied)
        resumption = None if self._restore is None else Resumption(self, self._restore)
        if resumption is not None:
            await resumption.scan()
        self._chores.begin(resumption)

    def _finisher(self, limits: HouseLimits) -> Finisher:
        return Finisher(
            pool=self.pool,
            fetcher=self.fetcher,
            options=FinishOptions(
                default_quality=self.settings.normalization.default_quality,
                limits=Limits(
                    bytes_most=limits.result_bytes,
                    pixels_most=int(limits.output_megapixels * MEGAPIXEL * 1.5),
                    ratio_most=None,
                ),
            ),
            policy=result_policy(limits, self.settings.network.allow_private),
            weights=self.weights,
            spool=self.spool,
            metrics=self.metrics,
            traces=self.traces,
        )

    async def _open_state(self, settings: Settings) -> None:
        data_dir = settings.server.data_dir
        await asyncio.to_thread(data_dir.mkdir, mode=0o700, parents=True, exist_ok=True)
        given = settings.storage.signing_key
        key = key_from_text(given.get_secret_value()) if given is not None else load_or_make_key(data_dir)
        self.signer = Signer([key], ttl=settings.storage.url_ttl_seconds)
        self.storage = await open_storage(settings)
        self.state = await open_state(settings, self.redis)
        self.notebook = Notebook(data_dir)
        self.books = Bookkeeper(self.state.ledger, self.notebook)
        await self.books.catch_up(self._all_written)
        self.keepers.append(self.books.keep)

    async def _all_written(self) -> bool:
        await self.state.attempts.ping()
        return not self.state.attempts.unwritten

    def tally(self) -> dict[str, Values]:
        """What this process counts and measures, as other processes are told it."""
        return Told.of(self.metrics.registry, readings(self)).entry()

    async def _tallied(self, _: Any) -> dict[str, Values]:
        return self.tally()

    def start_job(self, order: Order) -> Job:
        """Begin an order's work; it goes on whether or not anybody waits."""
        most = self.settings.server.max_concurrent_requests
        if len(self.jobs) >= most:
            raise Overloaded(f"{most} requests are in progress already (server.max_concurrent_requests)")
        deadline = time.monotonic() + self.settings.limits.settle_seconds
        return self.start_work(order, lambda: self._dispatched(order, deadline, most))

    async def _dispatched(self, order: Order, deadline: float, most: int) -> Outcome:
        await self._room_on_disk()
        try:
            async with self.sharing.place(most):
                return await self.dispatcher.run(order, deadline)
        except GateFull:
            raise Overloaded(f"{most} requests are in progress already (server.max_concurrent_requests)") from None

    async def _room_on_disk(self) -> None:
        """Raise StorageFull before anything is bought that could not be kept; looked at once a second at most."""
        now = time.monotonic()
        if now >= self._looked + LOOK_SECONDS:
            await self.storage.check()
            self._looked = now

    def start_work(self, order: Order, work: Callable[[], Awaitable[Outcome]]) -> Job:
        """Begin what comes to an order's outcome, and write its answer at the end. Raises Draining."""
        job = self.jobs.start(order, lambda job: self._carried(job, work))
        spool.keep()
        self.journal.begun(job)
        return job

    async def _carried(self, job: Job, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
        order = job.order
        context.of_work(order, prompts=self.settings.logs.prompts)
        try:
            outcome = await work()
            if order.writing is not None:
                job.answer = await order.writing.written(order, outcome)
                # Whoever follows the stream now may still lose it, and its library asks for a stream again.
                job.events = await order.writing.events(order, Finished(outcome))
        except ImagegateError as error:
            job.failure = error
            if order.writing is not None and order.generation is not None and order.generation.scope is not None:
                job.events = await order.writing.events(order, Finished(error))
            raise
        except asyncio.CancelledError:
            job.stopped = True
            raise
        except Exception as error:
            job.failure = InternalError("an unexpected error in the gateway", detail=repr(error))
            raise
        finally:
            try:
                if not job.visits:
                    await self.journal.put_away(job)
            finally:
                for picture in order.brought:
                    picture.content.close()
        return outcome

    async def not_ready(self) -> list[str]:
        """Why the gateway should get no work now; empty = it may."""
        reasons = []
        if self.jobs.draining:
            reasons.append("shutting down")
        for check in (self.storage.check, self.state.attempts.ping):
            try:
                async with asyncio.timeout(READY_SECONDS):
                    await check()
            except OperatorError as error:
                reasons.append(error.message)
            except TimeoutError:
                reasons.append("records or pictures cannot be kept now: the disk, or what locks it, does not answer")
        return reasons

    async def close(self) -> None:
        """Let work under way end, then close everything."""
        if self._started is None:
            return
        await self._started
        await self.jobs.drain(self.settings.limits.drain_seconds)
        for close in (
            self._chores.close,
            self.dispatcher.probes.close,
            self.transport.aclose,
            self.fetcher.aclose,
            self.pool.close,
            self.books.close,
            self._close_records,
            self.storage.close,
            lambda: asyncio.to_thread(self.traces.close),
            self._close_sharing,
        ):
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await close()
            except Exception:  # whatever will not close, what is yet to be written is written
                log.exception("the gateway could not close one of its services")

    async def _close_records(self) -> None:
        try:
            await self.state.close()
        finally:
            self.notebook.close(entered=not self.state.attempts.unwritten)

    async def _close_sharing(self) -> None:
        self.sharing.close()
        if self.redis is not None:
            await self.redis.close()
