"""Pictures as bytes: what they are, whether they may come in, and the form in which they go out.

What is named here reads containers only and imports no codec, so that it may run anywhere. Decoding and encoding
(`normalization.pictures.finish.finish` on a picture that needs it) belongs in a process that may die.
"""

from __future__ import annotations

from normalization.pictures.finish import Finished, FinishOptions, needs_decoding, pass_through
from normalization.pictures.header import Header
from normalization.pictures.limits import INPUT, OUTPUT, Limits
from normalization.pictures.provenance import DigitalSource
from normalization.pictures.refusal import BadPicture, CannotEncode

__all__ = [
    "INPUT",
    "OUTPUT",
    "BadPicture",
    "CannotEncode",
    "DigitalSource",
    "FinishOptions",
    "Finished",
    "Header",
    "Limits",
    "needs_decoding",
    "pass_through",
]
