"""Answers of the images API, as they are written at the end of the work, by this process or a later one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.api.answer import images_body
from gateway.api.carrying import hosted, too_few
from gateway.api.image_stream import ImageStream, Kind
from gateway.api.sse import DONE
from gateway.container import Services
from gateway.ordering import Prepared
from gateway.outcome import Answer, Ended, Order, Outcome, Piece, ResponseFormat
from gateway.resuming import listed_applied, read_applied
from normalization.vocabulary import Applied

KIND = "images"


@dataclass(frozen=True, slots=True)
class ImageWriting:
    """`kind` is that of the stream that was asked for, None where none was; `base` is where hosted pictures are
    reached."""

    services: Services
    response_format: ResponseFormat
    delivery: tuple[Applied, ...]
    strict: bool
    base: str
    kind: Kind | None = None

    @property
    def streams(self) -> bool:
        return self.kind is not None

    @property
    def forgotten(self) -> bool:
        return False

    def recipe(self) -> dict[str, Any]:
        return {
            "kind": KIND,
            "response_format": self.response_format,
            "delivery": listed_applied(self.delivery),
            "strict": self.strict,
            "base": self.base,
            "stream": self.kind,
        }

    async def written(self, order: Order, outcome: Outcome) -> Answer:
        if self.strict and outcome.failed:
            raise too_few(order, outcome)
        pictures = await hosted(self.services, order, outcome, self.response_format, self.base)
        return images_body(order, outcome, pictures, self.delivery)

    def stream(self, kind: Kind) -> ImageStream:
        """What a stream of this answer tells."""
        return ImageStream(
            self.services, kind, self.base, self.strict, self.delivery, url=self.response_format == "both"
        )

    async def events(self, order: Order, ended: Ended) -> tuple[Piece, ...] | None:
        if self.kind is None:
            return None
        told = [piece async for pieces in self.stream(self.kind).script(order, ended) for piece in pieces]
        return (*told, DONE)


def image_writing(services: Services, prepared: Prepared, base: str) -> ImageWriting:
    """How the answer to a prepared request is written. A stream carries the pictures themselves, and their URLs too
    where the client named them."""
    response_format: ResponseFormat = prepared.response_format
    kind: Kind | None = None
    if prepared.stream:
        kind = "image_edit" if prepared.request.operation == "edit" else "image_generation"
        named = "response_format" in prepared.request.said and response_format == "url"
        response_format = "both" if named else "b64_json"
    return ImageWriting(services, response_format, prepared.delivery, prepared.strict, base, kind)


def restored_images(services: Services, recipe: Mapping[str, Any]) -> ImageWriting:
    """From `ImageWriting.recipe`."""
    return ImageWriting(
        services,
        recipe["response_format"],
        tuple(read_applied(recipe["delivery"])),
        recipe["strict"],
        recipe["base"],
        recipe["stream"],
    )
