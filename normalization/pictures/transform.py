"""Fitting and flattening: the two things that are done to pixels on the way out."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from normalization.pictures.bitmap import Bitmap
from normalization.vocabulary import Size

REDUCING_GAP = 3.0
"""Shrinking by more than six times starts with whole-pixel averages: no visible difference, a fraction of the time."""


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of a picture that is kept: its upper left corner and its size."""

    left: int
    top: int
    size: Size

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.left + self.size.width, self.top + self.size.height


def crop(source: Size, target: Size, slack: int) -> Crop:
    """What of `source` becomes `target`, centred, in exact integers.

    Where the source covers the target and overshoots it by less than `slack` pixels both in width and in height,
    exactly the target, so that nothing is resampled; else the largest part of the target's ratio, rounded to the
    nearest pixel, at least one.
    """
    over = (source.width - target.width, source.height - target.height)
    if min(over) >= 0 and max(over) < slack:
        kept = target
    elif source.width * target.height > target.width * source.height:
        kept = Size(max(1, _rounded(source.height * target.width, target.height)), source.height)
    else:
        kept = Size(source.width, max(1, _rounded(source.width * target.height, target.width)))
    return Crop((source.width - kept.width) // 2, (source.height - kept.height) // 2, kept)


def fit(bitmap: Bitmap, target: Size, part: Crop) -> Bitmap:
    """That part of the picture, resampled to the target where it is of another size (Lanczos; transparent pixels do
    not bleed their colour)."""
    if part.size == target:
        whole = target == bitmap.size
        return bitmap if whole else Bitmap(bitmap.image.crop(part.box), bitmap.icc)
    image = bitmap.image.resize(
        (target.width, target.height), Image.Resampling.LANCZOS, box=part.box, reducing_gap=REDUCING_GAP
    )
    return Bitmap(image, bitmap.icc)


def flatten(bitmap: Bitmap) -> Bitmap:
    """The picture on white. Pasted rather than converted: `convert("RGB")` would bring out the colours that
    transparent pixels hide."""
    if not bitmap.transparent:
        return bitmap
    ground = Image.new("RGB", bitmap.image.size, "white")
    ground.paste(bitmap.image, mask=bitmap.image.getchannel("A"))
    return Bitmap(ground, bitmap.icc)


def _rounded(part: int, whole: int) -> int:
    """part / whole to the nearest integer, halves up."""
    return (2 * part + whole) // (2 * whole)
