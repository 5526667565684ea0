"""The finishing that takes pixels: decode once, fit, flatten, encode, and a thumbnail from the same pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from PIL import Image

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.decode import decode
from normalization.pictures.encode import encode, save
from normalization.pictures.finish import Finished, FinishOptions, needs_decoding, pass_through
from normalization.pictures.header import Header
from normalization.pictures.refusal import BadPicture, CannotEncode
from normalization.pictures.transform import crop, fit, flatten
from normalization.plan import Finish
from normalization.vocabulary import Format


def rework(data: bytes, header: Header, finish: Finish, options: FinishOptions) -> Finished:
    """Decodes the picture and does what the finishing asks. `header` is what `inspect` said of `data`.

    Errors are those of `normalization.pictures.finish.finish`.
    """
    bitmap = decode(data, header)
    with _encoding(finish.format):
        if not needs_decoding(header, finish) or _only_feared(header, bitmap, finish):
            finished = pass_through(data, header, keep_manifest=options.keep_manifest)
        else:
            bitmap, finished = _reworked(bitmap, header, finish, options)
        if options.thumbnail is None:
            return finished
        return replace(finished, thumbnail=thumbnail(bitmap, options.thumbnail))


def thumbnail(bitmap: Bitmap, side: int) -> bytes:
    """A small WebP of the picture, its longer side at most `side` pixels."""
    width, height = bitmap.image.size
    long = max(width, height, side)
    small = (max(1, width * side // long), max(1, height * side // long))
    image = bitmap.image.resize(small, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return save(image, "WEBP", {"quality": 75, "method": 0})


def _only_feared(header: Header, bitmap: Bitmap, finish: Finish) -> bool:
    """Whether transparency was all there was to remove, and none was found."""
    return not bitmap.transparent and not needs_decoding(replace(header, transparent=False), finish)


def _reworked(bitmap: Bitmap, header: Header, finish: Finish, options: FinishOptions) -> tuple[Bitmap, Finished]:
    source = bitmap.size
    target = finish.fit or source
    part = crop(source, target, finish.slack)
    bitmap = fit(bitmap, target, part)
    flattened = bitmap.transparent and (finish.opaque or not finish.format.transparent)
    if flattened:
        bitmap = flatten(bitmap)
    level = options.default_quality if finish.quality is None else finish.quality
    return bitmap, Finished(
        data=encode(bitmap, finish.format, level, options.digital_source),
        format=finish.format,
        size=target,
        source_format=header.format,
        source_size=source,
        decoded=True,
        enlarged=target.width > part.size.width or target.height > part.size.height,
        flattened=flattened,
        resized=part.size != target,
        cropped=part.size != source,
    )


@contextmanager
def _encoding(kind: Format) -> Iterator[None]:
    """Encoders give up with Python's or Pillow's errors; here they become ours."""
    try:
        yield
    except MemoryError as error:
        raise BadPicture("too_large", f"the picture needs more memory as {kind.value} than it may take") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise CannotEncode("too_large", f"the picture cannot be written as {kind.value}: {error}"[:200]) from error
