"""What can go wrong in the codec pool, besides the picture (`BadPicture`) and the deadline (`TimeoutError`)."""

from __future__ import annotations

from typing import Any

from gateway.services.codec_frames import Answer
from normalization.pictures.refusal import BadPicture, CannotEncode


class CodecError(Exception):
    """Base of what goes wrong in the pool rather than in a picture."""


class CodecTimeout(BadPicture, CodecError):
    """The picture took longer than any honest one does; its process was killed."""


class CodecCrashed(BadPicture, CodecError):
    """The process died on the picture."""


class CodecBroken(CodecError):
    """The codec function failed in a way that is our mistake, not the picture's. The text is its traceback, for the
    log alone."""


class CodecsBusy(CodecError):
    """More jobs wait than `queue_most`; nothing was done."""


class CodecsClosed(CodecError):
    """The pool is closed, or was closed before the job was done."""


def value(answer: Answer) -> Any:
    """What the job gave; raises what it raised."""
    match answer.kind:
        case "done":
            return answer.value
        case "refused":
            raise BadPicture(*answer.value)
        case "cannot_encode":
            raise CannotEncode(*answer.value)
        case _:
            raise CodecBroken(str(answer.value))
