"""AVIF's boxes and items, where an encoder's own file does not go far enough."""

from __future__ import annotations

import pytest

from normalization.pictures.containers import avif
from normalization.pictures.header import Header
from normalization.pictures.inspect import inspect
from normalization.pictures.refusal import BadPicture
from normalization.pictures.sanitize import passes, sanitize, strip
from normalization.vocabulary import Format, Size
from tests.normalization.pictures.making import CANARY, box, exif, noise, number, opened, written

SECRET = CANARY.encode()
FTYP = box(b"ftyp", b"avif", number(0), b"avifmif1")
PIXELS = b"not looked at"
SIZE = box(b"ispe", number(0), number(30), number(20))


def meta(
    *properties: bytes,
    kinds: tuple[bytes, ...] = (b"av01",),
    places: bytes | None = None,
    tied: bytes | None = None,
    more: bytes = b"",
    wide: bool = False,
) -> bytes:
    """A `meta` box whose item 1 is the picture, at the start of the `mdat` box behind it; every other item lies in
    the bytes after it, eight each."""
    said = [
        box(b"infe", bytes((3 if wide else 2, 0, 0, 0)), number(at, 4 if wide else 2), number(0, 2), kind, b"\0")
        for at, kind in enumerate(kinds, 1)
    ]
    ids = bytes(range(1, len(properties) + 1))
    parts = [
        box(b"pitm", bytes((int(wide), 0, 0, 0)), number(1, 4 if wide else 2)),
        box(b"iinf", bytes((int(wide), 0, 0, 0)), number(len(kinds), 4 if wide else 2), *said),
        places if places is not None else located([(0, len(PIXELS))] + [(0, 8)] * (len(kinds) - 1)),
        box(
            b"iprp",
            box(b"ipco", *properties),
            tied if tied is not None else box(b"ipma", number(0), number(1), b"\0\1", bytes((len(ids),)), ids),
        ),
        more,
    ]
    return box(b"meta", number(0), *parts)


def located(extents: list[tuple[int, int]], version: int = 0, method: int = 0) -> bytes:
    """An `iloc` box: each item one extent, its offset of four bytes and its length of four."""
    entries = b""
    for at, (start, length) in enumerate(extents, 1):
        entries += number(at, 4 if version == 2 else 2)
        entries += number(method, 2) if version else b""
        entries += number(0, 2) + number(1, 2) + number(start) + number(length)
    return box(b"iloc", bytes((version, 0, 0, 0)), b"\x44\0", number(len(extents), 4 if version == 2 else 2), entries)


def whole(head: bytes, *rest: bytes) -> bytes:
    return FTYP + head + box(b"mdat", PIXELS, *rest)


def refusal(data: bytes) -> BadPicture:
    with pytest.raises(BadPicture) as caught:
        inspect(data)
    return caught.value


@pytest.mark.parametrize("wide", [False, True])
def test_size_and_depth_are_the_primary_items(wide: bool) -> None:
    depth = box(b"pixi", number(0), b"\3\x0a\x0a\x0a")
    tied = box(b"ipma", bytes((1, 0, 0, 1)), number(1), number(1), b"\2", b"\x80\1\0\2") if wide else None
    data = whole(meta(SIZE, depth, wide=wide, tied=tied))
    assert inspect(data) == Header(Format.AVIF, Size(30, 20), depth=10)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_turn_and_mirror_become_one_orientation(turns: int, mirror: int | None) -> None:
    properties = [SIZE, box(b"irot", bytes((turns,)))]
    if mirror is not None:
        properties.append(box(b"imir", bytes((mirror,))))
    orientation = inspect(whole(meta(*properties))).orientation
    # A quarter turn exchanges the sides; two mirrors along different axes are half a turn.
    assert (orientation >= 5) == (turns % 2 == 1)
    assert (orientation in (2, 4, 5, 7)) == (mirror is not None)


def test_a_file_for_each_orientation_is_read_as_its_decoder_reads_it() -> None:
    for orientation in range(1, 9):
        data = written(noise(), "AVIF", exif=exif(orientation))
        assert inspect(data).orientation == opened(data).getexif().get(0x0112, 1)


def test_a_cropping_file_has_to_be_decoded() -> None:
    assert not passes(inspect(whole(meta(SIZE, box(b"clap", bytes(32))))))


