"""exchange(): the awaits of this package. One request to a provider out, its complete answer or a `Broken` back.

What can have been bought by an exchange that broke follows from how far it got, and that is not in the exception: over
aiohttp, httpx reports a connection closed after the request as a ConnectTimeout, and its own trace extension is silent.
So the stage comes from aiohttp's trace callbacks (docs.aiohttp.org, "Tracing Reference"), which fire just before bytes
are handed over; where that leaves a doubt, the later stage is told. Exceptions only name the fault.

What httpx.AsyncClient adds and a gateway must not have is turned off: cookies, redirects, proxies from the environment,
and a log line with the URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Self, cast

import aiohttp
import tenacity
from aiohttp.http_exceptions import ContentLengthError, HttpProcessingError, TransferEncodingError

from providers.base import Broken, Fault, Stage, WireReply, WireRequest
from providers.bodies import SLICE, Body, TooLarge, encode
from providers.course import Course
from providers.events import Told, body_of, streamed, unheard
from providers.repeats import last, pause, worth_repeating
from providers.repeats import retry_after as retry_after
from providers.slim import absent
from providers.target import Target as Target

# httpx imports its own command line wherever click is installed, and with it pygments and rich: a tenth of our start.
with absent("click"):
    import httpx
    from httpx_aiohttp import AiohttpTransport

USER_AGENT = "imagegate"

CONNECTIONS_MOST = 2048
"""Only a backstop: how much is under way at once is limited per provider, before this."""

IDLE_SECONDS_MOST = 4.0
"""An idle connection is used again for this long. A peer that closes one just as a submission is written leaves an
unknown outcome; servers close after 5 seconds or more."""

HEADER_BYTES_MOST = 32 * 1024
HEADERS_MOST = 256

BUFFER_BYTES = 16 * 1024
"""Of a reply that nobody reads yet, what is enough to stop taking more after the first piece, of up to 256 KB: the rest
waits in the system's buffers, and hundreds of replies may have to wait for room at once."""

_WATCH_SECONDS = 0.5

Sleep = Callable[[float], Awaitable[None]]
Room = Callable[[int | None], contextlib.AbstractAsyncContextManager[object]]

_NEVER_CONNECTED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
)

logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it writes every URL


@dataclass(slots=True)
class _Traced(Course):
    response: aiohttp.ClientResponse | None = None
    traced: bool = False


_course: ContextVar[_Traced] = ContextVar("course")


