"""Traces by OpenTelemetry, in the words of its conventions for generative AI
(https://github.com/open-telemetry/semantic-conventions-genai). Needs the extra `otel`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as Recorded
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from gateway.api.account import Account
from gateway.outcome import CallResult, Candidate, Order
from gateway.telemetry.traces import Span, Traces
from normalization.plan import Call, Finish

FLUSH_MILLISECONDS = 5000
METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


def exported() -> Traces:
    """Spans, sent in batches to where the environment says."""
    return OtelTraces(BatchSpanProcessor(OTLPSpanExporter()))


class _Span:
    """What the gateway tells of a span's end."""

    def __init__(self, span: Recorded) -> None:
        self._span = span

    def answered(self, account: Account) -> None:
        self._span.update_name(f"{_method(account.method)} {account.endpoint}")
        self._set(
            {
                "http.route": account.endpoint,
                "http.response.status_code": account.status,
                "imagegate.generation.id": account.generation_id,
                "imagegate.request.id": account.request_id,
            }
        )
        if account.status >= 500:
            self._failed(account.code or str(account.status))

    def ended(self, result: CallResult) -> None:
        self._set({"gen_ai.response.model": result.record.model, "imagegate.outcome": result.record.outcome})
        if result.error is not None:
            self._failed(result.record.outcome)

    def _set(self, attributes: dict[str, str | int | None]) -> None:
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(name, value)

    def _failed(self, kind: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))


class OtelTraces(Traces):
    """Hands spans to `processor`."""

    def __init__(self, processor: SpanProcessor) -> None:
        named = Resource.create({SERVICE_NAME: "imagegate", SERVICE_VERSION: _version()})
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES beat what we would say.
        self._provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()))
        self._provider.add_span_processor(processor)
        self._tracer: Tracer = self._provider.get_tracer("imagegate")
        self._parents = TraceContextTextMapPropagator()

    def request(self, scope: Scope) -> AbstractContextManager[Span]:
        carrier = {
            name: value.decode("latin-1")
            for key, value in scope["headers"]
            if (name := key.decode("latin-1")) in ("traceparent", "tracestate")
        }
        # An empty context: whatever else runs here is no parent of a request.
        parent = self._parents.extract(carrier, Context())
        method = _method(scope["method"])
        return self._span(method, SpanKind.SERVER, {"http.request.method": method}, parent)

    def submission(self, order: Order, candidate: Candidate, call: Call, address: str) -> AbstractContextManager[Span]:
        parts = urlsplit(address)
        seeds = [seed for seed in call.seeds if seed is not None]
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "image_generation",
            "gen_ai.provider.name": candidate.plan.provider,
            "gen_ai.request.model": candidate.plan.model,
            "gen_ai.request.choice.count": call.images,
            "gen_ai.request.seed": seeds[0] if seeds else None,
            "gen_ai.output.type": "image",
            "server.address": parts.hostname,
            "server.port": parts.port,
            "imagegate.generation.id": order.generation_id,
            "imagegate.model": order.model,
        }
        return self._span(f"image_generation {candidate.plan.model}", SpanKind.CLIENT, attributes)

    def conversion(self, finish: Finish) -> AbstractContextManager[Span]:
        size = None if finish.fit is None else f"{finish.fit.width}x{finish.fit.height}"
        attributes = {"imagegate.output.format": finish.format.value, "imagegate.output.size": size}
        return self._span("convert", SpanKind.INTERNAL, attributes)

    def close(self) -> None:
        self._provider.force_flush(FLUSH_MILLISECONDS)
        self._provider.shutdown()

    @contextmanager
    def _span(
        self, name: str, kind: SpanKind, attributes: dict[str, Any], parent: Context | None = None
    ) -> Iterator[Span]:
        said = {key: value for key, value in attributes.items() if value is not None}
        # An exception's text may hold anything: its kind alone is told.
        with self._tracer.start_as_current_span(
            name, parent, kind, said, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield _Span(span)
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise


def _method(written: str) -> str:
    """A request's method as the conventions want it: a client's own word is none."""
    return written if written in METHODS else "_OTHER"


def _version() -> str:
    try:
        return version("imagegate")
    except PackageNotFoundError:
        return "unknown"
