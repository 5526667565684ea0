"""The boxes of an ISO base media file (ISO/IEC 14496-12), read in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from normalization.pictures.containers import STEPS_MOST
from normalization.pictures.refusal import cut_off, unreadable


@dataclass(frozen=True, slots=True)
class Box:
    """`name` is its four letters; it lies at `start`..`end` of the file, its body at `body`..`end`."""

    name: bytes
    start: int
    body: int
    end: int


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes that fill `start`..`end`. One that does not fit is handed out with its true `end`, beyond, and is
    the last; so is what is too short to be a box, under the name b""."""
    at = start
    for _ in range(STEPS_MOST):
        if at == end:
            return
        box = _box(data, at, end)
        yield box
        if box.end > end:
            return
        at = box.end
    raise unreadable("it has too many boxes")


def children(data: bytes, parent: Box, skip: int = 0) -> dict[bytes, Box]:
    """The boxes in a box by name, the first of each; `skip` bytes of its own come first."""
    found: dict[bytes, Box] = {}
    for box in inside(data, parent, skip):
        found.setdefault(box.name, box)
    return found


def inside(data: bytes, parent: Box, skip: int = 0) -> Iterator[Box]:
    """The boxes in a box, in order. Raises `BadPicture` where they do not fill it."""
    for box in boxes(data, min(parent.body + skip, parent.end), parent.end):
        if box.end > parent.end:
            raise cut_off(f"its {parent.name.decode('latin-1')!r} box")
        yield box


def _box(data: bytes, at: int, end: int) -> Box:
    if at + 8 > end:
        return Box(b"", at, at, end + 1)
    size, name, body = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
    if size == 1:
        size, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
    elif size == 0:
        size = end - at
    if size < body - at:
        return Box(b"", at, at, end + 1)
    return Box(name, at, body, at + size)


class Fields:
    """The numbers in a box's body, one after the other, big-endian. Reading past its end raises `BadPicture`."""

    def __init__(self, data: bytes, box: Box) -> None:
        self._data = data
        self._at = box.body
        self._box = box

    def number(self, size: int) -> int:
        """The next `size` bytes (0 gives 0)."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        at, self._at = self._at, self._at + size
        if self._at > self._box.end:
            raise cut_off(f"its {self._box.name.decode('latin-1')!r} box")
        return self._data[at : self._at]

    def full(self) -> tuple[int, int]:
        """The version and flags that open a full box."""
        return self.number(1), self.number(3)

    @property
    def rest(self) -> bytes:
        return self._data[self._at : self._box.end]
