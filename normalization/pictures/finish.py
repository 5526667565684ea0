"""Runs a plan's finishing on one picture: as it came where nothing has to change, else decoded once and written once.

Pillow is imported only when a picture really is decoded, which in the gateway is never in its own process.
"""

from __future__ import annotations

from dataclasses import dataclass

from normalization.pictures.header import Header
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import OUTPUT, Limits
from normalization.pictures.provenance import DigitalSource
from normalization.pictures.sanitize import passes, sanitize
from normalization.plan import Finish
from normalization.vocabulary import Format, Size


@dataclass(frozen=True, slots=True)
class FinishOptions:
    """What holds for all pictures of one kind.

    `default_quality`: 0..100, for a plan that names none. `limits`: what is accepted. `digital_source`: what to write
    into a picture that we encode; None for pictures that are not generated. `keep_manifest`: see `sanitize`.
    """

    default_quality: int = 85
    limits: Limits = OUTPUT
    digital_source: DigitalSource | None = DigitalSource.TRAINED
    keep_manifest: bool = True


@dataclass(frozen=True, slots=True)
class Finished:
    """A picture ready to hand out, and what was done to it. Sizes are in pixels, upright.

    `decoded`: the file was written anew; otherwise its pixels are byte for byte the source's. `cropped`: a part was
    cut off. `resized`: it was resampled, `enlarged` where upwards on either side. `flattened`: transparent pixels
    were laid on white. The source of a picture laid into another is the one that was laid; the other counts for
    `enlarged` too. `thumbnail`: a small WebP of the same pixels, where the plan wants one and it could be written.
    """

    data: bytes
    format: Format
    size: Size
    source_format: Format
    source_size: Size
    decoded: bool = False
    enlarged: bool = False
    flattened: bool = False
    resized: bool = False
    cropped: bool = False
    thumbnail: bytes | None = None


def needs_decoding(header: Header, finish: Finish) -> bool:
    """Whether the picture itself takes more than passing its bytes through.

    An animation passes whole where its format is the one asked for and no size is; otherwise its first frame is used.
    """
    if finish.composite is not None or finish.force or finish.format is not header.format or not passes(header):
        return True
    if finish.opaque and header.transparent:
        return True
    return finish.fit is not None and (finish.fit != header.size or header.frames > 1)


def thumbnail_size(size: Size, side: int) -> Size:
    """The size of a picture's thumbnail whose longer side has at most `side` pixels; never larger than the picture."""
    long = max(size.width, size.height, side)
    return Size(max(1, size.width * side // long), max(1, size.height * side // long))


def pass_through(data: bytes, header: Header, *, keep_manifest: bool = True) -> Finished:
    """The picture as it came, less its metadata (see `sanitize`, whose errors it raises); well under a millisecond."""
    kept = sanitize(data, header, keep_manifest=keep_manifest)
    return Finished(kept, header.format, header.size, header.format, header.size)


def finish(data: bytes, finish: Finish, options: FinishOptions) -> Finished:
    """The picture as the plan wants it: turned upright, fitted, flattened, encoded, as far as each is needed.

    Raises `BadPicture` where the picture cannot be read or is beyond `options.limits`, and its subclass
    `CannotEncode` where the format asked for cannot hold it.
    """
    header = inspect(data, options.limits)
    if not needs_decoding(header, finish) and finish.thumbnail is None:
        return pass_through(data, header, keep_manifest=options.keep_manifest)
    from normalization.pictures.rework import rework

    return rework(data, header, finish, options)
