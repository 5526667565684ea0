"""What it takes to go on with a job in another process, as JSON on the job's record, and back.

The record holds no picture, no credential and, unless the answer repeats it, no prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.backends import Backend
from gateway.outcome import Candidate, Order
from normalization.plan import Call, Finish
from normalization.vocabulary import Applied, Behavior, Format, ImageRequest, Operation, Shape, Size
from providers.base import Resumable

VERSION = 1


def resumable(backend: Backend) -> bool:
    """Whether a job at this provider can be looked at by a process that did not submit it."""
    return isinstance(backend.adapter, Resumable)


@dataclass(frozen=True, slots=True)
class Resumption:
    """A job's record, read. `spared` are the names in the storage of the original and the mask that the pictures are
    laid into, and the size of both; None where they were not kept."""

    address: str
    call: Call
    finish: Finish
    composite: bool
    spared: tuple[str, str, Size] | None
    yields: Size | None
    applied: tuple[Applied, ...]
    request: ImageRequest
    model: str
    requested_model: str
    base: str
    recipe: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A job that another process has submitted. `address`: where; `age`: seconds since then."""

    attempt: str
    job: str
    address: str
    age: float
    cost_micros: int | None
    """What was planned for it, in micro-dollars."""


def resume_text(order: Order, candidate: Candidate, call: Call, address: str) -> str | None:
    """The record of a job at `address`; None where nobody could go on with it."""
    if not resumable(candidate.backend):
        return None
    plan, request = candidate.plan, candidate.request
    value = {
        "v": VERSION,
        "address": address,
        "call": [call.places, call.seeds, call.operation],
        "finish": _finish(plan.finish, order.progress.spared),
        "yields": _size(plan.yields),
        "applied": listed_applied(plan.applied),
        "request": _request(request),
        "model": [order.model, order.requested_model],
        "base": order.base,
        "recipe": None if order.writing is None else order.writing.recipe(),
    }
    return orjson.dumps(value).decode()


def read_resume(text: str) -> Resumption | None:
    """The record, read; None where another version has written it in another way."""
    value = orjson.loads(text)
    if value.get("v") != VERSION:
        return None
    places, seeds, operation = value["call"]
    finish, composite, spared = _read_finish(value["finish"])
    model, requested = value["model"]
    return Resumption(
        address=value["address"],
        call=Call({}, tuple(places), tuple(seeds), operation),
        finish=finish,
        composite=composite,
        spared=spared,
        yields=_read_size(value["yields"]),
        applied=tuple(read_applied(value["applied"])),
        request=_read_request(value["request"], requested, operation),
        model=model,
        requested_model=requested,
        base=value["base"],
        recipe=value["recipe"],
    )


def listed_applied(entries: tuple[Applied, ...]) -> list[list[Any]]:
    """Entries of a receipt as JSON."""
    return [[each.name, each.behavior, each.requested, each.sent, each.note] for each in entries]


def read_applied(value: list[list[Any]]) -> list[Applied]:
    """Entries of a receipt, read."""
    return [Applied(name, Behavior(behavior), *rest) for name, behavior, *rest in value]


def _finish(finish: Finish, spared: Mapping[str, str]) -> dict[str, Any]:
    composite: list[Any] | None = None
    if finish.composite is not None:
        names = [spared.get(each.sha256) for each in (finish.composite.original, finish.composite.mask)]
        composite = [*names, _size(finish.composite.original.size)] if all(names) else []
    return {
        "format": finish.format,
        "fit": _size(finish.fit),
        "slack": finish.slack,
        "quality": finish.quality,
        "force": finish.force,
        "opaque": finish.opaque,
        "source": finish.source,
        "composite": composite,
        "thumbnail": finish.thumbnail,
    }


def _read_finish(value: Mapping[str, Any]) -> tuple[Finish, bool, tuple[str, str, Size] | None]:
    source, composite = value["source"], value["composite"]
    finish = Finish(
        format=Format(value["format"]),
        fit=_read_size(value["fit"]),
        slack=value["slack"],
        quality=value["quality"],
        force=value["force"],
        opaque=value["opaque"],
        source=None if source is None else Format(source),
        thumbnail=value.get("thumbnail"),  # what an earlier version wrote down has none
    )
    if not composite:
        return finish, composite is not None, None
    return finish, True, (composite[0], composite[1], Size(*composite[2]))


def _request(request: ImageRequest) -> list[Any]:
    """What an answer repeats of a request."""
    return [
        request.n,
        _size(request.shape.size),
        request.output_format,
        request.quality,
        request.background,
        request.steps,
        "response_format" in request.said,
    ]


def _read_request(value: list[Any], model: str, operation: Operation) -> ImageRequest:
    n, size, form, quality, background, steps, said = value
    return ImageRequest(
        prompt="",
        model=model,
        operation=operation,
        n=n,
        shape=Shape(size=_read_size(size)),
        output_format=Format(form),
        quality=quality,
        background=background,
        steps=steps,
        said={"response_format": None} if said else {},
    )


def _size(size: Size | None) -> list[int] | None:
    return None if size is None else [size.width, size.height]


def _read_size(value: list[int] | None) -> Size | None:
    return None if value is None else Size(value[0], value[1])
