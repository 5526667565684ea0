"""The first-block cache: what it takes from the step before, what it never takes, and where its state lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from providers.flux_worker.worker.embeddings import Embeddings
from providers.flux_worker.worker.families.runs import Text
from providers.flux_worker.worker.work import Made, Work
from tests.worker.engines import Ear, running, send
from tests.worker.weights import family, finished, mask, picture

Weights = Callable[[str], Path]
WORK = Work("a cat", 128, 128, 8, 1, 3.0, quality="fast")
EVERYTHING = 1e9


@pytest.mark.parametrize("kind", ["klein", "klein-base", "flux1-dev", "flux2-dev"])
def test_it_takes_nothing_the_first_time_and_computes_the_last_step(weights: Weights, kind: str) -> None:
    with running(weights(kind), threshold=EVERYTHING) as engine:
        outcome = send(engine, Ear(WORK))[0].outcome()
    assert isinstance(outcome, Made)
    assert (outcome.steps, outcome.skipped) == (8, 6)


def test_references_that_were_read_once_are_no_step_to_take_from(weights: Weights) -> None:
    work = replace(WORK, mode="edit", pictures=(picture(3, 96, 64),))
    with running(weights("klein-kv"), threshold=EVERYTHING) as engine:
        outcome = send(engine, Ear(work))[0].outcome()
    assert isinstance(outcome, Made)
    assert (outcome.steps, outcome.skipped) == (8, 5)


@pytest.mark.parametrize(("quality", "threshold"), [("exact", EVERYTHING), ("fast", 0.0)])
def test_it_is_off_unless_it_is_asked_for(weights: Weights, quality: str, threshold: float) -> None:
    work = replace(WORK, quality=quality)  # type: ignore[arg-type]
    (cached,) = finished(family(weights("klein"), threshold), work)
    (plain,) = finished(family(weights("klein")), replace(WORK, quality="exact"))
    assert torch.equal(cached, plain)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("klein", {}),
        ("klein-base", {"negative_prompt": "rain"}),
        ("flux1-dev", {"negative_prompt": "rain", "true_cfg_scale": 2.0}),
        ("flux1-dev", {"mode": "inpaint", "pictures": (picture(1),), "mask": mask(), "strength": 0.9}),
        ("flux2-dev", {"mode": "edit", "pictures": (picture(1), picture(2, 64, 96))}),
    ],
)
def test_fast_and_exact_share_a_batch_and_neither_notices(weights: Weights, kind: str, changes: dict[str, Any]) -> None:
    fast = replace(WORK, **changes)
    works = [fast, replace(fast, quality="exact", seed=2), replace(fast, seed=3, steps=5)]
    together = family(weights(kind), EVERYTHING)
    for one, work in zip(finished(together, *works), works, strict=True):
        (alone,) = finished(family(weights(kind), EVERYTHING), work)
        assert float((one - alone).abs().max()) < 1e-4


def test_a_skipped_step_is_near_the_computed_one(weights: Weights) -> None:
    (exact,) = finished(family(weights("klein")), replace(WORK, quality="exact", steps=20))
    (near,) = finished(family(weights("klein"), 0.8), replace(WORK, steps=20))
    (far,) = finished(family(weights("klein"), EVERYTHING), replace(WORK, steps=20))
    assert 0 < float((near - exact).abs().mean()) < float((far - exact).abs().mean()) < 0.1


def text(size: int) -> Text:
    return Text(torch.zeros(1, size, dtype=torch.uint8))


def test_prompts_are_kept_by_their_bytes_and_the_oldest_goes_first() -> None:
    kept = Embeddings(100)
    for name in ("a", "b"):
        kept.put(name, text(40))
    kept.get("a")
    kept.put("c", text(40))
    assert (kept.get("b"), len(kept), kept.bytes) == (None, 2, 80)
    kept.put("large", text(101))
    assert kept.get("large") is None
    kept.put("a", text(10))
    assert kept.bytes == 50
    kept.clear()
    assert (len(kept), kept.bytes) == (0, 0)


def test_a_prompt_is_encoded_once(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = family(weights("flux1-dev"))
    asked: list[str] = []
    encode = ours.pipe.encode_prompt

    def counted(prompt: str, **given: object) -> object:
        asked.append(prompt)
        return encode(prompt=prompt, **given)

    monkeypatch.setattr(ours.pipe, "encode_prompt", counted)
    work = replace(WORK, negative_prompt="rain", true_cfg_scale=2.0)
    ours.prepare(work)
    ours.prepare(replace(work, seed=4))
    ours.prepare(replace(work, secondary_prompt="other"))
    assert asked == ["a cat", "rain", "a cat"]
