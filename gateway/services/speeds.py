"""How long a provider's models take, as a moving average of what was delivered lately."""

from __future__ import annotations

import time
from collections.abc import Callable

WEIGHT = 0.2
"""Of the newest picture in the average: the last ten make up nine tenths of it."""
STALE_SECONDS = 900.0
"""After it nothing is known any more, so that a model that was slow or failing once is tried again."""


class Speeds:
    """Of one provider. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, float | None]] = {}

    def delivered(self, model: str, seconds: float) -> None:
        """A submission brought pictures after so many seconds."""
        before = self.expected(model)
        self._note(model, seconds if before is None else before + WEIGHT * (seconds - before))

    def failed(self, model: str) -> None:
        """A submission brought nothing. How fast it failed says nothing of its speed, only that it was tried."""
        self._note(model, self.expected(model))

    def tried(self, model: str) -> bool:
        """Whether anything came of it lately, good or bad."""
        return self._fresh(model) is not None

    def expected(self, model: str) -> float | None:
        """Seconds that a submission takes; None where none succeeded lately."""
        found = self._fresh(model)
        return None if found is None else found[1]

    def _fresh(self, model: str) -> tuple[float, float | None] | None:
        found = self._known.get(model)
        return None if found is None or self._clock() - found[0] > STALE_SECONDS else found

    def _note(self, model: str, seconds: float | None) -> None:
        self._known[model] = self._clock(), seconds
