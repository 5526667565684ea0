"""How much of an answer has not reached the client yet."""

from __future__ import annotations

import asyncio
import struct
import sys


def unsent(transport: asyncio.Transport) -> int:
    """Bytes held for the client, in this process and, where the system tells, in its socket. The kernel takes bytes in
    leaps of megabytes, so that by the first number alone a slow reader would look like one who has stopped."""
    held = transport.get_write_buffer_size()
    socket = transport.get_extra_info("socket")
    if socket is None or sys.platform != "linux":
        return held
    import fcntl  # Unix alone has them
    import termios

    try:
        found = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:  # closed meanwhile, or no TCP socket
        return held
    return held + int(struct.unpack("i", found)[0])
