"""A client that has ended its side of the connection: it may be gone, or may still read; the end itself does not say.

What tells is the answer. The system of a client that is gone resets the connection for it (RFC 1122, section 4.2.2.13),
the system of one that reads confirms it. So the first bytes of the answer go out before there is one: they are the
same whatever it will be. One after another, since something between us may take one before it finds out itself.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any, Final

from gateway.serving.unsent import FIRST_LOOK_SECONDS, LOOK_MOST_SECONDS, unsent

OPENING: Final = b"HTTP/1.1 "
"""How every answer begins, that of HTTP/1.0 too."""
CONFIRM_SECONDS: Final = 5.0
"""How long a system may take to confirm the first byte: TCP sends it again some four times within that."""


class Opened:
    """A transport on which the next answer is begun before it is there."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._said = 0
        self._answered = False

    def say(self) -> None:
        """One more byte of the opening, while there is no answer and one is left."""
        if not self._answered and self._said < len(OPENING):
            self._transport.write(OPENING[self._said : self._said + 1])
            self._said += 1

    def write(self, data: bytes) -> None:
        """The answer, of which a part may be out."""
        rest = data if self._answered else data[self._said :]
        self._answered = True
        self._transport.write(rest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Parted:
    """Looks whether such a client is gone, for as long as its answer is awaited, and calls `gone` where it is: where it
    has reset the connection, or does not confirm an opening. `opened` None: its answer has begun already."""

    def __init__(self, transport: asyncio.Transport, gone: Callable[[], None], opened: Opened | None) -> None:
        self._transport, self._gone, self._opened = transport, gone, opened
        self._unconfirmed = opened is not None
        self._loop = asyncio.get_running_loop()
        self._socket = _copied(transport)
        self._until, self._pause = self._loop.time() + CONFIRM_SECONDS, FIRST_LOOK_SECONDS
        if opened is not None:
            opened.say()
        self._timer = self._loop.call_later(self._pause, self._look)

    def end(self) -> None:
        """Look no more."""
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _look(self) -> None:
        if self._unconfirmed and not unsent(self._transport):
            self._unconfirmed = False
        late = self._unconfirmed and self._loop.time() >= self._until
        if self._socket is None or late or self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._gone()
            return
        if self._opened is not None:
            self._opened.say()
        self._pause = min(2 * self._pause, LOOK_MOST_SECONDS)
        self._timer = self._loop.call_later(self._pause, self._look)


def _copied(transport: asyncio.Transport) -> socket.socket | None:
    """The connection's socket under a number of its own: an event loop that reads no more looks for no reset either."""
    try:
        return socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    except OSError:
        return None
