"""The operator's choices: what is loaded as they say, and one clear sentence for each that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from providers.flux_worker.worker.folders import recognise
from providers.flux_worker.worker.loading import load_weights
from providers.flux_worker.worker.options import OptionError, Options, load
from providers.flux_worker.worker.work import Work
from tests.worker.weights import family, finished, picture

Weights = Callable[[str], Path]
WORK = Work("a red cat", 128, 128, 2, 1, 2.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_most": 0}, "batch_most is 0; it must be at least 1"),
        ({"waiting_most": -1}, "waiting_most is -1"),
        ({"threads": 0}, "threads is 0"),
        ({"fast_threshold": 2.0}, "fast_threshold is 2.0; it must be between 0 and 1"),
        ({"dtype": "int8"}, "dtype is 'int8'; it must be one of bfloat16, float16, float32"),
        ({"quantisation": "int4"}, "quantisation is 'int4'"),
        ({"sizes": ((1000, 1024),)}, "sizes holds 1000x1024"),
        ({"offload": True, "compile": True}, "cannot be combined"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_before_anything_is_read(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Options("anything", **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device": "tpu"}, "device is 'tpu'; it must be cuda, cuda:N or cpu"),
        ({"device": "cuda:99"}, "torch sees [0-9]+ GPUs here"),
        ({"quantisation": "float8", "device": "cpu"}, "compute capability 8.9"),
        ({"attention": "no_such_backend", "device": "cpu"}, "attention is 'no_such_backend'"),
    ],
)
def test_a_choice_that_this_machine_cannot_carry_out_is_refused(
    weights: Weights, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        load(Options(str(weights("klein")), **changes))


def test_an_attention_that_keeps_state_is_not_compiled(weights: Weights) -> None:
    with pytest.raises(OptionError, match=r"compile is not for FLUX\.2-klein-KV"):
        load(Options(str(weights("klein-kv")), device="cpu", compile=True))


def painted(folder: Path, work: Work, **changes: Any) -> Any:
    ours = load_weights(recognise(str(folder)), Options(str(folder), device="cpu", **changes))
    return finished(ours, work)[0]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("klein", {}),
        ("klein-kv", {"mode": "edit", "pictures": (picture(2, 96, 64),)}),
        ("flux1-dev", {"negative_prompt": "rain", "true_cfg_scale": 2.0}),
        ("flux2-dev", {}),
    ],
)
def test_offloaded_weights_paint_the_same_picture(weights: Weights, kind: str, changes: dict[str, Any]) -> None:
    work = replace(WORK, **changes)
    (expected,) = finished(family(weights(kind)), work)
    assert torch.equal(painted(weights(kind), work, offload=True), expected)


@pytest.mark.parametrize("kind", ["klein", "flux1-dev", "klein-kv", "flux2-dev"])
def test_half_the_bits_paint_nearly_the_same_picture(weights: Weights, kind: str) -> None:
    (expected,) = finished(family(weights(kind)), WORK)
    rough = painted(weights(kind), WORK, dtype="bfloat16")
    assert rough.dtype == torch.float32
    assert 0 < float((rough - expected).abs().mean()) < 0.05


def test_an_attention_backend_is_the_one_asked_for(weights: Weights) -> None:
    (expected,) = finished(family(weights("klein")), WORK)
    assert float((painted(weights("klein"), WORK, attention="_native_math") - expected).abs().max()) < 1e-4


@pytest.mark.parametrize("kind", ["flux1-fill", "flux1-kontext", "klein-kv", "klein-base"])
def test_every_family_warms_up_with_nothing_given(weights: Weights, kind: str) -> None:
    engine = load(Options(str(weights(kind)), device="cpu", sizes=((128, 128),)))
    assert engine.standing().ready
    engine.drain(0)