def test_texts_become_nothing_in_place() -> None:
    kinds = (b"av01", b"Exif", b"mime")
    prefix = len(FTYP) + len(meta(SIZE, kinds=kinds)) + 8
    places = located(
        [(prefix, len(PIXELS)), (prefix + len(PIXELS), len(SECRET)), (prefix + len(PIXELS) + len(SECRET), 3)]
    )
    data = whole(meta(SIZE, kinds=kinds, places=places), SECRET, b"xmp")
    kept = sanitize(data, inspect(data))
    assert len(kept) == len(data)
    assert kept.endswith(PIXELS + bytes(len(SECRET) + 3))
    assert kept.count(b"skip") == 2
    assert b"Exif" not in kept
    assert b"mime" not in kept


def test_a_text_in_the_meta_box_itself_is_found_there() -> None:
    kinds = (b"av01", b"Exif")
    inner = box(b"idat", PIXELS, SECRET)
    places = located([(0, len(PIXELS)), (len(PIXELS), len(SECRET))], version=1, method=1)
    data = FTYP + meta(SIZE, kinds=kinds, places=places, more=inner)
    kept = sanitize(data, inspect(data))
    assert SECRET not in kept
    assert PIXELS in kept


@pytest.mark.parametrize(
    "places",
    [
        pytest.param(located([(0, 5), (900, 0)]), id="to the end of the file"),
        pytest.param(located([(0, 5), (2, 9)]), id="over the pixels"),
        pytest.param(located([(0, 5)]), id="nowhere"),
        pytest.param(located([(0, 5), (9, 9)], version=1, method=2), id="derived"),
        pytest.param(located([(0, 5), (9, 9)], version=2, method=1), id="in a box that is not there"),
    ],
)
def test_a_text_whose_bytes_are_not_known_cannot_be_cut(places: bytes) -> None:
    assert not passes(inspect(whole(meta(SIZE, kinds=(b"av01", b"Exif"), places=places))))


def test_a_second_list_of_items_is_trusted_with_nothing() -> None:
    """It names a text that lies nowhere; another would name the pixels."""
    other = meta(SIZE, kinds=(b"av01", b"Exif"), places=located([(0, 5)]))
    data = FTYP + meta(SIZE) + other + box(b"mdat", PIXELS)
    header = inspect(data)
    assert not passes(header)
    assert strip(data, header) is data


def test_a_picture_that_reaches_to_the_end_of_the_file_is_not_cut_behind_its_beginning() -> None:
    kinds = (b"av01", b"Exif")
    at = len(FTYP) + len(meta(SIZE, kinds=kinds, places=located([(0, 0)] * 2))) + 8
    for start, cut in ((at, False), (at + len(PIXELS) + len(SECRET), True)):
        data = whole(meta(SIZE, kinds=kinds, places=located([(start, 0), (at + len(PIXELS), len(SECRET))])), SECRET)
        assert passes(inspect(data)) is cut


def test_what_thousands_of_texts_name_is_wiped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count, text = 2000, SECRET * 1000
    kinds = (b"av01", *(b"Exif",) * count)
    at = len(FTYP) + len(meta(SIZE, kinds=kinds, places=located([(0, 0)] * (count + 1)))) + 8
    of_text = at + len(PIXELS)
    places = located([(at, len(PIXELS)), *[(of_text + each % 7, len(text) - each % 7) for each in range(count)]])
    data = whole(meta(SIZE, kinds=kinds, places=places), text)
    wiped = 0

    def counted(of: int | bytearray) -> bytes:
        nonlocal wiped
        wiped += of if isinstance(of, int) else 0
        return bytes(of)

    monkeypatch.setattr(avif, "bytes", counted, raising=False)
    kept = sanitize(data, inspect(data))
    assert kept.endswith(PIXELS + bytes(len(text)))
    assert wiped <= len(data)


def test_a_file_whose_last_box_is_open_cannot_be_told_from_its_tail() -> None:
    data = FTYP + meta(SIZE) + number(0) + b"mdat" + PIXELS
    assert not passes(inspect(data))


def test_a_box_with_a_long_length_is_read() -> None:
    data = FTYP + meta(SIZE) + number(1) + b"mdat" + number(16 + len(PIXELS), 8) + PIXELS
    assert inspect(data).stored == Size(30, 20)


