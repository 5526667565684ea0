"""Whether the worker can be asked for anything, and whom: the engine once it is loaded, until it drains."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from providers.flux_worker.worker.pictures import Codecs
from providers.flux_worker.worker.reading import Bounds, Reader
from providers.flux_worker.worker.running import Run
from providers.flux_worker.worker.shelf import Shelf
from providers.flux_worker.worker.wire import Refusal
from providers.flux_worker.worker.work import Engine

log = logging.getLogger("imagegate.worker")

RETRY_SECONDS = 5.0

REQUESTS_MOST = 64
"""Under way at once, from the first byte of a body on: bodies of pictures are held in memory before they may queue."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How the worker serves. `name`: what the model is called on the wire, None = as its folder is; `key`: what a
    client must present, None = nothing."""

    name: str | None = None
    key: str | None = field(default=None, repr=False)
    bounds: Bounds = field(default_factory=Bounds)
    requests_most: int = REQUESTS_MOST


class Desk:
    """Belongs to the loop, but for `load`, which runs in a thread of its own."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.codecs, self.shelf = Codecs(), Shelf()
        self.draining = False
        self.halted = False
        """Nothing is waited for any more."""
        self.under_way = 0
        self._runs: set[Run] = set()
        self._lock = threading.Lock()
        self._loaded: tuple[Engine, Reader] | None = None
        self._trouble: str | None = None

    def load(self, load: Callable[[], Engine]) -> None:
        """Load and keep the engine. Raises what `load` raises, once `/ready` tells of it."""
        try:
            engine = load()
        except BaseException as trouble:
            self._trouble = str(trouble)
            raise
        name = self.serving.name or engine.model.id
        names = tuple(dict.fromkeys((name, engine.model.id)))
        with self._lock:
            gone = self.draining
            self._loaded = (engine, Reader(engine.model, names, self.serving.bounds))
        if gone:
            engine.drain(0.0)

    @property
    def engine(self) -> Engine | None:
        return None if self._loaded is None else self._loaded[0]

    def why_not(self) -> str | None:
        """Why no work is taken now; None = it is."""
        if self.draining:
            return "the worker is shutting down"
        if self._trouble is not None:
            return f"the model could not be loaded: {self._trouble}"
        if self._loaded is None:
            return "the model is being loaded"
        now = self._loaded[0].standing()
        if now.broken:
            return "the device failed, and the worker must be started anew"
        return None if now.ready else "the model is being warmed up"

    @property
    def broken(self) -> bool:
        """Only a new process helps."""
        return self._loaded is not None and self._loaded[0].standing().broken

    def open(self) -> tuple[Engine, Reader]:
        """Raises Refusal where no work is taken."""
        reason = self.why_not()
        if reason is not None or self._loaded is None:
            raise Refusal(503, reason or "the model is being loaded", retry_after=RETRY_SECONDS)
        return self._loaded

    def hold(self, run: Run) -> None:
        """Keep what is under way, until `leave`, to tell it when nothing is waited for."""
        self._runs.add(run)
        if self.halted:
            run.abandon()

    def leave(self, run: Run) -> None:
        self._runs.discard(run)

    def halt(self) -> None:
        """Tell all that is under way that it was cancelled. In the loop."""
        self.draining = self.halted = True
        for run in tuple(self._runs):
            run.abandon()

    def drain(self, seconds: float) -> None:
        """Take no new work, and let what is there end for at most `seconds`. Blocks; any thread."""
        with self._lock:
            self.draining = True
            engine = self.engine
        if engine is not None:
            engine.drain(seconds)
