"""From an outcome to OpenAI's body, written in chunks of known length: a picture is never held as text as a whole."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pybase64
from starlette.types import Receive, Scope, Send

from gateway.outcome import Answer, Delivered, Link, Order, Outcome, Piece
from gateway.receipt import receipt
from gateway.services.generations import Submission
from normalization.vocabulary import Applied, Behavior, ImageRequest

SLICE = 3 * 32768
"""Bytes of a picture that are base64-encoded at a time; a multiple of 3, so that only the last slice is padded."""

TOGETHER = 65536
"""Bytes of small pieces that go out as one: each message passes through every room of the application."""

RESOLVED_QUALITY = {"standard": "medium", "hd": "high"}


@dataclass(frozen=True, slots=True)
class Hosted:
    """A finished picture and, where it was hosted, its URL."""

    picture: Delivered
    link: Link | None
    inline: bool


class JsonPieces:
    """An ASGI response of JSON in pieces, pictures among them as base64 strings."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = sum(map(_length, self.pieces))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        small: list[bytes] = []
        gathered = 0
        for chunk in chunks(self.pieces):
            if gathered + len(chunk) > TOGETHER:
                if small:
                    await send({"type": "http.response.body", "body": b"".join(small), "more_body": True})
                small, gathered = [], 0
            if len(chunk) > TOGETHER:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            else:
                small.append(chunk)
                gathered += len(chunk)
        await send({"type": "http.response.body", "body": b"".join(small), "more_body": False})


