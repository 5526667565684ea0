"""From what a provider hands over to what the client gets: fetch, check, and finish a picture as the plan says."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin

from gateway.backends import origin
from gateway.config.limits import Limits
from gateway.outcome import Delivered
from gateway.services.codecs import CodecError, CodecPool
from gateway.services.spool import Spool, Spooled
from gateway.services.weights import Weight, Weights
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import Traces
from normalization.errors import (
    BadUpstreamImage,
    GenerationFailed,
    GenerationTimeout,
    OperatorError,
    ResultUnavailable,
)
from normalization.pictures import BadPicture, FinishOptions
from normalization.pictures.finish import Finished, thumbnail_size
from normalization.pictures.inspect import inspect
from normalization.plan import Finish
from normalization.vocabulary import Format
from providers.addresses import Network
from providers.base import Work
from providers.fetch import Fetcher, FetchPolicy, Unfetchable
from providers.transport import Target

log = logging.getLogger("imagegate.finishing")

FETCHES = 4
"""Looks for one result: it is paid for, and a GET is safe to repeat."""
RESULT_BYTES = 4 * 1024 * 1024
"""What a picture is taken to weigh that nobody has seen yet."""

EXPIRED = frozenset({403, 404, 410})
"""What the host of a result says of an address that is no longer good, or not yet."""

PREVIEW_SECONDS = 2.0
"""A picture in between that takes longer is left out: those that come after it, and the last, wait for it."""

TRANSIENT = frozenset({"refused", "timeout", "status", "dns", "slow", "broken"})


def result_policy(limits: Limits, allow_private: Iterable[Network] = ()) -> FetchPolicy:
    """What may be fetched on a provider's word: where it says that its pictures are. `allow_private`: the networks that
    the operator has opened."""
    return FetchPolicy(
        bytes_most=limits.result_bytes,
        seconds_most=limits.result_seconds,
        redirects_most=limits.fetch_redirects,
        allow_private=tuple(allow_private),
        min_rate=limits.fetch_bytes_per_second,
        resolve_seconds_most=limits.fetch_dns_seconds,
    )


class Expired(ResultUnavailable):
    """A result's address is not good any more, and whoever made the result may name another one."""


