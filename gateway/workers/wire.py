"""What a worker and the coordinator say to each other: JSON, one message a line, over a pair of connected sockets.

A worker sends `{"op", ...}`, with an `id` where it waits for the answer `{"id", "value"}` or `{"id", "error", ...}`.
Each request is answered exactly once. The coordinator sends `{"event", "body"}` and `{"inquiry", "event", "body"}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.services.gates import GateFull, GateTimeout
from normalization.errors import RateLimitExceeded, RateNeverAllows

Message = dict[str, Any]

STOP = "stop"
"""Event: end as after the signal whose number is the body."""
SETTINGS = "settings"
"""Event: take over a new configuration."""
FOLLOWED = "followed"
"""Event: how many jobs all workers together look at, by provider."""
GUESS = "guess"
RING = "ring"
HEALTH = "health"


def line(message: Message) -> bytes:
    """A message as it travels."""
    return orjson.dumps(message) + b"\n"


class Lines:
    """Cuts what arrives into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for each in whole:
            yield orjson.loads(each)


def error_message(error: BaseException) -> Message:
    """The answer that says what went wrong; see `error_of`."""
    match error:
        case GateFull():
            return {"error": "full", "message": str(error)}
        case GateTimeout():
            return {"error": "timeout", "message": str(error)}
        case RateNeverAllows():
            return {"error": "never", "message": error.message}
        case RateLimitExceeded():
            return {"error": "exceeded", "message": error.message, "retry_after": error.retry_after}
        case _:
            return {"error": "failed", "message": repr(error)}


def error_of(answer: Message) -> Exception:
    """The error that an answer stands for."""
    message = answer["message"]
    match answer["error"]:
        case "full":
            return GateFull(message)
        case "timeout":
            return GateTimeout(message)
        case "never":
            return RateNeverAllows(message)
        case "exceeded":
            return RateLimitExceeded(message, retry_after=answer["retry_after"])
        case _:
            return RuntimeError(f"the coordinator failed: {message}")
