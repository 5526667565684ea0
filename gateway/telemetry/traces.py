"""Traces, where nobody asked for any: spans that cost nothing. `open_traces` gives those that somebody did ask for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol

from starlette.types import Scope

from gateway.api.account import Account
from gateway.outcome import CallResult, Candidate, Order
from normalization.plan import Call, Finish

log = logging.getLogger("imagegate.traces")

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Where traces go (opentelemetry.io, "OTLP Exporter Configuration"); without either there are none."""


class Span(Protocol):
    """Something that takes time."""

    def answered(self, account: Account) -> None:
        """A request is over."""
        ...

    def ended(self, result: CallResult) -> None:
        """A submission is over."""
        ...


class NoSpan:
    """Nobody looks."""

    __slots__ = ()

    def __enter__(self) -> NoSpan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def answered(self, account: Account) -> None:
        return None

    def ended(self, result: CallResult) -> None:
        return None


NO_SPAN: Final = NoSpan()


class Traces:
    """Makes spans; these go nowhere. No span tells a prompt, a picture or a URL's query."""

    def request(self, scope: Scope) -> AbstractContextManager[Span]:
        """A request, from its head to the last byte of its answer; a child of what its `traceparent` names."""
        return NO_SPAN

    def submission(self, order: Order, candidate: Candidate, call: Call, address: str) -> AbstractContextManager[Span]:
        """One submission to a provider at `address`, from its first byte to its finished pictures."""
        return NO_SPAN

    def conversion(self, finish: Finish) -> AbstractContextManager[Span]:
        """A picture's way from the provider's bytes to the client's."""
        return NO_SPAN

    def close(self) -> None:
        """Send what is left to send. Blocks."""


def open_traces(environ: Mapping[str, str]) -> Traces:
    """What the environment asks for, in the words of OpenTelemetry."""
    if not any(environ.get(name) for name in ENDPOINTS) or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Traces()
    try:
        from gateway.telemetry.otel import exported
    except ModuleNotFoundError as error:
        log.warning("%s is set, but traces need the extra 'otel', which is not installed: %s", ENDPOINTS[0], error)
        return Traces()
    return exported()
