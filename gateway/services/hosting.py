"""Pictures under a URL of ours: stored, signed, and gone when the signature's time is over."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.services.signing import Signer
from gateway.services.storage import Content, Storage
from normalization.vocabulary import Format, Picture
from providers.base import Hosted, WireRequest

PATH = "/v1/images/files"
SLICE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Hosting:
    """Where pictures go that somebody fetches from us: clients their results, providers what they are to edit."""

    storage: Storage
    signer: Signer

    async def host(self, content: Content, format: Format, base: str, *, seconds: float | None = None) -> str:
        """Keep a picture and return its signed URL under `base`, good for `seconds` (None = as configured).

        Raises StorageFull or StateUnavailable.
        """
        return self.url(await self.storage.put(content, format), base, seconds=seconds)

    def url(self, name: str, base: str, *, seconds: float | None = None) -> str:
        """The signed URL of what is stored under `name`."""
        return f"{base}{PATH}/{name}?{self.signer.sign(name, time.time(), seconds)}"

    async def resolve(
        self, request: WireRequest, base: str, known: dict[str, str], *, seconds: float | None = None
    ) -> WireRequest:
        """The request with a URL wherever a picture stands as `Hosted`. `known` are URLs by fingerprint: a picture
        that is there is not stored again, and others are added. Errors are those of `host`."""
        pictures = list(_hosted(request.json))
        for picture in pictures:
            if picture.sha256 not in known:
                content = list(picture.content.slices(SLICE))
                known[picture.sha256] = await self.host(content, picture.format, base, seconds=seconds)
        return request if not pictures else replace(request, json=_with_urls(request.json, known))


def _hosted(value: Any) -> Iterator[Picture]:
    if isinstance(value, Hosted):
        yield value.picture
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        yield from _hosted(part)


def _with_urls(value: Any, urls: Mapping[str, str]) -> Any:
    if isinstance(value, Hosted):
        return urls[value.picture.sha256]
    if isinstance(value, Mapping):
        return {name: _with_urls(part, urls) for name, part in value.items()}
    return [_with_urls(part, urls) for part in value] if isinstance(value, list | tuple) else value
