"""Storage: where hosted pictures are kept until they expire, under names that cannot be guessed."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from normalization.vocabulary import Format

CHUNK_BYTES = 256 * 1024
"""The most that `Stored.chunks` yields at a time."""

Content = bytes | bytearray | memoryview | Sequence[bytes | bytearray | memoryview]
"""A file's bytes, whole or in pieces that follow each other."""

FORMATS = {format.extension: format for format in Format}
_NAME = re.compile(r"[0-9a-f]{32}\.([a-z]+)")


def new_name(format: Format) -> str:
    """A new file name: 128 random bits in hexadecimal, and the format's extension."""
    return f"{secrets.token_hex(16)}.{format.extension}"


def format_of(name: str) -> Format | None:
    """The format of a file's name, None where the text is not a name of ours. What this accepts is safe to join to a
    path: 32 hexadecimal digits, a dot and a known extension."""
    match = _NAME.fullmatch(name)
    return None if match is None else FORMATS.get(match[1])


def pieces_of(content: Content) -> Sequence[memoryview]:
    """The pieces of a content, as bytes."""
    if isinstance(content, (bytes, bytearray, memoryview)):
        content = [content]
    return [memoryview(piece).cast("B") for piece in content]


@dataclass(frozen=True, slots=True)
class Usage:
    files: int
    bytes: int


class Stored(Protocol):
    """A stored picture."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def format(self) -> Format: ...

    @property
    def created(self) -> float:
        """Epoch seconds."""
        ...

    def chunks(self, start: int = 0) -> AsyncGenerator[bytes, None]:
        """Its bytes from `start` on, at most CHUNK_BYTES at a time, in `size - start` bytes altogether.

        Raises StateUnavailable when the picture cannot be read any more.
        """
        ...


class Storage(Protocol):
    """Where pictures are kept."""

    async def put(self, content: Content, format: Format, *, durable: bool = True, seconds: float | None = None) -> str:
        """Keep a picture for `seconds` (None = the storage's retention), and return its name. It survives a crash from
        then on; one that is not `durable`, which has no other `seconds`, may fall to a power cut. Raises StorageFull or
        StateUnavailable, and leaves nothing behind then."""
        ...

    async def prolong(self, name: str, seconds: float) -> None:
        """Keep a picture for `seconds` from now, where it is still there and would have gone sooner."""
        ...

    async def open(self, name: str) -> Stored | None:
        """The picture of that name; None where there is none, or where the text cannot be a name. Raises
        StateUnavailable when that cannot be told."""
        ...

    async def delete(self, name: str) -> None:
        """Let go of a picture before its time; nothing where there is none. Raises StateUnavailable."""
        ...

    async def sweep(self, now: float) -> int:
        """Delete what is past its retention at `now` (epoch seconds), and return how many files that were."""
        ...

    async def usage(self) -> Usage:
        """What is kept, counted by looking at all of it."""
        ...

    async def free_bytes(self) -> int | None:
        """Bytes that may still be kept; None = nothing limits them."""
        ...

    async def check(self) -> None:
        """Return when a picture could be kept now; raise StorageFull or StateUnavailable otherwise."""
        ...

    async def close(self) -> None:
        """Let go of threads and connections."""
        ...
