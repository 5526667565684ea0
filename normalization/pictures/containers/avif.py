"""AVIF: still pictures and sequences in an ISO base media file (AOMedia, AV1 Image File Format).

The offsets in such a file are absolute, so metadata is not taken out but made nothing of, in place: a box becomes
`free`, an item's type becomes `skip`, which every reader passes over, and their bytes become zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from normalization.pictures.containers.boxes import Box, Fields, boxes, children, inside
from normalization.pictures.containers.items import FULL, Items, items
from normalization.pictures.header import Header
from normalization.pictures.limits import Limits
from normalization.pictures.refusal import cut_off, unreadable
from normalization.vocabulary import Format, Size

PICTURE_BOXES = frozenset({b"ftyp", b"meta", b"moov", b"mdat"})
KNOWN_BOXES = PICTURE_BOXES | {b"free", b"skip", b"uuid"}
MANIFEST_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
TEXT_ITEMS = frozenset({b"Exif", b"mime", b"uri "})
TEXT_BOXES = frozenset({b"udta", b"meta", b"uuid"})
"""What a track or a movie says about itself."""

_AS_EXIF = {
    (0, None): 1,
    (1, None): 8,
    (2, None): 3,
    (3, None): 6,
    (0, 0): 4,
    (1, 0): 5,
    (2, 0): 2,
    (3, 0): 7,
    (0, 1): 2,
    (1, 1): 7,
    (2, 1): 4,
    (3, 1): 5,
}
"""EXIF's orientation for a quarter turn count (anti-clockwise) and a mirror axis after it."""


def read(data: bytes, limits: Limits) -> Header:
    """The header of a whole AVIF. Raises `BadPicture`."""
    top, _ = layout(data)
    first = {box.name: box for box in reversed(top)}
    listed = items(data, first[b"meta"]) if b"meta" in first else None
    header = None if listed is None else _still(data, listed, limits)
    # What a sequence shows is its track; the still picture beside it is its cover.
    if b"moov" in first and (header is None or data[8:12] == b"avis"):
        header = _moving(data, first[b"moov"], limits)
    if header is None:
        raise unreadable("it has no pixels")
    return replace(
        header,
        manifest=any(_is_manifest(data, box) for box in top),
        passable=header.passable and not _is_open(data, top) and (listed is None or _can_cut(listed, top)),
    )


def cut(data: bytes, whole: bool) -> bytes:
    """The picture up to its last box, without Exif, XMP and boxes that are no picture; with all where `whole`."""
    top, end = layout(data)
    kept = data[:end]
    if whole:
        return kept
    wiped = bytearray(kept)
    for box in top:
        if box.end <= end:
            _wipe(wiped, data, box)
    return kept if wiped == kept else bytes(wiped)


def layout(data: bytes) -> tuple[list[Box], int]:
    """The boxes of the file, and where the last that the picture needs ends. Raises `BadPicture` where one is cut
    off; what cannot be a box follows the picture and is none of it."""
    found: list[Box] = []
    for box in boxes(data, 0, len(data)):
        if found and box.name == b"ftyp":
            break  # another file
        if box.end <= len(data):
            found.append(box)
        elif box.name in KNOWN_BOXES:
            raise cut_off(f"its {box.name.decode()!r} box")
    return found, max((box.end for box in found if _is_needed(data, box)), default=0)


def _still(data: bytes, listed: Items, limits: Limits) -> Header:
    extent = listed.of_primary(b"ispe")
    if extent is None:
        raise unreadable("its picture has no size")
    # Tiles and the alpha plane are decoded too, so every size said anywhere has to be in bounds.
    for box in listed.properties:
        if box.name == b"ispe":
            limits.measure(_extent(data, box))
    _, stop = layout(data)
    if any(end > stop for place in listed.places.values() if place.known for _, end in place.extents):
        raise cut_off("its pixels")
    auxiliary = [box for box in listed.properties if box.name == b"auxC"]
    return Header(
        Format.AVIF,
        _extent(data, extent),
        orientation=_orientation(data, listed),
        transparent=any(b"alpha" in Fields(data, box).rest for box in auxiliary),
        depth=_depth(data, listed),
        passable=listed.of_primary(b"clap") is None,
    )


def _extent(data: bytes, box: Box) -> Size:
    fields = Fields(data, box)
    fields.full()
    return Size(fields.number(4), fields.number(4))


def _orientation(data: bytes, listed: Items) -> int:
    turn, mirror = listed.of_primary(b"irot"), listed.of_primary(b"imir")
    turns = 0 if turn is None else Fields(data, turn).number(1) & 3
    return _AS_EXIF[turns, None if mirror is None else Fields(data, mirror).number(1) & 1]


