"""What goes wrong with one batch is told to that batch, and the next is as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from providers.flux_worker.worker.families.runs import Run
from providers.flux_worker.worker.work import BadPicture, OutOfMemory
from tests.worker.engines import LIMITS, WORK, Ear, alone, far, running, send

Weights = Callable[[str], Path]
Step = Callable[[Sequence[Run]], list[bool]]


def spoilt(engine: Any, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Step, Sequence[Run]], list[bool]]) -> None:
    """Every step of the engine's goes through `spoil`."""
    step = engine._family.step
    monkeypatch.setattr(engine._family, "step", lambda runs: spoil(step, runs))


def test_a_batch_that_does_not_fit_fails_alone_and_the_next_is_half_as_large(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def fits_two(step: Step, runs: Sequence[Run]) -> list[bool]:
        sizes.append(len(runs))
        if len(runs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return step(runs)

    with running(weights("klein")) as engine:
        spoilt(engine, monkeypatch, fits_two)
        first = send(engine, *(Ear(replace(WORK, seed=seed)) for seed in range(4)))
        for ear in first:
            assert isinstance(ear.outcome(), OutOfMemory)
        assert engine.standing().batch_most == 2
        second = send(engine, *(Ear(replace(WORK, seed=seed)) for seed in range(4)))
        for ear in second:
            assert far(ear.picture(), alone(weights("klein"), ear.work)) <= 1
        assert engine.standing().failed == 4
    assert max(sizes[1:]) == 2


def test_what_waits_is_not_lost_with_a_batch_that_does_not_fit(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[int] = []

    def fails_once(step: Step, runs: Sequence[Run]) -> list[bool]:
        if not failed:
            failed.append(len(runs))
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return step(runs)

    with running(weights("klein"), replace(LIMITS, batch_most=1)) as engine:
        spoilt(engine, monkeypatch, fails_once)
        lost, kept = send(engine, Ear(WORK), Ear(replace(WORK, seed=2)))
        assert isinstance(lost.outcome(), OutOfMemory)
        kept.picture()


def test_numbers_that_are_none_spoil_only_their_own_picture(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoils_a_seed(step: Step, runs: Sequence[Run]) -> list[bool]:
        for run in runs:
            if run.work.seed == 13 and run.index == 2:
                run.latents = torch.full_like(run.latents, float("nan"))
        return step(runs)

    with running(weights("klein")) as engine:
        spoilt(engine, monkeypatch, spoils_a_seed)
        bad, good = send(engine, Ear(replace(WORK, seed=13)), Ear(WORK))
        assert isinstance(bad.outcome(), BadPicture)
        assert len(bad.told) == 2
        assert far(good.picture(), alone(weights("klein"), WORK)) <= 1


def test_a_decoder_that_comes_to_no_numbers_gives_no_picture(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(weights("klein")) as engine:
        unpack = engine._family._unpack
        monkeypatch.setattr(engine._family, "_unpack", lambda run, latents: unpack(run, latents) * float("inf"))
        (ear,) = send(engine, Ear(WORK))
        assert isinstance(ear.outcome(), BadPicture)


@pytest.mark.parametrize("where", ["prepare", "step", "pixels", "key"])
def test_whatever_fails_the_engine_goes_on(
    weights: Weights, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    with running(weights("klein")) as engine:
        with monkeypatch.context() as patched:

            def fail(*given: object) -> None:
                raise ZeroDivisionError(where)

            patched.setattr(engine._family, where, fail)
            (lost,) = send(engine, Ear(WORK))
            outcome = lost.outcome()
        assert isinstance(outcome, ZeroDivisionError)
        assert engine.standing().ready
        (kept,) = send(engine, Ear(WORK))
        assert far(kept.picture(), alone(weights("klein"), WORK)) <= 1
    assert "failed" in caplog.text


def test_a_device_that_is_gone_for_good_is_said_so(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(runs: Sequence[Run]) -> list[bool]:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with running(weights("klein")) as engine:
        monkeypatch.setattr(engine._family, "step", fail)
        ears = send(engine, Ear(WORK), Ear(replace(WORK, width=192)))
        for ear in ears:
            assert isinstance(ear.outcome(), torch.AcceleratorError)
        assert not engine.standing().ready
        assert engine.standing().broken
        with pytest.raises(RuntimeError, match="started anew"):
            send(engine, Ear(WORK))


@pytest.mark.parametrize("kind", ["klein", "flux1-dev", "klein-kv"])
def test_a_run_that_was_broken_off_leaves_nothing_to_the_next(weights: Weights, kind: str) -> None:
    """Of diffusers' own caches the next request would see another's state."""
    from tests.worker.weights import picture

    work = replace(WORK, steps=6, quality="fast")
    if kind == "klein-kv":
        work = replace(work, mode="edit", pictures=(picture(3, 96, 64),))
    with running(weights(kind), threshold=0.9) as engine:
        (before,) = send(engine, Ear(work))
        before.picture()
        broken = Ear(replace(work, seed=9, prompt="something else"))
        broken.after[3] = broken.cancel
        send(engine, broken)
        broken.outcome()
        (after,) = send(engine, Ear(work))
        assert far(after.picture(), before.picture()) == 0
        assert before.outcome().skipped == after.outcome().skipped  # type: ignore[union-attr]


def test_an_engine_that_cannot_warm_up_does_not_start(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.worker.engines import made

    engine = made(weights("klein"))

    def fail(*given: object) -> None:
        raise ZeroDivisionError("no kernel for this")

    monkeypatch.setattr(engine._family, "step", fail)
    with pytest.raises(ZeroDivisionError):
        engine.start([(128, 128)])
    assert not engine.standing().ready
