"""What every record says of the work that it is about, wherever in the code it is made."""

from __future__ import annotations

import hashlib
import logging
from contextlib import AbstractContextManager

from structlog.contextvars import bind_contextvars, bound_contextvars

from gateway.outcome import Order
from gateway.telemetry.redaction import VEIL, Veil

log = logging.getLogger("imagegate.jobs")


def of_request(request_id: str) -> AbstractContextManager[None]:
    """Whatever is logged within the block is about this request."""
    return bound_contextvars(request_id=request_id)


def of_attempt(attempt_id: str) -> AbstractContextManager[None]:
    """Whatever is logged within the block is about this submission."""
    return bound_contextvars(attempt_id=attempt_id)


def of_work(order: Order, *, prompts: bool) -> None:
    """From here on the task that runs is about this order. `prompts`: they may be logged."""
    bind_contextvars(request_id=order.request_id, generation_id=order.generation_id, key=order.key_name)
    if not order.candidates:
        return
    request = order.request
    fields = {"model": order.model, "images": request.n, "prompt_characters": len(request.prompt)}
    if prompts:
        log.info("generation begins", extra={**fields, "prompt": request.prompt})
        return
    VEIL.set(Veil([request.prompt, request.negative_prompt or ""], (request.user, request.safety_identifier)))
    if log.isEnabledFor(logging.DEBUG):
        fingerprint = hashlib.sha256(request.prompt.encode()).hexdigest()[:16]
        log.debug("generation begins", extra={**fields, "prompt_sha256": fingerprint})