def _tracing() -> aiohttp.TraceConfig:
    # httpx-aiohttp has no way to hand a context to the trace. The callbacks run in the task of the exchange, or in the
    # one that aiohttp starts from it to write the body, so a context variable reaches them all.
    async def reused(
        _s: aiohttp.ClientSession, _c: SimpleNamespace, _p: aiohttp.TraceConnectionReuseconnParams
    ) -> None:
        _course.get().traced = True
        _course.get().reused = True

    async def connecting(
        _s: aiohttp.ClientSession, _c: SimpleNamespace, _p: aiohttp.TraceConnectionCreateStartParams
    ) -> None:
        _course.get().traced = True

    async def headers(
        _s: aiohttp.ClientSession, _c: SimpleNamespace, _p: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        _course.get().reach(Stage.HEADERS_SENT)
        _course.get().hand_over(0)

    async def chunk(_s: aiohttp.ClientSession, _c: SimpleNamespace, sent: aiohttp.TraceRequestChunkSentParams) -> None:
        _course.get().hand_over(len(sent.chunk))

    async def replied(_s: aiohttp.ClientSession, _c: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
        _course.get().reach(Stage.REPLY_BEGUN)
        _course.get().response = end.response

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_start.append(connecting)
    tracing.on_connection_reuseconn.append(reused)
    tracing.on_request_headers_sent.append(headers)
    tracing.on_request_chunk_sent.append(chunk)
    tracing.on_request_end.append(replied)
    return tracing


class _Lost(aiohttp.ClientConnectionError):
    """What `never_twice` makes of a lost connection; the cause has the particulars."""


async def never_twice(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends a GET a second time by itself when the connection is lost; repeating is decided here alone."""
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as lost:
        if isinstance(lost, aiohttp.ClientConnectorError):
            raise
        raise _Lost from lost


def trust() -> ssl.SSLContext:
    """Certificates are verified against SSL_CERT_FILE or SSL_CERT_DIR where the operator sets one, else certifi's."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _socket(info: aiohttp.AddrInfoType) -> socket.socket:
    # A picture takes minutes of silence; without probes a NAT or load balancer between drops the idle connection.
    made = socket.socket(info[0], info[1], info[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 15)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
    return made


class _Slices(httpx.AsyncByteStream):
    def __init__(self, body: Body) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for view in self._body.slices():
            yield view  # type: ignore[misc]  # aiohttp writes any buffer, and a view is what keeps this from copying


class _NoCookies(httpx.Cookies):
    # A jar whose policy refuses all would still be shown each reply, at a tenth of what a small exchange costs; and
    # what httpx.AsyncClient is given as `cookies` it copies into a jar of its own.
    def extract_cookies(self, response: httpx.Response) -> None:
        pass


class Transport:
    """The one HTTP client of the process, for every provider. An async context manager, or call `aclose`.

    `tls` replaces the certificates that are trusted, `sleep` the pause between repeats; a reply is read within `room`.
    """

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, sleep: Sleep = asyncio.sleep, room: Room = contextlib.nullcontext
    ) -> None:
        self._tls = tls or trust()
        self._sleep = sleep
        self._room = room
        self._client = httpx.AsyncClient(
            transport=AiohttpTransport(client=self._session, verify=self._tls, trust_env=False),
            trust_env=False,
        )
        self._client._cookies = _NoCookies()

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_MOST, keepalive_timeout=IDLE_SECONDS_MOST, ssl=self._tls, socket_factory=_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[_tracing()],
            middlewares=(never_twice,),
            max_line_size=HEADER_BYTES_MOST,
            max_field_size=HEADER_BYTES_MOST,
            max_headers=HEADERS_MOST,
            read_bufsize=BUFFER_BYTES,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()

    async def exchange(
        self, request: WireRequest, target: Target, *, deadline: float, told: Told | None = None
    ) -> WireReply | Broken:
        """Send `request` once and read its reply whole, until `deadline` (time.monotonic) at the latest. Where the
        reply is a stream of events and `request.events` says so, `told` gets the data of each as it comes.

        Trouble on the way is returned, never raised: `Broken` with the furthest stage that may have been reached.
        """
        body = encode(request)
        if deadline <= time.monotonic():
            return Broken(Stage.CONNECTING, "connect_timeout", "no time was left to begin")
        loop = asyncio.get_running_loop()
        until = loop.time() + deadline - time.monotonic()
        course = _Traced(body.length, until, target.write_timeout, target.read_timeout)
        token = _course.set(course)
        try:
            wire = _wire_request(request, body, target)
            async with asyncio.timeout_at(course.deadline) as course.timer:
                heard = (told or unheard) if request.events else None
                return await self._converse(wire, course, target.reply_bytes_most, heard)
        except TooLarge:
            return Broken(course.stage, "too_large", f"more than {target.reply_bytes_most} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, HttpProcessingError, OSError) as trouble:
            if not course.traced and not isinstance(trouble, _NEVER_CONNECTED):
                # No callback came at all, so another transport stood in for aiohttp's: the pessimistic stage holds.
                course.reach(Stage.BODY_SENT)
            return Broken(course.stage, fault_of(trouble, course.stage), _detail(trouble, course.reused))
        finally:
            course.timer = None
            _course.reset(token)

    async def _converse(self, wire: httpx.Request, course: _Traced, most: int, told: Told | None) -> WireReply | Broken:
        response = await self._client.send(wire, stream=True)
        course.allow(math.inf)
        try:
            headers = dict(response.headers.items())
            encoding = headers.get("content-encoding", "identity").strip().lower()
            if encoding not in ("", "identity"):
                return Broken(course.stage, "encoding", "a Content-Encoding although identity was asked for")
            declared = int(length) if (length := headers.get("content-length", "")).isdecimal() else None
            async with self._room(declared) as weight:
                with _Watch(course.response):
                    chunks = cast("httpx.AsyncByteStream", response.stream)
                    body = await body_of(chunks, declared, most, told if streamed(headers) else None)
            course.finish()
            return WireReply(response.status_code, body, headers, weight)
        finally:
            # A complete reply must not be lost to a connection that then fails to close in order.
            with contextlib.suppress(httpx.HTTPError, aiohttp.ClientError, OSError):
                await response.aclose()

    async def repeat(
        self,
        request: WireRequest,
        target: Target,
        *,
        deadline: float,
        tries: int = 4,
        before: Callable[[], Awaitable[object]] | None = None,
    ) -> WireReply | Broken:
        """`exchange` what is safe to repeat (a poll, an upload) up to `tries` times, while it breaks or is answered
        with 429 or 5xx, with jittered pauses that honour Retry-After, until `deadline` (time.monotonic). `before` is
        awaited before each; what it raises ends it.

        Returns the last outcome. Raises ValueError for a submission, which may buy a picture each time.
        """
        if request.purpose == "submit":
            raise ValueError(f"a submission to {request.path!r} must never be repeated; only polls and uploads may")
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(worth_repeating),
            wait=pause,
            stop=lambda state: state.attempt_number >= tries or time.monotonic() + state.upcoming_sleep >= deadline,
            sleep=self._sleep,
            retry_error_callback=last,
        )

        async def once() -> WireReply | Broken:
            if before is not None:
                await before()
            return await self.exchange(request, target, deadline=deadline)

        return await retrying(once)


class _Watch:
    """Ends the wait for a body that will not go on. When chunked framing turns out broken halfway, aiohttp (3.14)
    closes the connection without telling the reader, who would wait until the deadline."""

    def __init__(self, response: aiohttp.ClientResponse | None) -> None:
        self._response = response

    def __enter__(self) -> None:
        self._arm()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_WATCH_SECONDS, self._look)

    def _look(self) -> None:
        if self._response is None or self._response.connection is None:
            return
        content = self._response.content
        if self._response.connection.transport is not None:
            self._arm()
        elif not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the framing of the body is broken"))


@lru_cache(maxsize=256)
def _url(base_url: str, path: str) -> httpx.URL:
    return httpx.URL(f"{base_url.rstrip('/')}/{path.lstrip('/')}")


def _wire_request(request: WireRequest, body: Body, target: Target) -> httpx.Request:
    headers = {"accept": "*/*", "user-agent": USER_AGENT}
    for own in (target.headers, request.headers):
        headers |= {name.lower(): value for name, value in own.items()}
    headers["accept-encoding"] = "identity"
    if body.content_type is not None:
        headers["content-type"] = body.content_type
    url = _url(target.base_url, request.path)
    extensions = {
        "timeout": {"pool": target.connect_timeout, "connect": target.connect_timeout, "read": target.read_timeout}
    }
    if body.length <= SLICE:
        return httpx.Request(
            request.method, url, headers=headers, content=b"".join(body.slices()), extensions=extensions
        )
    headers["content-length"] = str(body.length)
    return httpx.Request(request.method, url, headers=headers, stream=_Slices(body), extensions=extensions)


def fault_of(trouble: BaseException, stage: Stage) -> Fault:
    """The name of what went wrong, from the exceptions behind `trouble`; `stage` tells which wait a timeout ended."""
    causes = list(causes_of(trouble))
    for cause in causes:
        match cause:
            case aiohttp.ClientConnectorDNSError() | socket.gaierror():
                return "dns"
            case ssl.SSLError() | aiohttp.ClientSSLError():
                return "tls"
            case TimeoutError():
                return "connect_timeout" if stage is Stage.CONNECTING else "read_timeout"
            case aiohttp.ServerDisconnectedError() | ContentLengthError() | TransferEncodingError():
                return "closed"
            case ConnectionRefusedError():
                return "refused"
            case ConnectionError():
                return "reset"
            case _:
                pass
    if any(isinstance(cause, OSError) for cause in causes):
        return "refused" if stage is Stage.CONNECTING else "reset"
    return "protocol"


def causes_of(trouble: BaseException | None) -> Iterator[BaseException]:
    """`trouble` and what led to it, the innermost last."""
    while trouble is not None:
        yield trouble
        trouble = trouble.__cause__ or trouble.__context__


def _detail(trouble: BaseException, reused: bool) -> str:
    """Class names and error numbers only: the messages of HTTP libraries carry URLs."""
    words = []
    for cause in causes_of(trouble):
        # What httpx names the trouble misleads, and what ends a wait says nothing of why.
        if isinstance(cause, Exception) and not isinstance(cause, httpx.HTTPError | _Lost):
            words.append(type(cause).__name__)
        if isinstance(cause, ssl.SSLError):
            words.append(getattr(cause, "reason", None) or "")
        elif isinstance(cause, OSError):
            words.append(errno.errorcode.get(cause.errno or 0, ""))
    return " ".join(dict.fromkeys(word for word in words if word)) + (" on a reused connection" if reused else "")
