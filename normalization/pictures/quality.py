"""One number for three encoders: what the caller's quality, which is JPEG's, is called in WebP and AVIF.

The rows give equal structural similarity of the luma, measured on photographs with libwebp 1.6 (method 2) and
SVT-AV1 4.1 (speed 8), against libjpeg-turbo at 4:2:0; `make bench` prints what they cost.
"""

from __future__ import annotations

from bisect import bisect_right

JPEG = (0, 50, 60, 70, 75, 80, 85, 90, 95, 100)
WEBP = (0, 43, 54, 67, 73, 77, 81, 86, 93, 100)
AVIF = (0, 49, 53, 57, 59, 63, 69, 77, 84, 95)


def translated(quality: int, row: tuple[int, ...]) -> int:
    """The row's number for a JPEG quality of 0..100, in between by a straight line, to the nearest whole number."""
    at = min(bisect_right(JPEG, quality) - 1, len(JPEG) - 2)
    low, high = JPEG[at], JPEG[at + 1]
    rise = (row[at + 1] - row[at]) * (quality - low)
    return row[at] + (2 * rise + high - low) // (2 * (high - low))
