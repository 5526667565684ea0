"""The finishing that takes pixels: decode once, lay into an original, fit, flatten, encode, and a thumbnail of the same
pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

from PIL import Image

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.composite import lay
from normalization.pictures.decode import decode
from normalization.pictures.encode import encode, save
from normalization.pictures.finish import Finished, FinishOptions, needs_decoding, pass_through, thumbnail_size
from normalization.pictures.header import Header
from normalization.pictures.refusal import BadPicture, CannotEncode
from normalization.pictures.transform import Crop, crop, fit, flatten
from normalization.plan import Finish
from normalization.vocabulary import Format, Size


def rework(data: bytes, header: Header, finish: Finish, options: FinishOptions) -> Finished:
    """Decodes the picture and does what the finishing asks. `header` is what `inspect` said of `data`.

    Errors are those of `normalization.pictures.finish.finish`.
    """
    bitmap = decode(data, header)
    if not needs_decoding(header, finish) or _only_feared(header, bitmap, finish):
        finished = pass_through(data, header, keep_manifest=options.keep_manifest)
    else:
        bitmap, finished = _reworked(bitmap, header, finish, options)
    if finish.thumbnail is None:
        return finished
    try:
        return replace(finished, thumbnail=thumbnail(bitmap, finish.thumbnail))
    except BadPicture:  # the picture is there, and is not lost for want of a small one
        return finished


def thumbnail(bitmap: Bitmap, side: int) -> bytes:
    """A small WebP of the picture, its longer side at most `side` pixels. Raises BadPicture where it cannot be
    written."""
    small = thumbnail_size(bitmap.size, side)
    with _encoding(Format.WEBP):
        image = bitmap.image.resize((small.width, small.height), Image.Resampling.LANCZOS, reducing_gap=2.0)
        return save(image, "WEBP", {"quality": 75, "method": 0})


def written(bitmap: Bitmap, kind: Format, level: int) -> bytes:
    """The picture as a file without any metadata but its colour profile. `level` and errors as in `encode`."""
    with _encoding(kind):
        return encode(bitmap, kind, level)


def _only_feared(header: Header, bitmap: Bitmap, finish: Finish) -> bool:
    """Whether transparency was all there was to remove, and none was found."""
    return not bitmap.transparent and not needs_decoding(replace(header, transparent=False), finish)


def _reworked(bitmap: Bitmap, header: Header, finish: Finish, options: FinishOptions) -> tuple[Bitmap, Finished]:
    source = bitmap.size
    steps = []
    if finish.composite is not None:
        steps.append(_Step(source, finish.composite.original.size))
        bitmap = lay(steps[0].taken(bitmap), finish.composite)
    steps.append(_Step(bitmap.size, finish.fit or bitmap.size, finish.slack))
    level = options.default_quality if finish.quality is None else finish.quality
    with _encoding(finish.format):
        bitmap = steps[-1].taken(bitmap)
        flattened = bitmap.transparent and (finish.opaque or not finish.format.transparent)
        if flattened:
            bitmap = flatten(bitmap)
        data = encode(bitmap, finish.format, level, options.digital_source)
    return bitmap, Finished(
        data=data,
        format=finish.format,
        size=bitmap.size,
        source_format=header.format,
        source_size=source,
        decoded=True,
        # What was enlarged and then shrunk by as much is not larger than it came.
        enlarged=any(_grown(steps[first:]) for first in range(len(steps))),
        flattened=flattened,
        resized=any(step.part.size != step.to for step in steps),
        cropped=any(step.part.size != step.source for step in steps),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """A picture of one size that becomes one of another."""

    source: Size
    to: Size
    slack: int = 0

    @property
    def part(self) -> Crop:
        return crop(self.source, self.to, self.slack)

    def taken(self, bitmap: Bitmap) -> Bitmap:
        return fit(bitmap, self.to, self.part)


def _grown(steps: Sequence[_Step]) -> bool:
    """Whether the steps together enlarge what they keep, on either side."""
    wide = prod(Fraction(step.to.width, step.part.size.width) for step in steps)
    high = prod(Fraction(step.to.height, step.part.size.height) for step in steps)
    return wide > 1 or high > 1


@contextmanager
def _encoding(kind: Format) -> Iterator[None]:
    """Encoders give up with Python's or Pillow's errors; here they become ours."""
    try:
        yield
    except MemoryError as error:
        raise BadPicture("too_large", f"the picture needs more memory as {kind.value} than it may take") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise CannotEncode("too_large", f"the picture cannot be written as {kind.value}: {error}"[:200]) from error
