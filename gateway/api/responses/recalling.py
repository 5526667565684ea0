"""Pictures that were made here before, as input of another request."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gateway.api.callers import Caller
from gateway.api.responses.items import Reference
from gateway.container import Services
from gateway.services.intake import Given
from normalization.errors import NotFound


async def recalled(services: Services, caller: Caller, pictures: Sequence[Given | Reference]) -> tuple[Given, ...]:
    """The pictures, with what an id stands for in its place. Raises NotFound, also for what another key has made."""
    given: list[Given] = []
    for each in pictures:
        given += [each] if isinstance(each, Given) else await _kept(services, caller, each)
    return tuple(given)


async def _kept(services: Services, caller: Caller, reference: Reference) -> list[Given]:
    kept = await services.state.responses.pictures(reference.id, caller.name, time.time())
    if kept is None:
        raise _unknown(reference)
    given = []
    for picture in kept:
        stored = await services.storage.open(picture.name)
        if stored is None:
            raise _unknown(reference)
        spooled = services.spool.new()
        async for chunk in stored.chunks():
            spooled.write(chunk)
        given.append(Given(reference.param, spooled))
    return given


def _unknown(reference: Reference) -> NotFound:
    why = "it has expired, was not stored, or was never made"
    return NotFound(f"{reference.param}: {reference.id[:100]!r} is not kept here: {why}", param=reference.param)
