"""Why a picture is refused, in three words that a caller can act on."""

from __future__ import annotations

from typing import Literal

Reason = Literal["not_a_picture", "unreadable", "too_large"]


class BadPicture(Exception):
    """A picture that will not be touched. Whose fault that is, only the caller knows: a user's is a 400, a provider's
    a 502.

    `code`: `not_a_picture` = none of the five formats; `unreadable` = damaged, cut off or not decodable, or no mask
    where it has to be one; `too_large` = beyond a limit, which `message` names. `message` is fit for the client.
    """

    def __init__(self, code: Reason, message: str) -> None:
        super().__init__(code, message)
        self.code: Reason = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class CannotEncode(BadPicture):
    """The picture is fine, but the format asked for cannot hold it; `message` names the format's limit."""


def unreadable(what: str) -> BadPicture:
    """The refusal of a damaged picture; `what` ends the sentence "the picture cannot be read: ..."."""
    return BadPicture("unreadable", f"the picture cannot be read: {what}")


def cut_off(where: str) -> BadPicture:
    """The refusal of a picture that ends too early."""
    return unreadable(f"it is cut off in {where}")