def _depth(data: bytes, listed: Items) -> int:
    box = listed.of_primary(b"pixi")
    if box is None:
        return 8
    fields = Fields(data, box)
    fields.full()
    return max([fields.number(1) for _ in range(fields.number(1))], default=8)


def _moving(data: bytes, moov: Box, limits: Limits) -> Header | None:
    """The picture track of a sequence: its size and its number of frames."""
    tracks = [_samples(data, track) for track in inside(data, moov) if track.name == b"trak"]
    headers = [_track(data, table, limits) for table, _ in tracks]
    pictures = [header for header, (_, handler) in zip(headers, tracks, strict=True) if handler == b"pict"]
    transparent = any(handler == b"auxv" for _, handler in tracks)
    return replace(pictures[0], transparent=transparent) if pictures else None


def _samples(data: bytes, track: Box) -> tuple[dict[bytes, Box], bytes]:
    """The sample tables of a track and its handler."""
    media = _child(data, track, b"mdia")
    handler = Fields(data, _child(data, media, b"hdlr"))
    handler.full()
    handler.take(4)
    return children(data, _child(data, _child(data, media, b"minf"), b"stbl")), handler.take(4)


def _child(data: bytes, parent: Box, name: bytes) -> Box:
    try:
        return children(data, parent)[name]
    except KeyError:
        raise unreadable(f"its {parent.name.decode('latin-1')!r} box has no {name.decode()!r}") from None


def _track(data: bytes, table: dict[bytes, Box], limits: Limits) -> Header:
    if b"stsd" not in table or b"stsz" not in table:
        raise unreadable("its track lists no frames")
    counts = Fields(data, table[b"stsz"])
    counts.full()
    counts.take(4)
    frames = counts.number(4)
    limits.count(frames)
    entry = next(inside(data, table[b"stsd"], FULL + 4), None)
    if entry is None:
        raise unreadable("its track has no description")
    fields = Fields(data, entry)
    fields.take(24)
    stored = Size(fields.number(2), fields.number(2))
    limits.measure(stored)
    return Header(Format.AVIF, stored, frames=max(1, frames))


def _is_open(data: bytes, top: list[Box]) -> bool:
    """Whether a box is said to reach to the end, so that nothing tells a tail from the picture."""
    return any(data.startswith(bytes(4), box.start) for box in top if _is_needed(data, box))


def _is_needed(data: bytes, box: Box) -> bool:
    return box.name in PICTURE_BOXES or _is_manifest(data, box)


def _is_manifest(data: bytes, box: Box) -> bool:
    """C2PA in this family of files is a `uuid` box of its own (C2PA specification, Annex A)."""
    return box.name == b"uuid" and data.startswith(MANIFEST_UUID, box.body)


def _texts(listed: Items) -> Iterator[int]:
    return (identity for identity, (kind, _) in listed.kinds.items() if kind in TEXT_ITEMS)


def _can_cut(listed: Items, top: list[Box]) -> bool:
    """Whether every text's bytes are known to be its own, in the only list of items that there is."""
    texts = set(_texts(listed))
    if any(identity not in listed.places or not listed.places[identity].known for identity in texts):
        return False
    if sum(box.name == b"meta" for box in top) > 1:
        return False
    wiped = _spans(listed, texts)
    kept = _spans(listed, listed.places.keys() - texts)
    return all(before[1] <= after[0] for before, after in pairwise(sorted([*wiped, *kept])))


def _spans(listed: Items, identities: Iterable[int]) -> list[tuple[int, int]]:
    """Where the bytes of these items lie, in order, those that touch or overlap as one: thousands of items may name
    the same bytes, which are looked at and wiped once."""
    spans: list[tuple[int, int]] = []
    for start, end in sorted(extent for identity in identities for extent in listed.places[identity].extents):
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        else:
            spans.append((start, end))
    return spans


def _wipe(wiped: bytearray, data: bytes, box: Box) -> None:
    """Makes nothing of what in one of the file's boxes is no picture."""
    if box.name not in PICTURE_BOXES:
        _free(wiped, box)
    elif box.name == b"meta":
        listed = items(data, box)
        identities = list(_texts(listed))
        for identity in identities:
            at = listed.kinds[identity][1]
            wiped[at : at + 4] = b"skip"
        for start, end in _spans(listed, identities):
            wiped[start:end] = bytes(end - start)
    elif box.name == b"moov":
        for part in inside(data, box):
            texts = inside(data, part) if part.name == b"trak" else iter([part])
            for text in texts:
                if text.name in TEXT_BOXES:
                    _free(wiped, text)


def _free(wiped: bytearray, box: Box) -> None:
    wiped[box.start + 4 : box.start + 8] = b"free"
    wiped[box.body : box.end] = bytes(box.end - box.body)
