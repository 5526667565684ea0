"""Planning what we do not know: extras and options reach whom they may, and nothing of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from normalization.errors import InvalidValue
from normalization.planner import plan
from normalization.vocabulary import Behavior
from tests.normalization.asking import image, request
from tests.normalization.profiles import (
    BATCHES,
    RATIO_ONLY,
    WORKER,
    entry,
    payloads,
    planned,
)


def test_extras_are_forwarded_to_those_that_tolerate_them() -> None:
    made = planned(RATIO_ONLY, go_fast=True, loras=[{"path": "a"}])
    assert payloads(made) == [{"prompt": "a fox", "go_fast": True, "loras": [{"path": "a"}]}]
    assert entry(made, "go_fast") == (Behavior.PASSTHROUGH, True, None)
    inside = planned(replace(RATIO_ONLY, extra_under="fluxParams"), go_fast=True)
    assert payloads(inside) == [{"prompt": "a fox", "fluxParams": {"go_fast": True}}]
    assert entry(inside, "go_fast") == (Behavior.RENAMED, True, None)


def test_extras_are_dropped_with_a_note_for_those_that_reject_them() -> None:
    made = planned(WORKER, image(flow_shift=3, cfg_truncation=0.5), go_fast=True)
    assert made.calls[0].payload["options"]["image"]["flow_shift"] == 3.0
    assert entry(made, "flow_shift") == (Behavior.RENAMED, 3.0, None)
    for name, value in (("go_fast", True), ("cfg_truncation", 0.5)):
        assert entry(made, name) == (Behavior.DROPPED, None, "the provider rejects parameters that it does not know")
        assert value not in made.calls[0].payload["options"]["image"].values()


@pytest.mark.parametrize("key", ["prompt.x", "steps.", "a.b", ".steps"])
def test_a_dot_in_an_extras_name_reaches_into_nothing(key: str) -> None:
    made = planned(RATIO_ONLY, {key: 1, "steps": 20})
    assert payloads(made) == [{"prompt": "a fox", "steps": 20, key: 1}]


def test_options_for_this_provider_are_merged_last_and_others_not_at_all() -> None:
    options = {"apiframe": {"go_fast": False, "output_quality": 1}, "gpu": {"lora": "b"}}
    made = planned(RATIO_ONLY, provider_options=options, go_fast=True)
    assert payloads(made) == [{"prompt": "a fox", "go_fast": False, "output_quality": 1}]
    assert entry(made, "provider_options.apiframe.go_fast") == (Behavior.PASSTHROUGH, False, None)
    assert "lora" not in str(made.applied)


def test_options_reach_even_a_provider_that_rejects_extras() -> None:
    made = planned(WORKER, provider_options={"apiframe": {"sampler": "euler"}})
    assert made.calls[0].payload["options"]["image"]["sampler"] == "euler"


def test_a_parameter_that_an_option_overwrites_is_not_what_is_sent() -> None:
    made = planned(RATIO_ONLY, steps=20, provider_options={"apiframe": {"steps": 30}})
    assert payloads(made)[0]["steps"] == 30
    assert entry(made, "steps") == (Behavior.DROPPED, None, "superseded by provider_options.apiframe.steps")


def test_a_parameter_that_an_extra_overwrites_is_not_what_is_sent() -> None:
    made = planned(RATIO_ONLY, style="vivid", look="flat")
    assert payloads(made) == [{"prompt": "a fox", "look": "flat"}]
    assert entry(made, "style") == (Behavior.DROPPED, None, "superseded by look")


@pytest.mark.parametrize(("given", "seeds"), [(5, (5, None)), ("five", (None, None)), (True, (None, None))])
def test_a_seed_among_the_options_is_the_first_pictures_and_the_others_are_unknown(given: Any, seeds: Any) -> None:
    made = planned(BATCHES, n=2, seed=1, provider_options={"apiframe": {"seed": given}})
    assert made.calls[0].payload["seed"] == given
    assert made.calls[0].seeds == seeds
    assert entry(made, "seed") == (Behavior.DROPPED, None, "superseded by provider_options.apiframe.seed")


@pytest.mark.parametrize("key", ["aspect_ratio", "aspectRatio", "Prompt"])
def test_nobody_writes_over_what_the_adapter_sets(key: str) -> None:
    with pytest.raises(InvalidValue) as error:
        plan(replace(request(), extra={key: 1}), RATIO_ONLY, name="relay")
    assert error.value.param == key
    with pytest.raises(InvalidValue) as error:
        plan(replace(request(), provider_options={"relay": {key: 1}}), RATIO_ONLY, name="relay")
    assert error.value.param == f"provider_options.relay.{key}"


def test_each_call_has_a_payload_of_its_own() -> None:
    made = planned(WORKER, n=2, seed=1)
    first, second = made.calls
    assert first.payload is not second.payload
    assert first.payload["options"] is not second.payload["options"]


def test_what_goes_along_with_a_parameter_is_reported_as_it_was_sent() -> None:
    free = replace(WORKER, extra="forward", extra_under="options.image")
    made = plan(request(negative_prompt="fog", true_cfg_scale=2.5), free, name="p")
    assert made.calls[0].payload["options"]["image"]["true_cfg_scale"] == 2.5
    assert entry(made, "negative_prompt")[1] == {"negative_prompt": "fog", "true_cfg_scale": 2.5}


def test_what_goes_along_with_a_parameter_that_was_written_over_is_no_part_of_it() -> None:
    """In whichever order the client wrote the two."""
    options = {"negative_prompt": "rain", "true_cfg_scale": 2.5}
    for given in (options, dict(reversed(options.items()))):
        made = planned(WORKER, negative_prompt="fog", provider_options={"apiframe": given})
        assert made.calls[0].payload["options"]["image"] | options == made.calls[0].payload["options"]["image"]
        by = "superseded by provider_options.apiframe.negative_prompt"
        assert entry(made, "negative_prompt") == (Behavior.DROPPED, None, by)
