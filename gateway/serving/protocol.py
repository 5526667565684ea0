"""uvicorn's protocol on llhttp, with the limits that it lacks: on heads, bodies, readers and pipelines.

uvicorn (0.54) keeps silent connections for ever, takes headers without end, and runs whatever is pipelined. Here every
connection is always under some clock: until its head is complete, while its body comes, while its answer goes out, or
while it is idle. What is refused is told in the gateway's own envelope, and the connection ends: after a request that
two readers could understand differently, nothing more on it can be trusted.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.api.telling import LINE
from gateway.config.limits import Limits
from gateway.serving.door import LINGERING_MOST, Door
from gateway.serving.heads import Head, check, check_size, too_long
from gateway.serving.pace import Pace
from gateway.serving.parted import Opened, Parted
from gateway.serving.refusals import refusal
from gateway.serving.unframed import unframed
from gateway.serving.unsent import Line, unsent
from normalization.errors import ImagegateError, InvalidValue

log = logging.getLogger("imagegate.serving")

LINGER_SECONDS = 2.0
"""How long a client may take to read why it is refused. Closed at once, with bytes of its own still unread, its system
would throw our answer away (RFC 9112, section 9.6)."""

PIPELINED_MOST = 16
"""Requests that may wait on a connection behind the one in progress."""

CHUNKING_MOST = 8
"""Bytes of chunk sizes, extensions and ends for each byte of a chunked body: 1-byte chunks need 5."""


class GuardedConfig(uvicorn.Config):
    """uvicorn's settings, and what the protocol reads besides."""

    def __init__(self, app: ASGIApp, limits: Limits, door: Door, **settings: Any) -> None:
        super().__init__(app, http=GuardedProtocol, **settings)
        self.limits = limits
        self.door = door


