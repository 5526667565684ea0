"""Pictures of the wire, in and out, in a few threads of their own: neither the loop nor the engine waits for a codec.

Pillow lets go of the interpreter while it compresses. Input is judged by its header before it is decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, TypeVar

import pybase64
from PIL import Image, PngImagePlugin

from normalization.pictures.decode import decode
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import Limits
from normalization.pictures.refusal import BadPicture

T = TypeVar("T")

Form = Literal["png", "jpeg", "webp"]
FORMS: tuple[Form, ...] = ("png", "jpeg", "webp")

INPUT = Limits(frames_most=1)

THREADS = 2
PREVIEW_SIDE_MOST = 512


@dataclass(frozen=True, slots=True)
class Origin:
    """How a picture came about. A PNG carries it as text; `guidance` None = the model reads none."""

    model: str
    seed: int
    steps: int
    guidance: float | None


class Codecs:
    """The threads. `close` once nothing is to come."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="codec")

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def from_data_uri(uri: str) -> bytes:
    """The bytes of a base64 data: URI. Raises ValueError, in words for the client; nothing is ever fetched."""
    head, comma, data = uri.partition(",")
    if not head.lower().startswith("data:") or not comma:
        raise ValueError("only data: URIs are accepted; the worker fetches nothing")
    if not head.lower().endswith(";base64"):
        raise ValueError("the data: URI is not base64")
    try:
        return pybase64.b64decode(data, validate=True)
    except ValueError as wrong:
        raise ValueError("the data: URI does not hold valid base64") from wrong


def reference(data: bytes, limits: Limits = INPUT) -> Image.Image:
    """RGB, upright; what is transparent becomes white. Raises BadPicture."""
    image = decode(data, inspect(data, limits)).image
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def mask(data: bytes, limits: Limits = INPUT) -> Image.Image:
    """L: white where it is made anew. By transparency, as OpenAI's masks are, else by brightness. Raises BadPicture."""
    image = decode(data, inspect(data, limits)).image
    if image.mode == "RGBA":
        return image.getchannel("A").point([255 - value for value in range(256)])
    return image.convert("L")


def encode(image: Image.Image, form: Form, origin: Origin) -> bytes:
    """The file's bytes."""
    into = BytesIO()
    if form == "png":
        # Level 1: a few percent larger than the default, in a third of the time, and most often decoded right away.
        image.save(into, "PNG", compress_level=1, pnginfo=_told(origin))
    elif form == "jpeg":
        image.save(into, "JPEG", quality=95, subsampling=0)
    else:
        image.save(into, "WEBP", quality=95, method=2)
    return into.getvalue()


def preview(image: Image.Image, form: Form = "jpeg") -> bytes:
    """A small picture, which is looked at for a second."""
    small = image.convert("RGB")
    small.thumbnail((PREVIEW_SIDE_MOST, PREVIEW_SIDE_MOST))
    into = BytesIO()
    if form == "png":
        small.save(into, "PNG", compress_level=1)
    else:
        small.save(into, form, quality=80)
    return into.getvalue()


def in_base64(data: bytes) -> str:
    return pybase64.b64encode(data).decode("ascii")


def _told(origin: Origin) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for name in ("model", "seed", "steps", "guidance"):
        value = getattr(origin, name)
        if value is not None:
            info.add_text(name, str(value))
    return info


__all__ = ["BadPicture", "Codecs", "Form", "Origin", "encode", "from_data_uri", "mask", "preview", "reference"]
