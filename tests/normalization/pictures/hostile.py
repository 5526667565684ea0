"""What nobody sends by mistake: files that are no pictures, pictures that are too much, pictures that are broken."""

from __future__ import annotations

import zlib
from io import BytesIO
from zipfile import ZipFile

from PIL import Image

from tests.normalization.pictures.making import chunk, noise, number, png, png_bomb, profile, riff, written


def gif(width: int, height: int, frames: int) -> bytes:
    screen = b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\x80\0\0" + bytes(6)
    return screen + b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0" * frames + b";"


def archive() -> bytes:
    out = BytesIO()
    with ZipFile(out, "w") as file:
        file.writestr("evil.html", "<script>alert(1)</script>")
    return out.getvalue()


def bomb(name: bytes, start: bytes, size: int) -> bytes:
    """A PNG with a chunk that unfolds to so many bytes."""
    return png(1, 1, 8, 0, b"\0", before=chunk(name, start + zlib.compress(bytes(size), 9)))


NO_PICTURES = {
    "nothing": b"",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
    "tiff": written(noise(), "TIFF"),
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(ls) system\n",
    "html": b"<!doctype html><script>alert(1)</script>",
    "text": b"a red fox",
    "bmp": written(noise(), "BMP"),
    "ico": written(noise(), "ICO"),
    "zip": archive(),
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
}

TOO_LARGE = {
    "webp of 34 bytes": riff((b"VP8L", b"\x2f" + number(0x0FFFFFFF)[::-1] + bytes(9))),
    "png of 88 megapixels": png_bomb(9400, 9400),
    "gif of 65535 a side": gif(65535, 65535, 1),
    "gif of 200000 frames": gif(9, 9, 200_000),
    "png of one line": png_bomb(60, 3001),
}

UNREADABLE = {
    "script in a gif": b"GIF89a<script>alert(1)</script>",
    "profile that unfolds": bomb(b"iCCP", b"a\0\0", 64 << 20),
    "png without pixels": written(noise(), "PNG")[:33] + chunk(b"IEND"),
    **{f"half a {kind}": (whole := written(noise(90, 70), kind))[: len(whole) // 2]
       for kind in ("PNG", "JPEG", "WEBP", "GIF", "AVIF")},
}  # fmt: skip

SURVIVED = {
    "png and zip": written(noise(), "PNG") + archive(),
    "jpeg and html": written(noise(), "JPEG") + b"<script>alert(1)</script>",
    "gif and zip": written(noise(), "GIF") + archive(),
    "text that unfolds": bomb(b"zTXt", b"a\0\0", 64 << 20),
    "international text that unfolds": bomb(b"iTXt", b"a\0\1\0\0\0", 64 << 20),
    "a megapixel in a kilobyte": png_bomb(1024, 1024),
    "four inks with a profile": written(Image.new("CMYK", (20, 20), (0, 200, 0, 0)), "JPEG", icc_profile=profile()),
}