class _Refused(Exception):
    """Stops the parser; the error for the client is kept beside."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits, self._door = config.limits, config.door
        self.timeout_keep_alive = config.limits.keep_alive_seconds  # type: ignore[assignment]  # uvicorn only adds it
        self._entered = False
        self._counts: str | None = None
        self._deaf = False  # what still comes is thrown away
        self._lingers = False
        self._problem: ImagegateError | None = None
        self._running: RequestResponseCycle | None = None
        self._begun = False  # a head has begun and is not complete
        self._receiving = False  # a head is complete and its body is not
        self._ended = False  # a message ended in the bytes at hand
        self._head_bytes = self._head_done = 0.0
        self._body_bytes = self._framing_bytes = self._fed = 0
        self._pace: Pace | None = None
        self._coming: asyncio.TimerHandle | None = None  # the clock of what the client sends
        self._going: asyncio.TimerHandle | None = None  # the clock of what it reads
        self._unsent = 0
        self._cut = False
        self._line: Line
        self._parted: Parted | None = None

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._line = Line(transport, self._limits.answer_idle_seconds, self.tasks)
        try:
            self._counts = self._door.enter(self.client[0] if self.client else None)
        except ImagegateError as error:
            log.warning("connection refused: %s", error.message)
            self._hang_up(refusal(error))
            return
        self._entered = True
        self._coming = self.loop.call_later(self._limits.header_seconds, self._head_due)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._entered:
            self._door.leave(self._counts)
            self._entered = False
        if self._lingers:
            self._door.lingering -= 1
            self._lingers = False
        self._stop_coming()
        if self._going is not None:
            self._going.cancel()
            self._going = None
        self._unset_keepalive_if_required()
        if self._parted is not None:
            self._parted.end()
        self._line.lost(exc, cut=self._cut)
        super().connection_lost(exc)
        running = self._running
        if running is not None and not running.response_complete:  # uvicorn tells only the request that came last
            _silence(running)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn always lets go
        """The client ends its side: whether the connection stays open, because what it asked for in full is still to be
        answered, and it may still read."""
        running = self._running
        if running is None or running.response_complete or self._receiving or self._begun or self._lingers:
            return False
        self.cycle.keep_alive = False
        self._line.part()
        opened = None
        if not running.response_started:
            opened = Opened(self.transport)
            running.transport = opened  # type: ignore[assignment]
        self._parted = Parted(self.transport, self._abort, opened)
        return True

    def shutdown(self) -> None:
        self._line.hurry()
        super().shutdown()

    # ---- what comes

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._line.heard()
        self._unset_keepalive_if_required()
        received_before, self._ended, self._fed = self._receiving, False, 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Another protocol was offered, as Java's client does, and is not taken up: the request is answered, and
            # nothing that stands behind it is read.
            self._deaf, self.cycle.keep_alive = True, False
            return
        except httptools.HttpParserError:
            self._refuse(self._problem or InvalidValue("the request is not valid HTTP/1.1"))
            return
        if self._ended:
            self._head_bytes = self._framing_bytes = 0
        elif received_before:
            self._framing_bytes += len(data) - self._fed
        elif not self._receiving:
            self._head_bytes += len(data)
        self._limit()

    def _limit(self) -> None:
        """What is left open by the bytes just fed must be within bounds, and under a clock."""
        limits = self._limits
        if self._receiving:
            if self._framing_bytes > limits.header_bytes + CHUNKING_MOST * self._body_bytes:
                self._refuse(InvalidValue("the chunks of the body say too much beside the body"))
            elif self._coming is None:
                self._pace = Pace(limits.body_bytes_per_second, limits.body_idle_seconds, self.loop.time())
                self._coming = self.loop.call_at(self._pace.due, self._body_due)
        elif self._head_bytes > limits.header_bytes:
            self._refuse(too_long(limits.header_bytes))
        elif self._begun or not self._ended:
            if self._coming is None:
                self._coming = self.loop.call_later(limits.header_seconds, self._head_due)
        elif self.cycle.response_complete and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][LINE] = self._line
        self._begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._receiving:  # what comes after a chunked body is no header, whatever it is called
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        head = Head(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        try:
            self._check(head)
        except ImagegateError as problem:
            self._problem = problem
            raise _Refused from None
        self._stop_coming()
        self._begun, self._receiving = False, True
        self._body_bytes, self._framing_bytes, self._head_done = 0, 0, self.loop.time()
        super().on_headers_complete()

    def _check(self, head: Head) -> None:
        limits = self._limits
        check_size(head, count_most=limits.header_count, bytes_most=limits.header_bytes)
        absolute = check(head)
        if len(self.pipeline) >= PIPELINED_MOST:
            raise InvalidValue(f"more than {PIPELINED_MOST} requests wait on this connection")
        if absolute is not None:
            authority, self.url = absolute
            self.headers[:] = [pair for pair in self.headers if pair[0] != b"host"]
            self.headers.append((b"host", authority))

    def on_body(self, body: bytes) -> None:
        self._fed += len(body)
        self._body_bytes += len(body)
        if self._pace is not None:
            self._pace.moved(len(body), self.loop.time())
        super().on_body(body)
        if self.flow.read_paused and self._pace is not None:
            self._pace.excuse()

    def on_message_complete(self) -> None:
        self._receiving, self._ended, self._pace = False, True, None
        self._stop_coming()
        super().on_message_complete()

    def _head_due(self) -> None:
        self._coming = None
        seconds = self._limits.header_seconds
        if self._head_bytes or self._begun:
            self._refuse(InvalidValue(f"the request's headers did not arrive within {seconds:g} seconds"))
        elif not self.transport.is_closing():  # opened in advance, as browsers do: no answer to what was never asked
            self.transport.close()

    def _body_due(self) -> None:
        self._coming = None
        pace, now, limits = self._pace, self.loop.time(), self._limits
        if pace is None:
            return
        if self.flow.read_paused:
            pace.restart(now)
        verdict = pace.verdict(now)
        if verdict == "silent":
            self._refuse(InvalidValue(f"nothing of the body came for {limits.body_idle_seconds:g} seconds"))
        elif verdict == "slow":
            self._refuse(InvalidValue(f"the body came more slowly than {limits.body_bytes_per_second} bytes a second"))
        elif self.cycle.response_complete and now >= self._head_done + limits.body_seconds:
            self._hang_up()
        else:
            due = pace.due
            if self.cycle.response_complete:
                due = min(due, self._head_done + limits.body_seconds)
            self._coming = self.loop.call_at(due, self._body_due)

    # ---- what goes

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        knows_chunks = cycle.scope["http_version"] != "1.0"
        super()._start_asgi_task(cycle, app if knows_chunks else unframed(app, cycle))

    def on_response_complete(self) -> None:
        unread = self._receiving and self._running is self.cycle
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._watch_reader()
        if unread and not self.transport.is_closing():
            if self.expect_100_continue and not self._body_bytes:  # it may never send what it was not asked for
                self._hang_up()
            else:
                self._stop_coming()
                self._body_due()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._going is not None and self._running is not None and not self._running.response_complete:
            self._going.cancel()
            self._going = None

    def _watch_reader(self) -> None:
        if self._going is None:
            self._unsent = unsent(self.transport)
            self._going = self.loop.call_later(self._limits.answer_idle_seconds, self._reader_due)

    def _reader_due(self) -> None:
        self._going = None
        if not self.transport.get_write_buffer_size():
            return
        limits, left = self._limits, unsent(self.transport)
        if self._unsent - left < max(1.0, limits.answer_bytes_per_second * limits.answer_idle_seconds):
            log.warning("a client reads its answer too slowly; its connection is cut")
            self._abort()
            return
        self._unsent = left
        self._going = self.loop.call_later(limits.answer_idle_seconds, self._reader_due)

    # ---- the end

    def _refuse(self, error: ImagegateError) -> None:
        """Answer with an error where it is the connection's turn to, and end the connection in any case. Requests that
        came before and were sound are answered first."""
        log.info("request refused: %s", error.message)
        self._deaf = True
        cycle, running = self.cycle, self._running
        if self._receiving and cycle is not running:
            self.pipeline.popleft()
        elif self._receiving and not cycle.response_started:
            _silence(cycle)
            self._hang_up(refusal(error, cycle.scope["state"].get("request_id")))
            return
        elif self._receiving:
            self._hang_up() if cycle.response_complete else self._abort()
            return
        last = self.pipeline[0][0] if self.pipeline else running
        if last is None or last.response_complete:
            self._hang_up(refusal(error))
        else:
            last.keep_alive = False
            self._stop_coming()

    def _stop_coming(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None

    def _hang_up(self, answer: bytes = b"") -> None:
        """Say the last word, and let the client read it before the connection is gone."""
        self._deaf = True
        self._stop_coming()
        self._unset_keepalive_if_required()
        transport = self.transport
        if transport.is_closing():
            return
        if answer:
            transport.write(answer)
        if not transport.can_write_eof() or self._door.lingering >= LINGERING_MOST:
            transport.close()
            return
        self.flow.resume_reading()
        transport.write_eof()
        self._door.lingering += 1
        self._lingers = True
        self._coming = self.loop.call_later(LINGER_SECONDS, self._abort)

    def _abort(self) -> None:
        self._cut = True
        self.transport.abort()


def _silence(cycle: RequestResponseCycle) -> None:
    """Let the application know that nobody listens any more."""
    cycle.disconnected = True
    cycle.message_event.set()
