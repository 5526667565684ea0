"""Pictures that come in: they must be there, decode and fit together, and what is made shows that they arrived."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from tests.simulators.base import require
from tests.simulators.http import Received
from tests.simulators.pictures import Colour, Hole

_DATA_URI = re.compile(r"data:image/(png|jpeg|webp|gif);base64,")
_DISPOSITION = re.compile(r'form-data; name="([^"]*)"(?:; filename="([^"]*)")?')
_EXTENSIONS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "gif": "GIF"}


@dataclass(frozen=True)
class Given:
    """An input picture that decodes: its pixels, its average colour and its file format as Pillow names it."""

    size: tuple[int, int]
    colour: Colour
    form: str


@dataclass(frozen=True)
class File:
    """A file of a multipart body."""

    filename: str
    content_type: str
    data: bytes


Form = dict[str, list[str | File]]
"""Parts by name, in order."""


def given(data: bytes, param: str = "image") -> Given:
    """A picture, once it decodes whole. Raises Refused."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            form, image = str(opened.format), opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError):
        require(False, f"{param} is not a picture that can be read", param=param)
        raise
    red, green, blue = (round(value) for value in _averages(image))
    return Given(image.size, (red, green, blue), form)


def _averages(image: Image.Image) -> Iterator[float]:
    for band in image.split():
        counts = band.histogram()
        yield sum(value * count for value, count in enumerate(counts)) / sum(counts)


def from_data_uri(written: Any, param: str) -> bytes:
    """The bytes of a data: URI of a picture, whose type must be what the bytes are. Raises Refused."""
    found = _DATA_URI.match(written) if isinstance(written, str) else None
    require(found is not None, f"{param} must be a data: URI of a picture", param=param)
    assert found is not None
    try:
        data = base64.b64decode(written[found.end() :], validate=True)
    except binascii.Error:
        require(False, f"{param} is not base64", param=param)
        raise
    require(given(data, param).form == _EXTENSIONS[found[1]], f"{param} is not the {found[1]} it says", param=param)
    return data


def hole_of(mask: bytes, first: Given) -> Hole:
    """Where a mask is transparent, as parts of its sides: left, upper, right, lower. Raises Refused."""
    found = given(mask, "mask")
    require(found.size == first.size, "the mask must have the size of the first picture", param="mask")
    with Image.open(io.BytesIO(mask)) as image:
        require("A" in image.getbands(), "the mask must have an alpha channel", param="mask")
        box = image.getchannel("A").point(lambda alpha: 255 * (alpha < 128)).getbbox()
    require(box is not None, "the mask leaves nothing to edit", param="mask")
    assert box is not None
    width, height = found.size
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def form_of(received: Received) -> Form:
    """The parts of a multipart body. Raises Refused."""
    found = re.fullmatch(r"multipart/form-data; boundary=(\S+)", received.headers.get("content-type", ""))
    require(found is not None, "the body must be multipart/form-data")
    assert found is not None
    delimiter = b"--" + found[1].encode()
    head, *parts, end = received.body.split(delimiter)
    require(head == b"" and end.strip() == b"--", "the body is no whole multipart body")
    form: Form = {}
    for part in parts:
        headers, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name, value = _part(headers.decode(), data.removesuffix(b"\r\n"))
        form.setdefault(name, []).append(value)
    return form


def _part(headers: str, data: bytes) -> tuple[str, str | File]:
    lines = dict(line.split(": ", 1) for line in headers.split("\r\n"))
    found = _DISPOSITION.fullmatch(lines["Content-Disposition"])
    require(found is not None, "a part without a name")
    assert found is not None
    if found[2] is None:
        return found[1], data.decode()
    return found[1], File(found[2], lines.get("Content-Type", "application/octet-stream"), data)


def file_of(value: str | File, param: str) -> bytes:
    """The bytes of an uploaded picture whose name and type say what it is. Raises Refused."""
    require(isinstance(value, File), f"{param} must be a file", param=param)
    assert isinstance(value, File)
    form = given(value.data, param).form
    extension = value.filename.rpartition(".")[2]
    require(_EXTENSIONS.get(extension) == form, f"{value.filename} is no name for a {form} file", param=param)
    require(value.content_type == f"image/{form.lower()}", f"{param} is not {value.content_type}", param=param)
    return value.data
