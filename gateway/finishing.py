"""From what a provider hands over to what the client gets: fetch, check, and finish a picture as the plan says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin

from gateway.backends import origin
from gateway.config.limits import Limits
from gateway.outcome import Delivered
from gateway.services.codecs import CodecError, CodecPool
from gateway.services.weights import Weights
from normalization.errors import BadUpstreamImage, GenerationFailed, GenerationTimeout, ResultUnavailable
from normalization.pictures import BadPicture, FinishOptions
from normalization.plan import Finish
from providers.addresses import Network
from providers.base import Work
from providers.fetch import Fetcher, FetchPolicy, Unfetchable
from providers.transport import Target

FETCHES = 4
"""Looks for one result: it is paid for, and a GET is safe to repeat."""
RESULT_BYTES = 4 * 1024 * 1024
"""What a picture is taken to weigh that nobody has seen yet."""

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


@dataclass(frozen=True, slots=True)
class Finisher:
    """Turns artifacts into deliveries. Decoding happens in the codec pool, never in this process."""

    pool: CodecPool
    fetcher: Fetcher
    options: FinishOptions
    policy: FetchPolicy
    """For results; a provider's own origin is trusted besides."""
    weights: Weights = field(default_factory=Weights)

    async def draw(self, work: Work, pixels: int, deadline: float) -> bytes:
        """Have a picture made in the codec pool."""
        try:
            data: Any = await self.pool.run(work.function, work.arguments, pixels=pixels, deadline=deadline)
        except TimeoutError as error:
            raise GenerationTimeout("the picture was not drawn before the deadline") from error
        except (CodecError, BadPicture) as error:
            raise GenerationFailed("the picture could not be drawn", detail=str(error)) from error
        return bytes(data)

    async def fetch(self, url: str, target: Target, deadline: float) -> bytes:
        """The bytes behind a result's URL, which may be relative to the provider's address.

        Raises ResultUnavailable when it cannot be had, BadUpstreamImage when it points where it must not.
        """
        absolute = urljoin(f"{target.base_url}/", url)
        policy = replace(self.policy, trusted_origin=origin(target.base_url) if target.base_url else None)
        for attempt in range(FETCHES):
            try:
                async with self.weights.hold(RESULT_BYTES):
                    return (await self.fetcher.fetch(absolute, policy=policy, deadline=deadline)).data
            except Unfetchable as error:
                if error.code not in TRANSIENT:
                    raise BadUpstreamImage("the provider's result cannot be used", detail=str(error)) from error
                if attempt == FETCHES - 1:
                    raise ResultUnavailable("the provider's result cannot be fetched", detail=str(error)) from error
            await asyncio.sleep(0.2 * 3**attempt)
        raise AssertionError("unreachable: the last look returns or raises")

    async def finish(self, data: bytes, finish: Finish, deadline: float) -> Delivered:
        """Check a provider's picture and make it what the plan promises. Raises BadUpstreamImage."""
        raw = self.weights.keep(len(data))
        try:
            done = await self.pool.finish(data, finish, self.options, deadline=deadline)
        except TimeoutError as error:
            raise GenerationTimeout("the picture came, but could not be finished before the deadline") from error
        except (BadPicture, CodecError) as error:
            raise BadUpstreamImage(
                "the provider's picture cannot be used: it is damaged, too large or not a picture", detail=str(error)
            ) from error
        finally:
            raw.release()
        return Delivered(
            data=done.data,
            format=done.format,
            size=done.size,
            source_format=done.source_format,
            source_size=done.source_size,
            enlarged=done.enlarged,
            flattened=done.flattened,
            weight=self.weights.keep(len(done.data)),
        )
