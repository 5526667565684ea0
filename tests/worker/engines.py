"""An engine over tiny weights, and somebody who listens to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from providers.flux_worker.worker.admission import Meter, NoMeter
from providers.flux_worker.worker.engine import Limits, StepEngine
from providers.flux_worker.worker.folders import recognise
from providers.flux_worker.worker.options import Options, model_of
from providers.flux_worker.worker.work import Handle, Listener, Made, Progress, Work
from tests.worker.weights import family

SECONDS = 60.0
"""Within which anything here ends, on the slowest machine."""

LIMITS = Limits(batch_most=4, under_way_most=8, waiting_most=8)
WORK = Work(prompt="a red cat", width=128, height=128, steps=4, seed=1, guidance=1.0)


class Ear:
    """What was told of one piece of work."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.told: list[Progress] = []
        self.ended: list[Made | Exception] = []
        self.stepped = threading.Event()
        self.done = threading.Event()
        self.handle: Handle | None = None
        self.after: dict[int, Any] = {}
        """What to do after a step, in the engine's thread."""

    def listener(self) -> Listener:
        return Listener(self._progress, self._done)

    def _progress(self, progress: Progress) -> None:
        self.told.append(progress)
        self.stepped.set()
        if progress.step in self.after:
            self.after[progress.step]()

    def _done(self, outcome: Made | Exception) -> None:
        self.ended.append(outcome)
        self.done.set()

    def outcome(self) -> Made | Exception:
        assert self.done.wait(SECONDS)
        assert len(self.ended) == 1
        return self.ended[0]

    def picture(self) -> Image.Image:
        outcome = self.outcome()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome.picture

    def cancel(self) -> None:
        assert self.handle is not None
        self.handle.cancel()


def send(engine: StepEngine, *ears: Ear) -> Sequence[Ear]:
    """All in one submit."""
    handles = engine.submit([(ear.work, ear.listener()) for ear in ears])
    for ear, handle in zip(ears, handles, strict=True):
        ear.handle = handle
    return ears


@contextmanager
def running(
    folder: Path, limits: Limits = LIMITS, *, meter: Meter | None = None, threshold: float = 0.0
) -> Iterator[StepEngine]:
    engine = made(folder, limits, meter=meter, threshold=threshold)
    engine.start()
    try:
        yield engine
    finally:
        engine.drain(0)


def made(folder: Path, limits: Limits = LIMITS, *, meter: Meter | None = None, threshold: float = 0.0) -> StepEngine:
    """Not started: what is sent before it starts is there when it does."""
    model = model_of(recognise(str(folder)), Options(str(folder)))
    return StepEngine(family(folder, threshold), model, limits, meter or NoMeter())


def alone(folder: Path, work: Work) -> Image.Image:
    """The picture of work that nothing else is done beside."""
    with running(folder) as engine:
        (ear,) = send(engine, Ear(replace(work, previews=0)))
        return ear.picture()


def far(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of a colour, of 255. Batches round the last bit of a float differently: 1 is the same."""
    return max(ImageChops.difference(one, other).tobytes())