def test_boxes_that_are_no_picture_are_emptied_between_and_cut_behind() -> None:
    stray = box(b"uuid", bytes(16), SECRET)
    data = FTYP + stray + meta(SIZE) + box(b"mdat", PIXELS)
    places = located([(data.index(PIXELS), len(PIXELS))])
    data = FTYP + stray + meta(SIZE, places=places) + box(b"mdat", PIXELS)
    kept = sanitize(data + box(b"free", SECRET), inspect(data))
    assert kept == data.replace(stray, box(b"free", bytes(16 + len(SECRET))))


def track(handler: bytes, *tables: bytes, more: bytes = b"") -> bytes:
    media = box(b"hdlr", number(0), number(0), handler)
    return box(b"trak", box(b"mdia", media, box(b"minf", box(b"stbl", *tables))), more)


def frames(count: int, width: int = 30, height: int = 20) -> tuple[bytes, bytes]:
    entry = box(b"av01", bytes(24), number(width, 2), number(height, 2))
    return box(b"stsd", number(0), number(1), entry), box(b"stsz", number(0), number(0), number(count))


def test_the_track_of_a_sequence_gives_size_and_frames() -> None:
    data = FTYP + box(b"moov", track(b"pict", *frames(7)), track(b"auxv", *frames(7))) + box(b"mdat", PIXELS)
    assert inspect(data) == Header(Format.AVIF, Size(30, 20), frames=7, transparent=True)


def test_what_a_sequence_says_about_itself_is_emptied() -> None:
    told = box(b"udta", SECRET)
    data = FTYP + box(b"moov", track(b"pict", *frames(2), more=told), told) + box(b"mdat", PIXELS)
    kept = sanitize(data, inspect(data))
    assert len(kept) == len(data)
    assert SECRET not in kept
    assert kept.count(b"free") == 2


MANY = number(5000, 2)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(number(4) + FTYP[4:], id="first box shorter than its header"),
        pytest.param(FTYP, id="no boxes"),
        pytest.param(FTYP + box(b"moov", b"") + box(b"mdat", PIXELS), id="movie without tracks"),
        pytest.param(FTYP + box(b"moov", box(b"trak", b"")), id="track without media"),
        pytest.param(FTYP + box(b"moov", track(b"pict")), id="track without frames"),
        pytest.param(
            FTYP + box(b"moov", track(b"pict", box(b"stsd", number(0), number(0)), frames(1)[1])), id="no description"
        ),
        pytest.param(FTYP + box(b"meta", number(0)), id="meta without anything"),
        pytest.param(FTYP + box(b"meta"), id="meta without version"),
        pytest.param(whole(meta()), id="no size"),
        pytest.param(whole(meta(SIZE, tied=b"")), id="properties of nobody"),
        pytest.param(whole(meta(SIZE, tied=box(b"ipma", number(0), number(9)))), id="ties cut off"),
        pytest.param(whole(meta(SIZE, tied=box(b"ipma", number(0), number(1), b"\0\1\1\7"))), id="property beyond"),
        pytest.param(whole(meta(SIZE, places=box(b"iloc", number(0), b"\x44\0", MANY))), id="too many places"),
        pytest.param(whole(meta(SIZE, places=located([(0, 1 << 30)]))), id="pixels beyond the end"),
        pytest.param(whole(meta(box(b"ispe", number(0), number(3)))), id="size cut off"),
        pytest.param(whole(meta(SIZE).replace(b"infe\2", b"infe\1")), id="item without type"),
        pytest.param(whole(meta(SIZE).replace(b"infe", b"infx")), id="item that is none"),
        pytest.param(whole(meta(SIZE, kinds=(b"av01",) * 4200)), id="too many items"),
        pytest.param(
            whole(meta(SIZE, tied=box(b"ipma", number(0), number(300), (b"\0\1\xff" + b"\1" * 255) * 300))),
            id="too many ties",
        ),
        pytest.param(whole(meta(SIZE, more=b"\xff" * 12)), id="child that does not fit"),
        pytest.param(whole(meta(SIZE, more=b"\0\0")), id="child that is none"),
        pytest.param(whole(meta(SIZE, more=number(4) + b"what")), id="child shorter than its header"),
        pytest.param(FTYP + box(b"free") * 70_000, id="too many boxes"),
        pytest.param(FTYP + meta(SIZE) + number(900) + b"mdat" + PIXELS, id="pixels cut off"),
    ],
)
def test_a_damaged_file_is_unreadable(data: bytes) -> None:
    assert refusal(data).code == "unreadable"
