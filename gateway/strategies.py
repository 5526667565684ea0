"""In which order a model's routes are tried. Pure but for chance, which is handed in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from gateway.outcome import Candidate

Strategy = Literal["priority", "weighted", "fastest", "cheapest"]


def ranked(candidates: Sequence[Candidate], strategy: Strategy, chance: Callable[[], float]) -> list[Candidate]:
    """The candidates, best first. `chance` gives numbers from 0 to 1.

    `priority`: as written, whatever a plan loses. `weighted`: drawn by weight, one after the other, so that a weight
    of 2 comes first twice as often as one of 1; a weight of 0 comes last. `fastest`: what was not tried lately, then by
    the seconds that a submission takes. `cheapest`: by what the plan costs; an unknown price comes last. What these
    leave equal is decided by whether anything is lost, then by the price, then by the order written.
    """
    match strategy:
        case "priority":
            return list(candidates)
        case "weighted":
            drawn = {id(candidate): _drawn(candidate.weight, chance()) for candidate in candidates}
            return sorted(candidates, key=lambda candidate: (drawn[id(candidate)], *_tie(candidate)))
        case "fastest":
            return sorted(candidates, key=lambda candidate: (_seconds(candidate), *_tie(candidate)))
        case "cheapest":
            return sorted(candidates, key=lambda candidate: (_cost(candidate), *_tie(candidate)))


def _drawn(weight: float, chance: float) -> float:
    # Exponential arrivals at a rate of the weight: who comes first is drawn by weight, and so is every later place.
    return -math.log(1.0 - min(chance, 1.0 - 1e-16)) / weight if weight else math.inf


def _seconds(candidate: Candidate) -> float:
    speeds, model = candidate.backend.speeds, candidate.plan.model
    if not speeds.tried(model):
        return -1.0
    expected = speeds.expected(model)
    return math.inf if expected is None else expected


def _cost(candidate: Candidate) -> float:
    return math.inf if candidate.plan.cost_micros is None else candidate.plan.cost_micros


def _tie(candidate: Candidate) -> tuple[bool, float]:
    return not candidate.plan.lossless, _cost(candidate)
