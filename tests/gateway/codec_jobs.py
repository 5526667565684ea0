"""What the codec children of the tests are told to do; each runs in a child, under its limits."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import subprocess
import sys
from typing import NoReturn

from normalization.pictures.refusal import BadPicture, CannotEncode

REPLIES = 3
"""Where a child writes its answers: the first descriptor after the standard ones."""


def echo(data: bytes) -> bytes:
    return data


def pid() -> int:
    return os.getpid()


def gate(path: str) -> int:
    """Waits until someone has opened the named pipe for writing and closed it again."""
    with open(path, "rb") as pipe:
        pipe.read()
    return os.getpid()


def spin() -> NoReturn:
    while True:
        pass


def swell(size: int) -> int:
    return len(bytearray(size))


def refuse() -> NoReturn:
    raise BadPicture("unreadable", "of no use")


def cannot() -> NoReturn:
    raise CannotEncode("too_large", "does not fit")


def fail() -> NoReturn:
    raise RuntimeError("our own mistake")


def odd() -> object:
    return object()


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def leave(status: int) -> NoReturn:
    os._exit(status)


def chatter() -> str:
    print("printed by a codec")
    os.write(1, b"written by a codec")
    return "said"


def garble(data: bytes) -> NoReturn:
    os.write(REPLIES, data)
    while True:
        os.read(0, 1)


def half(data: bytes, status: int) -> NoReturn:
    """Answers with that and leaves."""
    os.write(REPLIES, data)
    os._exit(status)


def taken(content: object, limits: object, mask: bool) -> int:
    return 1


def surroundings() -> list[object]:
    """Environment, capabilities, niceness, memory limit and descriptors that are no pipes."""
    with open("/proc/self/status") as status:
        capabilities = [line.split()[1] for line in status if line.startswith(("CapEff", "CapPrm", "CapInh"))]
    targets = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            targets.append(os.readlink(f"/proc/self/fd/{name}") if int(name) > 2 else "pipe:")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    names = sorted(name for name in os.environ if name != "LC_CTYPE")
    return [names, capabilities, os.nice(0), limit, [name for name in targets if not name.startswith("pipe:")]]


def reach_out() -> list[str]:
    """What becomes of a socket and of another program."""
    said = []
    for attempt in (lambda: socket.socket(), lambda: subprocess.run([sys.executable, "-V"], check=True)):
        try:
            attempt()
            said.append("done")
        except OSError as error:
            said.append(errno.errorcode[error.errno or 0])
    return said
