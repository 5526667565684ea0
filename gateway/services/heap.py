"""Memory, told how this program uses it: the C library's heap, and Python's collector of cycles.

Replies of megabytes come and go by the dozen. glibc gives their pages back to the system as soon as they are free and
takes them anew for the next one, which costs more processor time than parsing them. So pages are kept while there is
work, and given back when there is none (mallopt(3), malloc_trim(3)). Elsewhere than on glibc nothing is done.
"""

from __future__ import annotations

import ctypes
import gc
import sys

KEPT_BYTES = 256 * 1024 * 1024
"""How much free memory may stay in the heap while there is work."""
LARGEST_BYTES = 32 * 1024 * 1024
"""Blocks above it still come straight from the system; glibc allows no more on 64-bit machines."""

YOUNG_OBJECTS = 5000
"""Between looks of the collector at what is new: several requests' worth, since none of them leaves a cycle with a
picture in it. Python's 700 is a look or two in each small request, a twentieth of its time."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep() -> bool:
    """Let freed pages stay for the next reply; True where the C library agreed."""
    library = _glibc()
    if library is None:
        return False
    return bool(library.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES) and library.mallopt(_M_MMAP_THRESHOLD, LARGEST_BYTES))


def release() -> bool:
    """Give back what is free now; True where something was."""
    library = _glibc()
    return library is not None and bool(library.malloc_trim(0))


def settle() -> None:
    """What is there now stays for good: code, tables, services. Python's collector looks through all of it time and
    again otherwise, which costs a small request a sixth of its processor time. For a program of its own, once it is
    ready: what is made before and thrown away after is never freed."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
