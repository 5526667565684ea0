"""Pillow's own guards, set once for a process that decodes what strangers send."""

from __future__ import annotations

import warnings

from PIL import AvifImagePlugin, Image, ImageFile, PngImagePlugin

from normalization.pictures.limits import OUTPUT

TEXT_BYTES_MOST = 4 * 1024 * 1024


def harden() -> None:
    """Makes bombs errors, lowers what compressed text may unfold to, and decodes AVIF in one thread.

    For the process's start alone: the filters of `warnings` are the whole process's.
    """
    # Complaints about damaged EXIF are not for the log of whoever runs this: the picture is refused or it is fine.
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = OUTPUT.pixels_most
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    PngImagePlugin.MAX_TEXT_MEMORY = TEXT_BYTES_MOST
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
