"""What a file is, by its first bytes."""

from __future__ import annotations

import pytest

from normalization.pictures.sniff import sniff
from normalization.vocabulary import Format
from tests.normalization.pictures.making import box, noise, number, written


@pytest.mark.parametrize("kind", list(Format))
def test_each_format_is_known_by_what_an_encoder_writes(kind: Format) -> None:
    assert sniff(written(noise(), kind.name)) is kind


def test_an_animated_avif_is_known_by_its_own_brand() -> None:
    data = written(noise(), "AVIF", save_all=True, append_images=[noise(seed=2)])
    assert data[8:12] == b"avis"
    assert sniff(data) is Format.AVIF


@pytest.mark.parametrize(
    ("brands", "known"),
    [
        ((b"mif1", b"avif"), Format.AVIF),
        ((b"msf1", b"mif1", b"avis"), Format.AVIF),
        ((b"miaf", b"avif"), Format.AVIF),
        ((b"heic", b"mif1"), None),
        ((b"heic", b"avif"), None),
        ((b"mif1", b"heic"), None),
        ((b"isom", b"mp42"), None),
    ],
)
def test_a_container_is_avif_where_its_brands_say_so(brands: tuple[bytes, ...], known: Format | None) -> None:
    major, *others = brands
    assert sniff(box(b"ftyp", major, number(0), *others) + box(b"mdat", b"avif")) is known


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html>",
        b"II*\0\x08\0\0\0",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"BM\x3a\0\0\0",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"GIF88a",
        b"PK\x03\x04",
        b"\0\0\0\x18ftyp",
    ],
)
def test_what_is_none_of_the_five_has_no_format(data: bytes) -> None:
    assert sniff(data) is None
