"""Every model's own page takes every body that is planned for it: for each model by itself, all pairs of values meet.

The simulators judge the bodies as they would on the wire; nothing travels.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from normalization.vocabulary import Size
from providers.base import Options, WireRequest
from providers.registry import PROVIDERS
from tests.matrix import SIMULATE, VALUES, Case, models_of
from tests.matrix_truth import EXACT
from tests.pairing import covering
from tests.providers.conversing import ATTEMPT, planned
from tests.simulators import (
    ApiframeSimulator,
    MaxSimulator,
    ModelVerseSimulator,
    OneMinSimulator,
    OpenAISimulator,
    Simulator,
)

JUDGES: Mapping[str, Simulator] = {
    "flux_worker": MaxSimulator(model=None),
    "apiframe": ApiframeSimulator(),
    "openai": OpenAISimulator(),
    "onemin": OneMinSimulator(),
    "modelverse": ModelVerseSimulator(),
}
ROWS = covering({factor: tuple(values) for factor, values in VALUES.items()})
MODELS = [(kind, model) for kind in JUDGES for model in models_of(kind)]


@pytest.mark.parametrize(("kind", "model"), MODELS)
def test_every_body_that_is_planned_is_one_that_the_model_takes(kind: str, model: str) -> None:
    adapter, judge = PROVIDERS[kind](Options(name="p")), JUDGES[kind]
    for row in ROWS:
        said = Case(kind, model, row).said
        plan = planned(adapter, model, **said)
        assert [place for call in plan.calls for place in call.places] == list(range(said["n"]))
        for call in plan.calls:
            request = adapter.submit(call, ATTEMPT)
            assert isinstance(request, WireRequest)
            ordered = judge.ordered(request.json)
            assert ordered.count >= call.images
            if row["shape"] in EXACT:
                due, made = EXACT[row["shape"]], ordered.size
                assert plan.finish.fit == Size(*due)
                noted = any(entry.note for entry in plan.applied if entry.name in ("size", "width"))
                assert noted or (made[0] >= due[0] and made[1] >= due[1]), f"{made} is not enough for {due}: {said}"


def test_every_simulator_judges() -> None:
    assert set(JUDGES) == set(SIMULATE)
