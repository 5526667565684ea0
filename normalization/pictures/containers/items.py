"""The items of a HEIF file: what a `meta` box lists, where their bytes lie and what is said of them (ISO/IEC 23008-12,
ISO/IEC 14496-12 8.11)."""

from __future__ import annotations

from dataclasses import dataclass, field

from normalization.pictures.containers.boxes import Box, Fields, children, inside
from normalization.pictures.refusal import unreadable

ITEMS_MOST = 4096
"""A picture of 64 x 64 tiles."""
TIES_MOST = 16 * ITEMS_MOST
"""Of properties to items: a tile has about five."""
FULL = 4
"""Bytes of a full box's version and flags."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item's bytes lie in the file; `known` is false where they are in another file, derived, or said to
    reach to the end."""

    extents: tuple[tuple[int, int], ...]
    known: bool


@dataclass(frozen=True, slots=True)
class Items:
    """`kinds` maps an item's id to its four letters and to where they stand in the file. `properties` are the boxes
    of `ipco`, counted from 1 by `tied`, which maps an item's id to its own."""

    primary: int
    kinds: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)
    properties: tuple[Box, ...] = ()
    tied: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def of_primary(self, name: bytes) -> Box | None:
        """The primary item's property of that name."""
        for index in self.tied.get(self.primary, ()):
            if 0 < index <= len(self.properties) and self.properties[index - 1].name == name:
                return self.properties[index - 1]
        return None


def items(data: bytes, meta: Box) -> Items:
    """Reads a `meta` box. Raises `BadPicture` where it is damaged or lists too much."""
    parts = children(data, meta, FULL)
    missing = {b"pitm", b"iinf", b"iloc", b"iprp"} - parts.keys()
    if missing:
        raise unreadable(f"its 'meta' box has no {min(missing).decode()!r}")
    properties = children(data, parts[b"iprp"])
    if b"ipco" not in properties or b"ipma" not in properties:
        raise unreadable("its 'iprp' box lists no properties")
    primary = Fields(data, parts[b"pitm"])
    version, _ = primary.full()
    return Items(
        primary=primary.number(4 if version else 2),
        kinds=_kinds(data, parts[b"iinf"]),
        places=_places(data, parts[b"iloc"], parts.get(b"idat")),
        properties=tuple(inside(data, properties[b"ipco"])),
        tied=_tied(data, properties[b"ipma"]),
    )


def _few(count: int) -> int:
    if count > ITEMS_MOST:
        raise unreadable(f"it lists more than {ITEMS_MOST} items")
    return count


def _kinds(data: bytes, iinf: Box) -> dict[int, tuple[bytes, int]]:
    version, _ = Fields(data, iinf).full()
    kinds = {}
    for box in inside(data, iinf, FULL + (4 if version else 2)):
        entry = Fields(data, box)
        version, _ = entry.full()
        wide = 4 if version == 3 else 2
        if box.name != b"infe" or version not in (2, 3):
            raise unreadable("an item has no type")
        identity = entry.number(wide)
        entry.number(2)  # protection
        kinds[identity] = entry.take(4), box.body + FULL + wide + 2
        _few(len(kinds))
    return kinds


def _places(data: bytes, iloc: Box, idat: Box | None) -> dict[int, Place]:
    fields = Fields(data, iloc)
    version, _ = fields.full()
    sizes = fields.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version in (1, 2) else 0
    places = {}
    total = 0
    for _ in range(_few(fields.number(4 if version == 2 else 2))):
        identity = fields.number(4 if version == 2 else 2)
        method = fields.number(2) & 15 if version in (1, 2) else 0
        elsewhere = fields.number(2)
        base = fields.number(base_size)
        count = fields.number(2)
        total = _few(total + count)
        origin = base + (idat.body if method == 1 and idat is not None else 0)
        extents, known = [], not elsewhere and (method == 0 or (method == 1 and idat is not None))
        for _ in range(count):
            fields.number(index_size)
            start = origin + fields.number(offset_size)
            length = fields.number(length_size)
            known = known and length > 0
            extents.append((start, start + length if length else max(start, len(data))))
        places[identity] = Place(tuple(extents), known)
    return places


def _tied(data: bytes, ipma: Box) -> dict[int, tuple[int, ...]]:
    fields = Fields(data, ipma)
    version, flags = fields.full()
    wide = flags & 1
    tied = {}
    left = TIES_MOST
    for _ in range(_few(fields.number(4))):
        identity = fields.number(4 if version else 2)
        count = fields.number(1)
        left -= count
        if left < 0:
            raise unreadable(f"its items have more than {TIES_MOST} properties")
        # The top bit says that the property is essential; the rest is its place in the list.
        indexes = [fields.number(2) & 0x7FFF if wide else fields.number(1) & 0x7F for _ in range(count)]
        tied[identity] = tuple(indexes)
    return tied
