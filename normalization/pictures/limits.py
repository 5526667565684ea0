"""How large a picture may be, judged by its header alone, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from normalization.pictures.refusal import BadPicture, unreadable
from normalization.vocabulary import Size

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """`bytes_most` of the file, `pixels_most` and `side_most` in pixels, `ratio_most` the longer side over the
    shorter (None = any), `frames_most` of an animation."""

    bytes_most: int = 50 * MEBIBYTE
    pixels_most: int = 33_554_432
    side_most: int = 16_384
    ratio_most: int | None = 50
    frames_most: int = 64

    def weigh(self, length: int) -> None:
        """Refuses a file of too many bytes."""
        if length > self.bytes_most:
            most = f"{self.bytes_most / MEBIBYTE:g} MB are accepted"
            raise BadPicture("too_large", f"the picture is {length / MEBIBYTE:.1f} MB; at most {most}")

    def measure(self, size: Size) -> None:
        """Refuses a picture without pixels, or with too many, or of too long a shape."""
        short, long = sorted((size.width, size.height))
        if short < 1:
            raise unreadable(f"its header says {size}")
        if long > self.side_most:
            raise BadPicture("too_large", f"the picture is {size}; at most {self.side_most} pixels a side are accepted")
        if size.pixels > self.pixels_most:
            most = f"{self.pixels_most // 100_000 / 10:.1f} megapixels are accepted"
            raise BadPicture("too_large", f"the picture is {size}, {size.pixels / 1e6:.1f} megapixels; at most {most}")
        if self.ratio_most is not None and long > short * self.ratio_most:
            raise BadPicture("too_large", f"the picture is {size}; sides up to 1:{self.ratio_most} are accepted")

    def count(self, frames: int) -> None:
        """Refuses an animation of too many frames."""
        if frames > self.frames_most:
            raise BadPicture("too_large", f"the picture has more than {self.frames_most} frames, the most accepted")


INPUT = Limits()
"""For what a client uploads or names."""

OUTPUT = Limits(bytes_most=100 * MEBIBYTE, pixels_most=60_000_000, ratio_most=None)
"""For what a provider delivers."""
