"""The values of one request's life, from the candidates to the pictures: frozen, and free of HTTP."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from gateway.backends import Backend
from gateway.failing import FailureClass
from gateway.services.budgets import Allotment
from gateway.services.generations import NewGeneration
from gateway.services.spool import Spooled
from gateway.services.weights import Weight
from normalization.errors import Charge, ImagegateError
from normalization.plan import Plan
from normalization.rules import Price, Profile
from normalization.vocabulary import Format, ImageRequest, Picture, Size
from providers.base import Shown

ResponseFormat = Literal["url", "b64_json", "both"]


OnUnknown = Literal["fail", "fallback"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One route that can serve the request, with its plan made beforehand."""

    backend: Backend
    profile: Profile
    request: ImageRequest
    """The request with this route's defaults read in."""
    plan: Plan
    price: Price | None = None
    """What the route costs: its own price, else its profile's; None = unknown."""
    timeout_seconds: float | None = None
    on_unknown: OnUnknown = "fail"
    """Whether another route may be tried when nobody knows if this one did the work, and so may have charged."""
    weight: float = 1.0
    """Its share under `strategy: weighted`."""


@dataclass(slots=True)
class Timing:
    """Seconds spent, summed over the calls of a request; mutable because every step adds its own."""

    queue: float = 0.0
    provider: float = 0.0
    fetch: float = 0.0
    convert: float = 0.0

    def entry(self) -> dict[str, float]:
        return {
            "queue": round(self.queue, 3),
            "provider": round(self.provider, 3),
            "fetch": round(self.fetch, 3),
            "convert": round(self.convert, 3),
        }


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One submission as the client is told of it."""

    provider: str
    model: str
    outcome: str
    seconds: float

    def entry(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "model": self.model,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 3),
        }


class Writing(Protocol):
    """Writes answers of one shape. It outlives the process that began the work: `recipe` is what makes it anew."""

    @property
    def streams(self) -> bool:
        """Whether the request asked for a stream."""
        ...

    @property
    def forgotten(self) -> bool:
        """Whether the client wants nothing kept of an answer that it was given."""
        ...

    def recipe(self) -> dict[str, Any]:
        """A JSON object."""
        ...

    async def written(self, order: Order, outcome: Outcome) -> Answer:
        """The answer. Raises ImagegateError where the outcome is none, as when strict and a picture is missing."""
        ...

    async def events(self, order: Order, ended: Ended) -> tuple[Piece, ...] | None:
        """What a stream says of work that has ended; None where the request asked for none."""
        ...


class Ended(Protocol):
    """Work, as one who waits for it knows it."""

    async def wait(self, seconds: float) -> Outcome:
        """The outcome. Raises ImagegateError where there is none, or after `seconds`."""
        ...


@dataclass(frozen=True, slots=True)
class Partial:
    """A small picture of what the one at `place` looks like by now, number `index` of those, as it came. `format`: what
    it is to be delivered in; None = as it came."""

    place: int
    index: int
    data: bytes = field(repr=False)
    format: Format | None = None


@dataclass(slots=True)
class Progress:
    """How far an order has come; mutable, and read by whoever must answer before or without an outcome."""

    timing: Timing = field(default_factory=Timing)
    attempts: list[AttemptRecord] = field(default_factory=list)
    """Submissions that have ended, in the order of their ends."""
    begun: int = 0
    """Submissions on record, ended or not."""
    made: dict[int, Delivered] = field(default_factory=dict)
    """Finished pictures by place, as they come."""
    partials: list[Partial] = field(default_factory=list)
    """Pictures in between, in the order in which providers showed them."""
    steps: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By place: the step that a provider has come to, and of how many."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when another picture is there, finished or in between."""
    hosted: dict[str, str] = field(default_factory=dict)
    """URLs of input pictures that providers fetch, by the picture's fingerprint: each is stored once."""
    stored: dict[int, str] = field(default_factory=dict)
    """Names of finished pictures in the storage, by the `id()` of the picture: each is stored once."""
    spared: dict[str, str] = field(default_factory=dict)
    """Names in the storage of pictures that a finish needs, by fingerprint."""
    worked: bool = False
    """A provider did work for it, or may have done."""
    open_jobs: int = 0
    """Jobs that a provider has accepted and that have not ended: another process could go on with them."""
    any_jobs: bool = False

    @property
    def news(self) -> int:
        """How many pictures there are to tell of, finished or in between."""
        return len(self.made) + len(self.partials)

    def show(self, place: int, shown: Shown, form: Format | None = None) -> None:
        """A provider tells how far the picture at `place` is, which is to be shown in this format."""
        self.steps[place] = (shown.step, shown.steps)
        if shown.picture is not None and place not in self.made:
            index = sum(partial.place == place for partial in self.partials)
            self.partials.append(Partial(place, index, shown.picture, form))
            self.changed.set()


