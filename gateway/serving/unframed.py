"""Answers of unknown length to a client of HTTP/1.0, which knows no chunks: they end with their connection.

uvicorn (0.54) chunks them whatever the client speaks. A server must not (RFC 9112, section 6.1): such a client takes
the sizes of the chunks for a part of the body.
"""

from __future__ import annotations

import sys
from typing import cast

from starlette.types import Message, Receive, Scope, Send
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def unframed(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """`app`, whose answer on `cycle` goes out as its bytes alone where it does not say how many they are."""

    async def ending_with_its_connection(scope: Scope, receive: Receive, send: Send) -> None:
        endless = False

        async def sent(message: Message) -> None:
            nonlocal endless
            if message["type"] == "http.response.start":
                endless = all(name.lower() != b"content-length" for name, _ in message.get("headers", []))
                if endless:
                    cycle.keep_alive = cycle.chunked_encoding = False
                    cycle.expected_content_length = sys.maxsize
            elif endless and not message.get("more_body", False):
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, sent)  # type: ignore[arg-type]  # the same messages, typed by two packages

    return cast("ASGI3Application", ending_with_its_connection)
