"""Traces: what OpenTelemetry is told of a request, its submissions and conversions, and what it is never told."""

from __future__ import annotations

import http.server
import logging
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gateway import container
from gateway.app import create_app
from gateway.serving.server import config_for
from gateway.telemetry import traces
from gateway.telemetry.otel import OtelTraces
from gateway.telemetry.traces import NO_SPAN, Traces, open_traces
from tests.served import running, settings_of
from tests.simulators import openai_simulator

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "xyzzy-the-prompt-that-nobody-may-see"


@contextmanager
def gateway(folder: Path, made: Traces, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[httpx.Client, Any]]:
    monkeypatch.setattr(container, "open_traces", lambda _: made)
    with openai_simulator(anonymous=True, mode="url") as upstream:
        config = {
            "auth": {"mode": "none"},
            "network": {"allow_private": ["127.0.0.0/8"]},
            "limits": {"retries": 0},
            "providers": {"up": {"type": "openai", "base_url": upstream.base_url}},
            "models": {"m": {"routes": [{"provider": "up", "model": "their-m"}]}},
        }
        settings = settings_of(folder, config)
        listener = socket.create_server(("127.0.0.1", 0))
        with running(config_for(create_app(settings), settings), listener):
            base = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/images"
            with httpx.Client(base_url=base, timeout=30) as client:
                yield client, upstream


def asked(client: httpx.Client, **more: Any) -> httpx.Response:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "authorization": "Bearer a-key"}
    body = {"model": "m", "prompt": SECRET, "size": "64x64", "seed": 7, **more}
    return client.post("/generations?x=a-query", json=body, headers=headers)


def in_memory() -> tuple[OtelTraces, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    return OtelTraces(SimpleSpanProcessor(exporter)), exporter


def by_name(spans: Sequence[ReadableSpan]) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans}


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_request_its_submission_and_its_conversion_are_one_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, exporter = in_memory()
    with gateway(tmp_path, made, monkeypatch) as (client, upstream):
        assert asked(client, output_format="webp").status_code == 200
        host, port = upstream.base_url.split("/")[2].split(":")
    spans = by_name(exporter.get_finished_spans())
    request, submission, convert = (
        spans[name] for name in ("POST /v1/images/generations", "image_generation their-m", "convert")
    )
    assert request.context is not None
    assert submission.context is not None
    assert f"{request.context.trace_id:032x}" == TRACE
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    assert submission.parent is not None
    assert submission.parent.span_id == request.context.span_id
    assert convert.parent is not None
    assert convert.parent.span_id == submission.context.span_id
    assert [span.kind for span in (request, submission, convert)] == [
        SpanKind.SERVER,
        SpanKind.CLIENT,
        SpanKind.INTERNAL,
    ]
    told = attributes(submission)
    assert (
        told.items()
        >= {
            "gen_ai.operation.name": "image_generation",
            "gen_ai.provider.name": "up",
            "gen_ai.request.model": "their-m",
            "gen_ai.response.model": "their-m",
            "gen_ai.request.seed": 7,
            "gen_ai.request.choice.count": 1,
            "gen_ai.output.type": "image",
            "server.address": host,
            "server.port": int(port),
        }.items()
    )
    assert "error.type" not in told
    assert attributes(request)["http.response.status_code"] == 200
    assert attributes(convert)["imagegate.output.format"] == "webp"


def test_a_failed_submission_names_the_kind_of_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, exporter = in_memory()
    with gateway(tmp_path, made, monkeypatch) as (client, upstream):
        upstream.fail_next(status=400, message=f"no: {SECRET}")
        assert asked(client).status_code == 400
    spans = by_name(exporter.get_finished_spans())
    submission = spans["image_generation their-m"]
    assert attributes(submission)["error.type"] == "rejected_by_provider"
    assert submission.status.status_code is StatusCode.ERROR
    assert spans["POST /v1/images/generations"].status.status_code is StatusCode.UNSET


def test_no_span_tells_a_prompt_a_key_a_picture_or_a_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, exporter = in_memory()
    with gateway(tmp_path, made, monkeypatch) as (client, upstream):
        asked(client)
        upstream.fail_next(status=400, message=f"no: {SECRET}")
        asked(client)
        upstream.fail_next(not_a_picture=True)
        asked(client, user="a-user")
        client.get("/files/a.png?sig=a-query")
    spans = exporter.get_finished_spans()
    assert len(spans) >= 8
    told = "".join(span.to_json() for span in spans)
    for secret in (SECRET, "a-key", "a-query", "a-user", "sig="):
        assert secret not in told


def test_spans_reach_a_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as (url, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "our-gateway")
        made = open_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
        with gateway(tmp_path, made, monkeypatch) as (client, _):
            assert asked(client).status_code == 200
        # The end of the gateway has sent what there was.
        resources = [each for message in received for each in message.resource_spans]
        names = {span.name for each in resources for scope in each.scope_spans for span in scope.spans}
        assert {"POST /v1/images/generations", "image_generation their-m", "convert"} <= names
        services = {
            attribute.value.string_value
            for each in resources
            for attribute in each.resource.attributes
            if attribute.key == "service.name"
        }
        assert services == {"our-gateway"}


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """An OTLP receiver over HTTP, and what it received."""
    received: list[ExportTraceServiceRequest] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                raise AssertionError("nobody asked for compression")
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", received
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "environ", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, {traces.ENDPOINTS[0]: "http://x", "OTEL_SDK_DISABLED": "true"}]
)
def test_nobody_asked_for_traces_and_there_are_none(environ: dict[str, str]) -> None:
    made = open_traces(environ)
    assert type(made) is Traces
    assert made.request({}) is NO_SPAN


def test_without_the_extra_one_warning_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "gateway.telemetry.otel", None)
    with caplog.at_level(logging.WARNING, "imagegate.traces"):
        assert type(open_traces({traces.ENDPOINTS[0]: "http://x"})) is Traces
    assert len(caplog.messages) == 1
    assert "otel" in caplog.messages[0]
