"""What every endpoint that makes pictures asks first: who calls, which model is meant, and how strictly."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request

from gateway.api.account import account
from gateway.api.authority import caller_of
from gateway.api.callers import Caller
from gateway.container import Services
from gateway.routing import Resolved, allowed
from normalization.errors import InvalidType, InvalidValue, ModelNotAllowed

THUMBNAIL = "x-imagegate-thumbnail"
THUMBNAIL_SIDES = range(16, 513)
THUMBNAIL_DIGITS = 3
FLAGS = {"true": True, "1": True, "false": False, "0": False}


async def identified(request: Request) -> Caller:
    """The caller, as the route's guard has made it out; the headers of its limits ride on every answer from here on.
    They are looked up when the answer begins, unless an admission has told them by then."""
    services: Services = request.app.state.services
    caller = caller_of(request)
    account(request).generates = request.method == "POST" and not _dry(request)
    request.state.late_headers = partial(services.rates.headers, caller.name)
    return caller


def resolved(request: Request, caller: Caller, name: Any) -> Resolved:
    """The model that a name means to this caller. Raises InvalidType, ModelNotFound or ModelNotAllowed."""
    services: Services = request.app.state.services
    if name is not None and not isinstance(name, str):
        raise InvalidType(f"model: {str(name)[:100]!r} is not a model's name, which is a string", param="model")
    found = services.catalogue.resolve(name or None)
    noted = account(request)
    noted.resolved = found.model
    if found.model in services.settings.models:
        noted.model = found.model
    if not allowed(caller.models, found.requested, found):
        raise ModelNotAllowed(f"this key may not use the model {found.requested[:200]!r}", param="model")
    return found


def strict(request: Request) -> bool | None:
    """What `x-imagegate-strict` says; None = as configured. Raises InvalidValue."""
    given = request.headers.get("x-imagegate-strict")
    return None if given is None else _flag("x-imagegate-strict", given)


def thumbnail(request: Request) -> int | None:
    """How many pixels the longer side of each picture's thumbnail has, as `x-imagegate-thumbnail` says; None = none is
    wanted. Raises InvalidValue."""
    given = request.headers.get(THUMBNAIL)
    if given is None:
        return None
    side = int(given) if given.isascii() and given.isdigit() and len(given) <= THUMBNAIL_DIGITS else 0
    if side not in THUMBNAIL_SIDES:
        first, last = THUMBNAIL_SIDES[0], THUMBNAIL_SIDES[-1]
        raise InvalidValue(
            f"{THUMBNAIL}: {given[:100]!r} is not accepted; a whole number of pixels from {first} to {last} is",
            param=THUMBNAIL,
        )
    return side


def no_thumbnail(request: Request) -> None:
    """Raise InvalidValue where a thumbnail is asked of an answer that has no place for it."""
    if thumbnail(request) is not None:
        raise InvalidValue(
            f"{THUMBNAIL}: {request.url.path} gives no thumbnails; /v1/images/generations and /v1/images/edits do",
            param=THUMBNAIL,
        )


def is_dry_run(request: Request) -> bool:
    """Whether nothing is to be sent. Raises InvalidValue."""
    if not request.scope["query_string"]:
        return False
    given = request.query_params.get("dryRun", request.query_params.get("dry_run"))
    return given is not None and (given == "" or _flag("dryRun", given))


def _dry(request: Request) -> bool:
    try:
        return is_dry_run(request)
    except InvalidValue:  # told where the request is read
        return False


def _flag(name: str, text: str) -> bool:
    found = FLAGS.get(text.strip().lower())
    if found is None:
        raise InvalidValue(f"{name}: {text[:100]!r} is neither true nor false", param=name)
    return found
