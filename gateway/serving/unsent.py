"""How much of an answer has not reached the client yet, and whether it does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

FIRST_LOOK_SECONDS: Final = 0.005
LOOK_MOST_SECONDS: Final = 1.0
"""Between looks at what a client has taken: each pause is twice as long as the one before."""
HURRY_SECONDS: Final = 2.0
"""How long a client may take nothing once the server is to end."""


def unsent(transport: asyncio.Transport) -> int:
    """Bytes held for the client, in this process and, where the system tells, in its socket. The kernel takes bytes in
    leaps of megabytes, so that by the first number alone a slow reader would look like one who has stopped."""
    return transport.get_write_buffer_size() + _unacknowledged(transport.get_extra_info("socket"))


def _unacknowledged(of: socket.socket | None) -> int:
    """Bytes in a socket that the other side's system has not confirmed; 0 where nobody can tell."""
    if of is None or sys.platform != "linux":
        return 0
    import fcntl  # Unix alone has them
    import termios

    try:
        found = fcntl.ioctl(of.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:  # closed meanwhile, or no TCP socket
        return 0
    return int(struct.unpack("i", found)[0])


class Line:
    """A connection, for whoever must know what became of an answer that was written to it.

    `seconds`: how long a client may take nothing and still be waited for. `tasks`: what the server lets end before it
    ends itself.
    """

    def __init__(self, transport: asyncio.Transport, seconds: float, tasks: set[asyncio.Task[Any]]) -> None:
        self._transport, self.seconds, self._tasks = transport, seconds, tasks
        self._watches: set[Watch] = set()
        self._flushed = True  # at the last look this process held nothing back
        self._ended = False
        self._stirred = asyncio.Event()
        self._whole = False  # it ended with everything taken
        self._rest: socket.socket | None = None  # what the system still sends after our end of it is closed
        self._was_reset = False
        self._then: list[Callable[[], Awaitable[None]]] = []
        self.words = 0
        """Times that the client has said something."""
        self._parted = asyncio.Event()

    @property
    def over(self) -> bool:
        return self._ended

    @property
    def parted(self) -> bool:
        """The client has ended its side: it says nothing more, and may be gone."""
        return self._parted.is_set()

    def part(self) -> None:
        """The client ends its side."""
        self._parted.set()

    async def parting(self) -> None:
        """Return when the client has ended its side."""
        await self._parted.wait()

    def watch(self, words: int) -> Watch:
        """What becomes of all that is written by now; `words` as they were when the answer began. It is looked at once
        at this moment: connections that end with their answer are lost before anybody can wait."""
        return Watch(self, words)

    def follow(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on with what the request is not to wait for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def when_reset(self, then: Callable[[], Awaitable[None]]) -> None:
        """Await `then` where the client resets the connection before it has said anything more: systems do so for a
        program that leaves an answer unread."""
        if not self._ended:
            self._then.append(then)
        elif self._was_reset:
            self._tell(then)

    def heard(self) -> None:
        """The client has said something more, and with it what it has taken: before another answer is written, the
        last one is looked at."""
        self.words += 1
        for watch in self._watches:
            watch.arrived()
        self._then.clear()
        self._stirred.set()

    def hurry(self) -> None:
        """The server is to end."""
        self.seconds = min(self.seconds, HURRY_SECONDS)

    def lost(self, error: Exception | None, *, cut: bool) -> None:
        """The connection is over; its socket is open for the last time. `cut`: we ended it and threw away the rest."""
        whole = self._flushed or (error is None and not cut)
        left = _unacknowledged(self._transport.get_extra_info("socket"))
        self._whole, self._was_reset = whole and not left, error is not None
        if self._watches and whole and left and error is None:
            self._rest = _kept(self._transport.get_extra_info("socket"))
        self._ended = True
        self._stirred.set()
        then, self._then = self._then, []
        if self._was_reset:
            for each in then:
                self._tell(each)

    def _tell(self, then: Callable[[], Awaitable[None]]) -> None:
        async def told() -> None:
            await then()

        self.follow(told())

    def begin(self, watch: Watch) -> None:
        """Somebody watches."""
        self._watches.add(watch)

    def end(self, watch: Watch) -> None:
        """Somebody watches no more."""
        self._watches.discard(watch)
        if not self._watches and self._rest is not None:
            self._rest.close()

    def left(self) -> int | None:
        """Bytes that are not taken yet; None = they never will be."""
        if not self._ended:
            self._flushed = not self._transport.get_write_buffer_size()
            return unsent(self._transport)
        if self._rest is None:
            return 0 if self._whole else None
        left = _unacknowledged(self._rest)
        return left if not left or not self._rest.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) else None

    async def pause(self, seconds: float) -> None:
        """Until then, or until something happens on the connection."""
        self._stirred.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()


class Watch:
    """What becomes of one answer; `end` must be awaited."""

    def __init__(self, line: Line, words: int) -> None:
        self._line, self._words = line, words
        line.begin(self)
        self._left = line.left()
        self._over = False

    def arrived(self) -> bool:
        """Whether the client's system has taken all of it."""
        if self._left and not self._over:
            self._left = self._line.left()
        return self._left == 0

    def when_reset(self, then: Callable[[], Awaitable[None]]) -> None:
        """`Line.when_reset`, unless the client has said something since this answer began."""
        if self._line.words == self._words:
            self._line.when_reset(then)

    async def end(self) -> bool:
        """`arrived`, once it has, or cannot any more: the connection has ended, or nothing was taken for too long."""
        loop, line = asyncio.get_running_loop(), self._line
        pause, moved = FIRST_LOOK_SECONDS, loop.time()
        try:
            while before := self._left:
                await line.pause(pause)
                pause = min(2 * pause, LOOK_MOST_SECONDS)
                if self.arrived() or self._left is None or self._left < before:
                    moved = loop.time()
                elif loop.time() - moved >= line.seconds:
                    break
            return self._left == 0
        finally:
            self._over = True
            line.end(self)


def _kept(of: socket.socket | None) -> socket.socket | None:
    """A socket that goes on being looked at while its transport closes it: its end is announced behind the rest."""
    if of is None:
        return None
    try:
        kept = socket.socket(fileno=os.dup(of.fileno()))
    except OSError:
        return None
    with contextlib.suppress(OSError):  # the other side is gone, which is seen by looking
        kept.shutdown(socket.SHUT_WR)
    return kept
