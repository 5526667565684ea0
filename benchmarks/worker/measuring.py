"""Stock and ours, measured the same way: the wall clock, with the device waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import torch

from providers.flux_worker.worker.admission import CudaMeter, NoMeter
from providers.flux_worker.worker.caching import FirstBlocks
from providers.flux_worker.worker.engine import Limits, StepEngine
from providers.flux_worker.worker.families.family import Family
from providers.flux_worker.worker.families.runs import Row, Run, Tensor, Text
from providers.flux_worker.worker.folders import Kind
from providers.flux_worker.worker.work import Listener, Made, Model, Progress, Work

SECONDS_MOST = 3600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """seconds: from asking to the picture; step_ms: between two steps, the median."""

    seconds: float
    step_ms: float


class EverySecond(FirstBlocks):
    """Takes every second step from the one before, but for the first and the last. Random weights change from step to
    step in no way that trained ones do: what the cache's threshold would skip on them says nothing."""

    def _skips(self, change: Tensor, rows: Sequence[Row], runs: Sequence[Run]) -> list[bool]:
        skips: list[bool] = []
        for run in runs:
            skip = run.index % 2 == 1 and run.index < run.steps - 1 and run.rows[0].rest is not None
            run.skipped += skip
            skips += [skip] * len(run.rows)
        return skips


def waited(device: str) -> float:
    """The time, once the device has done all that it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter()


def stock(pipe: Any, work: Work, text: Text | None, device: str) -> Measured:
    """One call of the stock pipeline. text: None = it encodes the prompt itself."""
    times = [waited(device)]

    def stepped(pipe: Any, index: int, at: Any, given: dict[str, Any]) -> dict[str, Any]:
        times.append(waited(device))
        return given

    given: dict[str, Any] = {"prompt": work.prompt} if text is None else {"prompt_embeds": text.tokens}
    if text is not None and text.pooled is not None:
        given["pooled_prompt_embeds"] = text.pooled
    pipe(
        **given,
        height=work.height,
        width=work.width,
        num_inference_steps=work.steps,
        guidance_scale=work.guidance,
        generator=torch.Generator("cpu").manual_seed(work.seed),
        callback_on_step_end=stepped,
    )
    return Measured(waited(device) - times[0], _between(times[1:]))


class Waiting:
    """Listens to one piece of work."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.outcome: Made | Exception | None = None
        self.ended = 0.0
        self.done = threading.Event()

    def listener(self) -> Listener:
        return Listener(self._progress, self._done)

    def _progress(self, progress: Progress) -> None:
        self.steps.append(time.perf_counter())

    def _done(self, outcome: Made | Exception) -> None:
        self.ended, self.outcome = time.perf_counter(), outcome
        self.done.set()


def ours(engine: StepEngine, works: Sequence[Work]) -> list[Measured]:
    """All sent together. Raises what went wrong with one."""
    listening, started = [Waiting() for _ in works], time.perf_counter()
    engine.submit([(work, each.listener()) for work, each in zip(works, listening, strict=True)])
    for each in listening:
        each.done.wait(SECONDS_MOST)
        if not isinstance(each.outcome, Made):
            raise each.outcome or TimeoutError("no picture within an hour")
    return [Measured(each.ended - started, _between(each.steps)) for each in listening]


def engine_of(family: Family, batch_most: int, settle: Callable[[], None] = lambda: None) -> StepEngine:
    """`settle`: what the thread that steps begins with."""
    meter = CudaMeter(str(family.device)) if family.device.type == "cuda" else NoMeter()
    engine = StepEngine(family, _model(family.kind), Limits(batch_most, 2 * batch_most, 64), meter, settle)
    engine.start()
    return engine


def _model(kind: Kind) -> Model:
    return Model(
        "benchmark", kind.family, kind.modes, kind.default_steps, kind.default_guidance, (1024, 1024),
        kind.references_most, kind.guided, kind.negative,
    )  # fmt: skip


def _between(times: Sequence[float]) -> float:
    return 1000 * median(later - sooner for sooner, later in pairwise(times))
