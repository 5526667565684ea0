"""`imagegate --version`: this program, the interpreter, and the codecs that decide about a picture's safety."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator

CODECS = {"libjpeg_turbo": "libjpeg-turbo", "zlib": "zlib", "zlib_ng": "zlib-ng", "webp": "libwebp", "avif": "libavif"}


def run() -> int:
    for line in lines():
        print(line)
    return 0


def lines() -> Iterator[str]:
    """`name version`, one a line."""
    yield f"imagegate {version('imagegate')}"
    yield f"python {platform.python_version()}"
    from PIL import features

    yield f"pillow {features.version('pil')}"
    for name, label in CODECS.items():
        found = features.version(name) if features.check(name) else None
        yield f"{label} {found or 'absent'}"
    yield f"pillow-avif-plugin {version('pillow-avif-plugin')}"


def version(distribution: str) -> str:
    """The installed version; a checkout that was never installed has none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