def _length(piece: Piece) -> int:
    if isinstance(piece, bytes):
        return len(piece)
    return len(piece.url.encode()) if isinstance(piece, Link) else 4 * (-(-piece.length // 3))


def chunks(pieces: Sequence[Piece]) -> Iterator[bytes]:
    """The pieces as they go out: bytes as they are, pictures as base64, a slice at a time."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        if isinstance(piece, Link):
            yield piece.url.encode()
            continue
        yield from map(pybase64.b64encode, piece.slices(SLICE))


def described(order: Order, outcome: Outcome, delivery: tuple[Applied, ...]) -> dict[str, Any]:
    """The answer without its pictures: what was made, by whom, at what cost, and what became of each parameter."""
    request = outcome.main.candidate.request
    entries, repairs = receipt(outcome, request)
    entries = (*entries, *delivery)
    first = outcome.pictures[0]
    tail: dict[str, Any] = {"size": str(first.size), "output_format": first.format.value}
    tail |= _echo(request, entries)
    tail |= {"usage": _usage(outcome), "metadata": _metadata(order, outcome, entries, repairs)}
    return tail


def images_body(order: Order, outcome: Outcome, hosted: Sequence[Hosted], delivery: tuple[Applied, ...]) -> Answer:
    """An images answer."""
    tail = described(order, outcome, delivery)
    pieces: list[Piece] = [b'{"created":%d,"data":[' % int(time.time())]
    for index, each in enumerate(hosted):
        pieces.append(b"," if index else b"")
        pieces.extend(_item(each))
    pieces += [b"],", orjson.dumps(tail)[1:]]
    return Answer(tuple(pieces), outcome_headers(outcome, tail["metadata"]))


def _item(hosted: Hosted) -> Iterator[Piece]:
    picture, opening = hosted.picture, b"{"
    if hosted.link is not None:
        yield opening + b'"url":"'
        yield hosted.link
        opening = b'",'
    if hosted.inline:
        yield opening + b'"b64_json":"'
        yield picture
        opening = b'",'
    if picture.thumbnail is not None:
        yield opening + b'"thumbnail_b64_json":"'
        yield picture.thumbnail
        opening = b'",'
    rest = {name: value for name in ("revised_prompt", "seed") if (value := getattr(picture, name)) is not None}
    yield opening + orjson.dumps(rest)[1:] if rest else opening[:-1] + b"}"


def _metadata(order: Order, outcome: Outcome, entries: tuple[Applied, ...], repairs: tuple[str, ...]) -> dict[str, Any]:
    plan, cost = outcome.main.plan, outcome.cost_micros
    metadata = {
        "model": order.model,
        "provider": plan.provider,
        "executed_model": plan.model,
        "generation_id": order.generation_id,
        "partial": outcome.failed > 0,
        "cost": None if cost is None else cost / 1_000_000,
        "cost_currency": "USD",
        "cost_micros": cost,
        "attempts": [attempt.entry() for attempt in outcome.attempts],
        "parameters": [entry.entry() for entry in entries],
        "timing": outcome.timing.entry(),
    }
    if repairs:
        metadata["repairs"] = list(repairs)
    if outcome.main.candidate.profile.notes:
        metadata["notice"] = outcome.main.candidate.profile.notes
    return metadata


def _echo(request: ImageRequest, entries: tuple[Applied, ...]) -> dict[str, str]:
    """`quality` and `background` as they came true: absent where they were not said, meant "auto" or were dropped."""
    kept = {entry.name for entry in entries if entry.behavior is not Behavior.DROPPED}
    echo = {}
    if request.quality not in (None, "auto") and "quality" in kept:
        echo["quality"] = RESOLVED_QUALITY.get(str(request.quality), str(request.quality))
    if request.background in ("opaque", "transparent") and "background" in kept:
        echo["background"] = request.background
    return echo


NO_USAGE = {
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
    "output_tokens_details": {"text_tokens": 0, "image_tokens": 0},
}


def _usage(outcome: Outcome) -> dict[str, Any]:
    """OpenAI's token counts, summed over all calls; 0 where a provider counts none."""
    told = [result.usage for part in outcome.parts for result in part.results if result.usage]

    def total(name: str, inside: str | None = None) -> int:
        found = 0
        for usage in told:
            place = usage if inside is None else usage.get(inside)
            value = place.get(name) if isinstance(place, dict) else None
            found += value if isinstance(value, int) and not isinstance(value, bool) else 0
        return found

    given, made = total("input_tokens"), total("output_tokens")
    return {
        "input_tokens": given,
        "output_tokens": made,
        "total_tokens": given + made,
        "input_tokens_details": {
            "text_tokens": total("text_tokens", "input_tokens_details"),
            "image_tokens": total("image_tokens", "input_tokens_details"),
        },
        "output_tokens_details": {
            "text_tokens": total("text_tokens", "output_tokens_details"),
            "image_tokens": total("image_tokens", "output_tokens_details"),
        },
    }


def progress_headers(order: Order) -> dict[str, str]:
    """The headers of a generation that failed or is not done: of the last provider asked, else the first to be."""
    attempts = order.progress.attempts
    if not attempts and not order.candidates:  # of another process, and nothing of it can be followed
        return {}
    last = attempts[-1] if attempts else order.candidates[0].plan
    provider, model = last.provider, last.model
    return _who(provider, model, order.progress.begun, order.progress.timing.entry())


def recorded_headers(submissions: Sequence[Submission]) -> dict[str, str]:
    """The same of a generation as its submissions are on record, in their order."""
    if not submissions:
        return {}
    last, seconds = submissions[-1], sum(each.seconds or 0.0 for each in submissions)
    return _who(last.provider, last.model, len(submissions), {"provider": seconds})


def _who(provider: str, model: str, attempts: int, timing: Mapping[str, float]) -> dict[str, str]:
    return {
        "x-imagegate-provider": _ascii(provider),
        "x-imagegate-model": _ascii(model),
        "x-imagegate-attempts": str(attempts),
        "server-timing": ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in timing.items()),
    }


def outcome_headers(outcome: Outcome, metadata: dict[str, Any]) -> dict[str, str]:
    """The headers of an answer with pictures."""
    plan = outcome.main.plan
    headers = _who(plan.provider, plan.model, len(outcome.attempts), outcome.timing.entry())
    if metadata["cost"] is not None:
        headers["x-imagegate-cost"] = f"{metadata['cost']:.6f}"
    degraded = dict.fromkeys(entry["name"] for entry in metadata["parameters"] if "note" in entry)
    if degraded:
        headers["x-imagegate-degraded"] = _ascii(",".join(degraded))
    if outcome.failed:
        headers["x-images-failed"] = str(outcome.failed)
    return headers


def _ascii(text: str) -> str:
    """Header text: whatever a name holds, a header cannot be broken by it."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)[:1000]
