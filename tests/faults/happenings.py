"""What may happen to a request on its way, as values, and what really became of it.

No I/O: `proxy` carries it out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

Purpose = Literal["submit", "poll", "picture", "other"]
End = Literal["keep", "close", "reset", "hold"]

THEIRS: Final = None
NOTHING: Final = b""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to one request. The default is that it passes."""

    on: Purpose | None = "submit"
    """The kind of request that it waits for; None = whichever comes next. Ignored where `read` is given, as nothing
    can be known of a request before it is read."""
    read: int | None = None
    """Bytes of the request (head and body counted together) that are read before the connection ends; None = all."""
    forward: bool = True
    """Whether a whole request reaches the provider."""
    take: int | None = None
    """Bytes of the provider's answer that are read before the connection to it is reset; None = all."""
    answer: bytes | None = THEIRS
    """What is sent back: the provider's own answer, or these bytes."""
    swap: tuple[bytes, bytes] | None = None
    """Bytes that stand in the provider's answer, and others of the same length that are sent in their place."""
    upto: int | None = None
    """Bytes of the answer that are sent; None = all, a negative number counts from its end."""
    in_body: bool = False
    """`read` and `upto` count from the beginning of a body, not of its head."""
    drip: bool = False
    """The answer comes a byte at a time."""
    hold: bool = False
    """The answer waits for `release`; what `answer` sends back waits too, the provider is asked at once."""
    end: End = "keep"
    """What becomes of the connection when the answer, or as much of it as comes, is out."""


PASS: Final = Fault(on=None)
DROPPED: Final = Fault(answer=NOTHING, end="close")
"""The provider did the work, and nobody is told."""


def own(status: int, body: bytes, content_type: str = "application/json", **headers: str) -> bytes:
    """An answer of the proxy's own."""
    lines = {"content-type": content_type, "content-length": str(len(body)), "connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in lines.items())]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@dataclass(slots=True)
class Exchange:
    """What really became of one connection's request."""

    fault: Fault
    purpose: Purpose = "other"
    request: bytes = b""
    forwarded: bool = False
    """The provider has the whole request."""
    answer: bytes = b""
    """What the provider answered, whether or not it was passed on."""
    sent: bytes = b""
    """What was sent back instead, or of it."""
    over: bool = False

    @property
    def unread(self) -> bool:
        """Whether it ended before anything could be known of it."""
        return self.fault.read is not None

    @property
    def told(self) -> bool:
        """Whether the caller got a whole answer that leaves no doubt: the provider's own or a refusal, as it is."""
        head, end, body = self.sent.partition(b"\r\n\r\n")
        whole = bool(end) and len(body) == length(head)
        refused = re.match(rb"HTTP/1\.1 4\d\d", head) is not None
        return whole and (refused or (self.fault.answer is THEIRS and head.startswith(b"HTTP/1.1 2")))


def length(head: bytes) -> int:
    found = re.search(rb"\r\ncontent-length:\s*(\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else 0


def purpose_of(method: str, path: str) -> Purpose:
    """What a request to a provider is for, by the paths of all the simulated ones."""
    if method == "POST":
        return "submit"
    if path.startswith("/v2/jobs/"):
        return "poll"
    return "picture" if re.match(r"/(files|v1/images|development/images)/", path) else "other"
