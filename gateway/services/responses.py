"""Kept responses: what `POST /v1/responses` answered, so that a later request can read it again or build upon it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """A picture of a response: the output item that it belongs to, and its name in the storage of pictures."""

    item: str
    name: str


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """One answer. `body` is its JSON in pieces: bytes as they go out, and where a picture stands as base64, its name
    in the storage. `pictures` in the order of the output; `expires` in epoch seconds. `owner` None = nobody had to say
    who they are."""

    id: str
    owner: str | None
    expires: float
    body: tuple[bytes | str, ...]
    pictures: tuple[KeptPicture, ...] = ()


class Responses(Protocol):
    """Where answers are kept. For anybody but its owner, and after its time, a response does not exist.

    Every method raises StorageFull or StateUnavailable where the state cannot be used.
    """

    async def keep(self, response: KeptResponse) -> None:
        """Keep an answer, in the place of an earlier one of the same id."""
        ...

    async def find(self, id: str, owner: str | None, now: float) -> KeptResponse | None: ...

    async def pictures(self, id: str, owner: str | None, now: float) -> tuple[KeptPicture, ...] | None:
        """The pictures of a response, or of one output item, by its id; None where there is no such thing."""
        ...

    async def delete(self, id: str, owner: str | None, now: float) -> bool:
        """Forget a response; False where there is none. Its pictures are the storage's, and go with their time."""
        ...

    async def sweep(self, now: float) -> int:
        """Forget what has expired at `now` (epoch seconds), and return how many responses that were."""
        ...

    async def close(self) -> None: ...