@dataclass(frozen=True, slots=True)
class Finisher:
    """Turns artifacts into deliveries. Decoding happens in the codec pool, never in this process."""

    pool: CodecPool
    fetcher: Fetcher
    options: FinishOptions
    policy: FetchPolicy
    """For results; a provider's own origin is trusted besides."""
    weights: Weights = field(default_factory=Weights)
    spool: Spool | None = None
    """Where finished pictures lie while memory is short."""
    metrics: Metrics = field(default_factory=Metrics)
    traces: Traces = field(default_factory=Traces)

    async def draw(self, work: Work, pixels: int, deadline: float) -> bytes:
        """Have a picture made in the codec pool."""
        try:
            data: Any = await self.pool.run(work.function, work.arguments, pixels=pixels, deadline=deadline)
        except TimeoutError as error:
            raise GenerationTimeout("the picture was not drawn before the deadline") from error
        except (CodecError, BadPicture) as error:
            raise GenerationFailed("the picture could not be drawn", detail=str(error)) from error
        return bytes(data)

    async def fetch(
        self, url: str, target: Target, deadline: float, *, renewable: bool = False
    ) -> tuple[bytes, Weight]:
        """The bytes behind a result's URL, which may be relative to the provider's address, and what counts them.
        `renewable`: another address can be had.

        Raises ResultUnavailable when it cannot be had, which is Expired at once where a renewable address is not good
        any more; BadUpstreamImage when it points where it must not.
        """
        try:
            absolute = urljoin(f"{target.base_url}/", url)
        except ValueError as error:  # brackets without an address between them, say
            raise BadUpstreamImage("the provider's result cannot be used", detail="its address is none") from error
        policy = replace(self.policy, trusted_origin=origin(target.base_url) if target.base_url else None)
        for attempt in range(FETCHES):
            try:
                async with self.weights.hold(RESULT_BYTES) as weight:
                    data = (await self.fetcher.fetch(absolute, policy=policy, deadline=deadline)).data
                weight.resize(len(data))
                return data, weight
            except Unfetchable as error:
                if error.code not in TRANSIENT:
                    raise BadUpstreamImage("the provider's result cannot be used", detail=str(error)) from error
                if renewable and error.status in EXPIRED:
                    raise Expired("the provider's result cannot be fetched", detail=str(error)) from error
                if attempt == FETCHES - 1:
                    raise ResultUnavailable("the provider's result cannot be fetched", detail=str(error)) from error
            await asyncio.sleep(0.2 * 3**attempt)
        raise AssertionError("unreachable: the last look returns or raises")

    async def finish(self, data: bytes, finish: Finish, deadline: float, weight: Weight | None = None) -> Delivered:
        """Check a provider's picture and make it what the plan promises. `weight` counts it, where it is counted
        already. Raises BadUpstreamImage."""
        weight = weight or self.weights.keep(len(data))
        began = time.monotonic()
        try:
            with self.traces.conversion(finish):
                done = await self._finished(data, finish, deadline)
        except BaseException:  # whose traceback would go on holding it
            weight.release()
            raise
        self.metrics.converted(done.source_format, done.format, time.monotonic() - began)
        small = _thumbnail(done, finish)
        weight.resize(len(done.data))
        return Delivered(
            data=await self._laid_down(done.data, weight),
            format=done.format,
            size=done.size,
            source_format=done.source_format,
            source_size=done.source_size,
            enlarged=done.enlarged,
            flattened=done.flattened,
            weight=weight,
            thumbnail=small,
        )

    async def preview(self, data: bytes, form: Format | None) -> Finished | None:
        """A picture in between, in this format (None = as it came); None where it cannot be had soon."""
        deadline = time.monotonic() + PREVIEW_SECONDS
        try:
            form = form or inspect(data, self.options.limits).format
            return await self.pool.finish(data, Finish(form), self.options, deadline=deadline)
        except (TimeoutError, BadPicture, CodecError) as error:
            log.info("a picture in between is left out: %s", error)
            return None

    async def _laid_down(self, data: bytes, weight: Weight) -> bytes | Spooled:
        """A finished picture, which may have to wait for a slow client: on disk where others wait for its memory."""
        if self.spool is None or not self.weights.crowded:
            return data
        try:
            file = await asyncio.to_thread(_spooled, self.spool, data)
        except OperatorError as error:  # what is paid for is rather held than lost
            log.error("a finished picture stays in memory: %s", error.message)
            return data
        weight.release()
        return file

    async def _finished(self, data: bytes, finish: Finish, deadline: float) -> Finished:
        if finish.thumbnail is not None:
            try:
                return await self.pool.finish(data, finish, self.options, deadline=deadline)
            except (TimeoutError, BadPicture, CodecError) as error:
                # What passes through needs no decoder, and is not lost where only the thumbnail did.
                log.info("a thumbnail is left out: %s", error)
                finish = replace(finish, thumbnail=None)
        try:
            return await self.pool.finish(data, finish, self.options, deadline=deadline)
        except TimeoutError as error:
            raise GenerationTimeout("the picture came, but could not be finished before the deadline") from error
        except (BadPicture, CodecError) as error:
            raise BadUpstreamImage(
                "the provider's picture cannot be used: it is damaged, too large or not a picture", detail=str(error)
            ) from error


def _thumbnail(done: Finished, finish: Finish) -> Delivered | None:
    if done.thumbnail is None or finish.thumbnail is None:
        return None
    return Delivered(done.thumbnail, Format.WEBP, thumbnail_size(done.size, finish.thumbnail))


def _spooled(spool: Spool, data: bytes) -> Spooled:
    file = spool.new()
    file.write(data)
    return file
