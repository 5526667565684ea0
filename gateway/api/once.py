"""That a request is carried out once: by its Idempotency-Key, or because the client's library comes back for an answer
that it was not given.

Source of `x-stainless-retry-count`: OpenAI's client libraries, which send it with every request, 0 at the first try.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.types import ASGIApp

from gateway.api.callers import Caller
from gateway.api.entry import is_dry_run
from gateway.api.picture_json import PictureJson
from gateway.api.replaying import replayed
from gateway.api.sse import EventStream
from gateway.api.uploads import Upload
from gateway.container import Services
from gateway.journal import Claim, Identity
from gateway.services.intake import Given
from normalization.errors import InvalidValue

HEADER = "idempotency-key"
RETRY = "x-stainless-retry-count"

_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
_KEY = re.compile(r"[ -~]{1,255}")
_TRIES = re.compile(r"0*[1-9][0-9]*")
"""A retry's number, whatever its length; other scripts' digits are none."""


async def once(
    request: Request, services: Services, caller: Caller, content: Any, work: Callable[[], Awaitable[ASGIApp]]
) -> ASGIApp:
    """What `work` answers, or what was answered before. `content` is what the request says, as JSON: equal requests
    have equal contents. Raises InvalidValue for a bad Idempotency-Key, IdempotencyKeyReused."""
    key, tries = _key(request), request.headers.get(RETRY)
    if (key is None and tries is None) or is_dry_run(request):
        return await work()
    identity = Identity(
        key_name=caller.name,
        path=request.url.path,
        fingerprint=fingerprint(request.url.path, content),
        key=key,
        retry=tries is not None and _TRIES.fullmatch(tries) is not None,
    )
    found = await services.journal.claim(identity)
    if not isinstance(found, Claim):
        return await replayed(request, services, found)
    request.state.claim = found
    kept = False
    try:
        answer = await work()
        # A stream begins its work when it is answered, and lets go of the claim itself where that fails.
        kept = isinstance(answer, EventStream)
        return answer
    finally:
        if not kept:
            services.journal.release(found)


def _key(request: Request) -> str | None:
    keys = request.headers.getlist(HEADER)
    if len(keys) > 1:
        raise InvalidValue(f"Idempotency-Key: {len(keys)} were given; one is accepted", param="Idempotency-Key")
    key = keys[0] if keys else None
    if key is None or _KEY.fullmatch(key):
        return key
    raise InvalidValue(
        f"Idempotency-Key: {len(key)} characters are given; 1 to 255 printable ASCII characters are accepted",
        param="Idempotency-Key",
    )


def fingerprint(path: str, content: Any) -> str:
    """SHA-256 of a path and of a content as canonical JSON, in hexadecimal."""
    return hashlib.sha256(orjson.dumps([path, content], option=_CANONICAL, default=_plain)).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Given):
        return [value.param, value.text if value.content is None else {"sha256": value.content.sha256}]
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def of_upload(upload: Upload) -> Any:
    """What a request with pictures says: its fields, and its pictures by their contents, never how they were packed."""
    return [upload.body, upload.pictures, upload.mask]


def of_json(read: PictureJson) -> Any:
    """What a JSON body says, the pictures in it by their contents."""
    return _marked(read.value, read)


def _marked(value: Any, read: PictureJson) -> Any:
    if isinstance(value, str):
        content = read.content(value)
        return value if content is None else {"sha256": content.sha256}
    if isinstance(value, dict):
        return {name: _marked(part, read) for name, part in value.items()}
    return [_marked(part, read) for part in value] if isinstance(value, list) else value
