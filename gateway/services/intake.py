"""Pictures that a request brings or names, made fit for any provider: upright, without metadata, checked to the last
row. Whatever is wrong with one is a 400 that names it.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from gateway.config.limits import Limits as HouseLimits
from gateway.services.codecs import CodecBroken, CodecPool, CodecsBusy, CodecsClosed
from gateway.services.spool import Spool, Spooled
from gateway.services.visiting import client_policy, visit
from normalization.errors import (
    CallerError,
    ImageTooLarge,
    InternalError,
    InvalidImage,
    InvalidValue,
    MissingParameter,
    Overloaded,
)
from normalization.pictures import BadPicture, Limits
from normalization.vocabulary import Picture
from providers.fetch import Fetcher
from providers.replies import decode_base64

SECONDS_MOST = 300.0
"""For all that is done with one request's pictures once they are here. Most of it is waiting for their turn: two codec
processes take in 200 requests of four large pictures in one to two minutes, and clients wait for ten."""

_URL = re.compile(r"\s*https?://", re.IGNORECASE)
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]{0,30}):", re.IGNORECASE)

ACCEPTED = "a file, an http or https URL, a data: URI or base64 of a png, jpeg, webp, gif or avif picture"


@dataclass(frozen=True, slots=True)
class Given:
    """A picture as a request has it: its bytes, or what they can be read from (a URL, a data: URI, base64). `param` is
    its name for the caller, such as `image[1]` or `images[0].image_url`."""

    param: str
    content: Spooled | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes pictures in. Decoding happens in the codec pool, never in this process."""

    pool: CodecPool
    fetcher: Fetcher
    spool: Spool
    limits: HouseLimits
    allow_private: tuple[IPv4Network | IPv6Network, ...] = ()

    @property
    def each(self) -> Limits:
        """What one picture may be."""
        limits = self.limits
        return Limits(
            bytes_most=limits.picture_bytes,
            pixels_most=limits.picture_pixels,
            side_most=limits.picture_side,
            ratio_most=limits.picture_ratio,
            frames_most=limits.picture_frames,
        )

    async def take(
        self, given: Sequence[Given], mask: Given | None, *, param: str = "image"
    ) -> tuple[tuple[Picture, ...], Picture | None]:
        """The pictures of an edit, in order, and its mask, which has the size of the first. `param` is what pictures
        are called in this request.

        Raises MissingParameter, InvalidValue, InvalidImage, ImageTooLarge or ImageUrlUnreachable, naming the picture.
        """
        if not given:
            raise MissingParameter(f"{param} is missing. Accepted: {ACCEPTED}.", param=param)
        if len(given) > self.limits.picture_count:
            raise InvalidValue(
                f"{param}: {len(given)} pictures are too many; at most {self.limits.picture_count} are accepted",
                param=param,
            )
        deadline = time.monotonic() + SECONDS_MOST
        wanted = [*given, *([] if mask is None else [mask])]
        tasks = [asyncio.ensure_future(self._one(each, deadline, mask=each is mask)) for each in wanted]
        try:
            taken = await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        pictures = tuple(taken[: len(given)])
        if mask is None:
            return pictures, None
        if taken[-1].size != pictures[0].size:
            raise InvalidImage(
                f"{mask.param}: the mask is {taken[-1].size}, but the first picture is {pictures[0].size}; "
                "both must have the same size",
                param=mask.param,
            )
        return pictures, taken[-1]

    async def _one(self, given: Given, deadline: float, *, mask: bool) -> Picture:
        source = given.content if given.content is not None else await self._read(given, deadline)
        anew = _Anew(self.spool)
        try:
            taken = await self.pool.intake(source, mask=mask, limits=self.each, sink=anew.write, deadline=deadline)
        except BadPicture as refusal:
            raise _refused(given.param, refusal) from refusal
        except (CodecsBusy, CodecsClosed, TimeoutError) as error:
            raise Overloaded("too many pictures are being read; try again in a moment") from error
        except CodecBroken as error:
            raise InternalError("an input picture could not be read", detail=str(error)) from error
        if taken.kept:
            return Picture(source, taken.format, taken.size, source.sha256)
        source.close()
        return Picture(anew.file, taken.format, taken.size, anew.file.sha256)

    async def _read(self, given: Given, deadline: float) -> Spooled:
        """What a text stands for."""
        text = given.text or ""
        spooled = self.spool.new()
        if _URL.match(text):
            policy = client_policy(self.limits, self.allow_private)
            await visit(self.fetcher, text.strip(), spooled.write, param=given.param, policy=policy, deadline=deadline)
            return spooled
        scheme = _SCHEME.match(text[:64])
        if scheme is not None and scheme[1].lower() != "data":
            raise InvalidValue(
                f"{given.param}: {scheme[1]}: is no way to name a picture. Accepted: {ACCEPTED}.", param=given.param
            )
        data = decode_base64(text.strip())
        if not data:
            raise InvalidImage(
                f"{given.param}: {text[:40]!r} is neither a URL nor base64. Accepted: {ACCEPTED}.", param=given.param
            )
        spooled.write(data)
        return spooled


class _Anew:
    """Where a picture goes that is not what it was: into a file that is opened only then, since most stay as
    they are, and many wait at once."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        # Written from a thread of the codec's, which knows nothing of the request that the file belongs to.
        self._context = contextvars.copy_context()
        self._file: Spooled | None = None

    @property
    def file(self) -> Spooled:
        self._file = self._file or self._context.run(self._spool.new)
        return self._file

    def write(self, data: bytes) -> None:
        self.file.write(data)


def _refused(param: str, refusal: BadPicture) -> CallerError:
    kind = ImageTooLarge if refusal.code == "too_large" else InvalidImage
    return kind(f"{param}: {refusal.message}", param=param)
