"""AVIF by SVT-AV1, which needs an eighth of the time of libaom's default, and by libaom where SVT cannot.

SVT-AV1 comes with pillow-avif-plugin alone; reading stays with Pillow's own plugin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

# Read by SVT-AV1 when it first runs; without it every picture prints twenty lines on standard error.
os.environ.setdefault("SVT_LOG", "0")

from PIL import AvifImagePlugin, Image
from pillow_avif import AvifImagePlugin as svt

from normalization.pictures.bitmap import Bitmap

SVT_SIDE_LEAST, SVT_SIDE_MOST = 16, 16_000
SVT_SPEED, AOM_SPEED = 8, 9

# Importing the plugin put it in the place of Pillow's own.
Image.register_open(AvifImagePlugin.AvifImageFile.format, AvifImagePlugin.AvifImageFile, AvifImagePlugin._accept)
Image.register_save(AvifImagePlugin.AvifImageFile.format, AvifImagePlugin._save)
Image.register_save_all(AvifImagePlugin.AvifImageFile.format, AvifImagePlugin._save_all)


def encode(bitmap: Bitmap, quality: int, xmp: bytes) -> bytes:
    """The picture as AVIF; `quality` is libavif's 0..100. One thread: pictures run side by side, not tiles."""
    options = {"quality": quality, "max_threads": 1, "icc_profile": bitmap.icc, "xmp": xmp}
    width, height = bitmap.image.size
    if bitmap.image.mode != "L" and min(width, height) >= SVT_SIDE_LEAST and max(width, height) <= SVT_SIDE_MOST:
        try:
            return _by_svt(bitmap.image, options)
        except (OSError, ValueError, RuntimeError):
            # SVT-AV1 has limits that it does not tell; libaom takes what is left.
            return _by_aom(bitmap.image, options)
    return _by_aom(bitmap.image, options)


def _by_svt(image: Image.Image, options: dict[str, Any]) -> bytes:
    out = BytesIO()
    # What the plugin reads stays on the picture, where the next encoder would take it for its own.
    image.encoderinfo = {**options, "codec": "svt", "speed": SVT_SPEED}
    try:
        with _same_scheduling():
            svt._save(image, out, "")
    finally:
        del image.encoderinfo
    return out.getvalue()


def _by_aom(image: Image.Image, options: dict[str, Any]) -> bytes:
    out = BytesIO()
    image.save(out, "AVIF", codec="aom", speed=AOM_SPEED, **options)
    return out.getvalue()


@contextmanager
def _same_scheduling() -> Iterator[None]:
    """SVT-AV1 run with the right to do so makes the calling thread a real-time one and leaves it so, and whatever
    that thread does next starves the rest of the machine."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)
