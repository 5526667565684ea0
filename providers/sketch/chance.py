"""Chance that falls the same way on every machine."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of numbers that follows from `parts` alone.

    Only `random.Random.random()` is used, the one generator whose sequence Python promises to keep, and what is made
    of its numbers takes no more than multiplying and adding, which IEEE 754 defines to the last bit.
    """

    __slots__ = ("_name", "_random")

    def __init__(self, *parts: object) -> None:
        self._name = parts
        text = "\0".join(str(part) for part in parts)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - scenery, not a secret

    def of(self, *parts: object) -> Chance:
        """A stream of its own for one thing in the picture, so that adding another thing moves nothing else."""
        return Chance(*self._name, *parts)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._random.random()

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int((high - low + 1) * self._random.random())

    def happens(self, share: float) -> bool:
        return self._random.random() < share

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.whole(0, len(choices) - 1)]

    def bytes(self, count: int) -> bytes:
        return bytes(int(256 * self._random.random()) for _ in range(count))