@dataclass(frozen=True, slots=True)
class Order:
    """All that is known when the work begins. `candidates` stand in the order in which they are tried."""

    generation_id: str
    request_id: str
    model: str
    """The configured model's name."""
    requested_model: str
    candidates: tuple[Candidate, ...]
    key_name: str | None = None
    allotment: Allotment | None = None
    """The key's budget; None = it has none."""
    submit_by: float = math.inf
    """When nobody waits for pictures any more, on the monotonic clock: after it nothing new is submitted, and what
    was submitted before is followed to its end."""
    progress: Progress = field(default_factory=Progress)
    base: str = ""
    """The address under which a provider can fetch pictures from the gateway."""
    generation: NewGeneration | None = None
    """How it is kept on record; None = its attempts alone are."""
    writing: Writing | None = None
    """How its answer is written; None = nobody asks for one."""

    @property
    def request(self) -> ImageRequest:
        return self.candidates[0].request

    @property
    def brought(self) -> tuple[Picture, ...]:
        """The pictures that came with the request, its mask among them; none of one that is only settled."""
        if not self.candidates:
            return ()
        request = self.request
        return request.pictures if request.mask is None else (*request.pictures, request.mask)


@dataclass(frozen=True, slots=True)
class Delivered:
    """One finished picture: exactly the bytes that the client gets, in memory or in the spool."""

    data: bytes | Spooled
    format: Format
    size: Size
    seed: int | None = None
    revised_prompt: str | None = None
    source_format: Format | None = None
    source_size: Size | None = None
    enlarged: bool = False
    flattened: bool = False
    repair: str | None = None
    """What had to be put right before the picture could be read, in words."""
    thumbnail: Delivered | None = None
    """The same small, where it was asked for and could be made."""
    weight: Weight | None = field(default=None, repr=False, compare=False)
    """Counts the bytes for as long as they lie in memory."""

    @property
    def length(self) -> int:
        """Bytes."""
        return len(self.data) if isinstance(self.data, bytes) else self.data.length

    def slices(self, most: int) -> Iterator[bytes | memoryview]:
        """All bytes in order, at most `most` at a time. Raises StateUnavailable where the spool cannot be read."""
        if isinstance(self.data, bytes):
            view = memoryview(self.data)
            return (view[start : start + most] for start in range(0, len(view), most))
        return self.data.slices(most)

    def read(self) -> bytes:
        """All bytes at once. Errors are those of `slices`."""
        return self.data if isinstance(self.data, bytes) else self.data.read()


@dataclass(frozen=True, slots=True)
class Link:
    """Stands in an answer for the URL of a stored picture, so that it can be signed anew another time."""

    name: str
    url: str


Piece = bytes | Delivered | Link
"""A part of an answer: as it goes out, a picture as base64, or a URL within a JSON string."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer: its JSON in pieces, and the headers that go with it."""

    pieces: tuple[Piece, ...]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CallResult:
    """What one submission came to. `pictures` by place; `error` where it failed or fell short."""

    places: tuple[int, ...]
    record: AttemptRecord
    pictures: Mapping[int, Delivered] = field(default_factory=dict)
    error: ImagegateError | None = None
    refused: bool = False
    """Definitely nothing was bought: another route may try."""
    failure: FailureClass | None = None
    """How far the work may have come where it brought no picture."""
    surplus: int = 0
    charge: Charge = "none"
    cost_micros: int | None = None
    usage: Mapping[str, Any] | None = None

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(place for place in self.places if place not in self.pictures)


@dataclass(frozen=True, slots=True)
class Part:
    """What one plan contributed."""

    candidate: Candidate
    plan: Plan
    results: tuple[CallResult, ...]

    @property
    def images(self) -> int:
        return sum(len(result.pictures) for result in self.results)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a request that made at least one picture. `placed` by place, in the order asked for."""

    placed: tuple[tuple[int, Delivered], ...]
    failed: int
    parts: tuple[Part, ...]
    attempts: tuple[AttemptRecord, ...]
    timing: Timing

    @property
    def pictures(self) -> tuple[Delivered, ...]:
        return tuple(picture for _, picture in self.placed)

    @property
    def main(self) -> Part:
        """The part that made the most pictures; the earliest of equals."""
        return max(self.parts, key=lambda part: part.images)

    @property
    def cost_micros(self) -> int | None:
        """What was charged, in micro-dollars; None as soon as one charge is unknown."""
        charged = [result for part in self.parts for result in part.results if result.charge != "none"]
        if any(result.cost_micros is None for result in charged):
            return None
        return sum(result.cost_micros or 0 for result in charged)
