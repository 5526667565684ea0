"""What a file is, by its first bytes: neither its name nor its declared type is evidence."""

from __future__ import annotations

import struct

from normalization.vocabulary import Format

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
AVIF_BRANDS = frozenset({b"avif", b"avis"})
# Files of these major brands are AVIF where a compatible brand says so; the others (HEIC) are not for us.
CONTAINER_BRANDS = frozenset({b"mif1", b"msf1", b"miaf"})
_BRANDS_MOST = 64


def sniff(data: bytes) -> Format | None:
    """The picture's format by magic number, None for anything else (SVG, TIFF, HEIC, HTML, an empty file)."""
    if data.startswith(PNG_SIGNATURE):
        return Format.PNG
    if data.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if data.startswith((b"GIF87a", b"GIF89a")):
        return Format.GIF
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Format.WEBP
    return Format.AVIF if data[4:8] == b"ftyp" and _is_avif(data) else None


def _is_avif(data: bytes) -> bool:
    major = data[8:12]
    if major in AVIF_BRANDS:
        return True
    (length,) = struct.unpack_from(">I", data)
    compatible = data[16 : min(length, 16 + 4 * _BRANDS_MOST)]
    brands = {compatible[at : at + 4] for at in range(0, len(compatible), 4)}
    return major in CONTAINER_BRANDS and not AVIF_BRANDS.isdisjoint(brands)
