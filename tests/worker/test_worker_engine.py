"""The engine's promises to those who send it work: joining, leaving, fairness, bounds, and who is told what."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from providers.flux_worker.worker.admission import NoMeter
from providers.flux_worker.worker.engine import Limits
from providers.flux_worker.worker.families.runs import Run
from providers.flux_worker.worker.options import Options, load
from providers.flux_worker.worker.work import Busy, Cancelled, Made, Refused, Work
from tests.worker.engines import LIMITS, WORK, Ear, alone, far, made, running, send


class Told(NoMeter):
    """A device that says how much is left."""

    def __init__(self, left: int) -> None:
        self.left = left

    def free(self) -> int | None:
        return self.left


Weights = Callable[[str], Path]


def test_work_that_joins_others_under_way_is_the_picture_that_it_is_alone(weights: Weights) -> None:
    works = [replace(WORK, seed=seed, prompt=prompt, steps=steps) for seed, prompt, steps in (
        (1, "a cat", 9), (2, "a dog", 4), (3, "a fox", 6),
    )]  # fmt: skip
    first, second, third = (Ear(work) for work in works)
    with running(weights("klein")) as engine:
        first.after[2] = lambda: send(engine, second)
        second.after[1] = lambda: send(engine, third)
        send(engine, first)
        painted = [ear.picture() for ear in (first, second, third)]
    for work, picture in zip(works, painted, strict=True):
        assert far(picture, alone(weights("klein"), work)) <= 1


def test_every_step_is_told_in_order_and_then_the_picture(weights: Weights) -> None:
    with running(weights("klein")) as engine:
        (ear,) = send(engine, Ear(WORK))
        outcome = ear.outcome()
    assert [(told.step, told.steps, told.preview) for told in ear.told] == [(step, 4, None) for step in (1, 2, 3, 4)]
    assert isinstance(outcome, Made)
    assert (outcome.steps, outcome.skipped, outcome.picture.size) == (4, 0, (128, 128))
    assert outcome.seconds > 0
    assert outcome.waited >= 0


def test_a_strength_takes_its_share_of_the_steps(weights: Weights) -> None:
    from tests.worker.weights import picture

    work = replace(WORK, mode="img2img", pictures=(picture(1),), strength=0.5, steps=6)
    with running(weights("flux1-schnell")) as engine:
        (ear,) = send(engine, Ear(work))
        outcome = ear.outcome()
    assert isinstance(outcome, Made)
    assert outcome.steps == 3
    assert [told.steps for told in ear.told] == [3, 3, 3]


def test_previews_come_where_they_were_asked_for_and_become_the_picture(weights: Weights) -> None:
    with running(weights("klein")) as engine:
        (ear,) = send(engine, Ear(replace(WORK, steps=6, previews=2)))
        outcome = ear.outcome()
    assert isinstance(outcome, Made)
    shown = {told.step: told.preview for told in ear.told if told.preview is not None}
    assert sorted(shown) == [2, 4]
    assert {preview.size for preview in shown.values()} == {(128, 128)}
    assert far(shown[4], outcome.picture) < far(shown[2], outcome.picture)


def test_a_short_piece_passes_a_long_one_of_its_shape(weights: Weights) -> None:
    long, short = Ear(replace(WORK, steps=40)), Ear(replace(WORK, seed=2))
    with running(weights("klein")) as engine:
        long.after[1] = lambda: send(engine, short)
        send(engine, long)
        short.picture()
        ended = len(long.told)
        long.picture()
    assert ended <= 8


def test_a_short_piece_of_another_shape_takes_turns_with_a_long_one(weights: Weights) -> None:
    long, short = Ear(replace(WORK, steps=40)), Ear(replace(WORK, width=144))
    with running(weights("klein"), replace(LIMITS, batch_most=1)) as engine:
        long.after[1] = lambda: send(engine, short)
        send(engine, long)
        short.picture()
        ended = len(long.told)
        long.picture()
    assert ended <= 8


def test_those_under_way_step_between_two_requests_that_are_taken_in(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts of many requests may take seconds to encode."""
    order: list[str] = []
    first, second, third = (Ear(replace(WORK, prompt=prompt)) for prompt in ("one", "two", "three"))
    with running(weights("klein")) as engine:
        family = engine._family
        prepare, step = family.prepare, family.step

        def prepared(work: Work) -> Run:
            order.append(work.prompt)
            return prepare(work)

        def stepped(runs: Sequence[Run]) -> list[bool]:
            order.append(f"step of {len(runs)}")
            return step(runs)

        monkeypatch.setattr(family, "prepare", prepared)
        monkeypatch.setattr(family, "step", stepped)

        def both() -> None:
            send(engine, second)
            send(engine, third)

        first.after[1] = both
        send(engine, first)
        for ear in (first, second, third):
            ear.picture()
    assert order[:6] == ["one", "step of 1", "two", "step of 2", "three", "step of 3"]


@pytest.mark.parametrize("batch_most", [1, 2])
def test_two_that_come_together_end_together(weights: Weights, batch_most: int) -> None:
    order: list[tuple[str, int]] = []
    one, other = Ear(WORK), Ear(replace(WORK, seed=2))
    for step in range(1, 5):
        one.after[step] = lambda step=step: order.append(("one", step))
        other.after[step] = lambda step=step: order.append(("other", step))
    with running(weights("klein"), replace(LIMITS, batch_most=batch_most)) as engine:
        send(engine, one, other)
        one.picture()
        other.picture()
    assert order == [(name, step) for step in range(1, 5) for name in ("one", "other")]


def test_all_of_a_request_is_taken_or_none_of_it(weights: Weights) -> None:
    engine = made(weights("klein"), Limits(batch_most=1, under_way_most=1, waiting_most=3))
    first = send(engine, *(Ear(WORK) for _ in range(3)))
    with pytest.raises(Busy) as busy:
        send(engine, Ear(WORK), Ear(WORK))
    assert busy.value.seconds >= 1
    last = send(engine, Ear(WORK))
    assert engine.standing().waiting == 4
    engine.start()
    for ear in (*first, *last):
        ear.picture()
    engine.drain(0)


def test_more_than_there_is_ever_room_for_is_refused_and_not_put_off(weights: Weights) -> None:
    engine = made(weights("klein"), Limits(batch_most=1, under_way_most=1, waiting_most=1))
    with pytest.raises(Refused, match="at most 2"):
        send(engine, *(Ear(WORK) for _ in range(3)))


def test_cancelled_in_line_it_never_begins(weights: Weights) -> None:
    engine = made(weights("klein"))
    kept, dropped = send(engine, Ear(WORK), Ear(replace(WORK, seed=2)))
    dropped.cancel()
    engine.start()
    kept.picture()
    assert isinstance(dropped.outcome(), Cancelled)
    assert dropped.told == []
    engine.drain(0)


def test_cancelled_under_way_it_takes_no_further_step_and_others_go_on(weights: Weights) -> None:
    kept, dropped = Ear(replace(WORK, steps=6)), Ear(replace(WORK, seed=2, steps=40))
    dropped.after[2] = dropped.cancel
    with running(weights("klein")) as engine:
        send(engine, kept, dropped)
        picture = kept.picture()
        assert isinstance(dropped.outcome(), Cancelled)
        standing = engine.standing()
    assert len(dropped.told) == 2
    assert (standing.cancelled, standing.failed) == (1, 0)
    assert far(picture, alone(weights("klein"), kept.work)) <= 1


def test_a_cancel_that_comes_too_late_changes_nothing(weights: Weights) -> None:
    with running(weights("klein")) as engine:
        (ear,) = send(engine, Ear(WORK))
        ear.picture()
        ear.cancel()
        send(engine, again := Ear(WORK))
        again.picture()
    assert len(ear.ended) == 1


def test_a_listener_that_fails_harms_nobody(weights: Weights, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("nobody there")

    loud, quiet = Ear(WORK), Ear(replace(WORK, seed=2))
    loud.after[1] = fail
    with running(weights("klein")) as engine:
        send(engine, loud, quiet)
        loud.picture()
        quiet.picture()
    assert "could not be told" in caplog.text


def test_a_drain_ends_what_is_there_and_takes_nothing_new(weights: Weights) -> None:
    begun = threading.Event()
    ears = [Ear(replace(WORK, seed=seed)) for seed in range(6)]
    ears[0].after[1] = begun.set
    with running(weights("klein")) as engine:
        send(engine, *ears)
        assert begun.wait(60)
        engine.drain(60)
        for ear in ears:
            ear.picture()
        assert not engine.standing().ready
        with pytest.raises(Busy):
            send(engine, Ear(WORK))


def test_what_a_drain_has_no_time_for_is_cancelled(weights: Weights) -> None:
    begun = threading.Event()
    running_one, waiting_one = Ear(replace(WORK, steps=1000)), Ear(WORK)
    running_one.after[1] = begun.set
    with running(weights("klein"), Limits(batch_most=1, under_way_most=1, waiting_most=4)) as engine:
        send(engine, running_one, waiting_one)
        assert begun.wait(60)
        engine.drain(0)
        assert isinstance(running_one.outcome(), Cancelled)
        assert isinstance(waiting_one.outcome(), Cancelled)


def test_what_the_options_load_is_warm_and_ready_and_tells_of_itself(weights: Weights) -> None:
    engine = load(Options(str(weights("klein")), sizes=((128, 128), (192, 128)), threads=1))
    try:
        model, standing = engine.model, engine.standing()
        assert (model.id, model.family, model.default_steps) == ("klein", "FLUX.2-klein", 4)
        assert model.modes == {"generate", "edit", "inpaint"}
        assert (model.guided, model.negative, model.sizes) == (False, False, ((128, 128), (192, 128)))
        assert standing.ready
        assert (standing.waiting, standing.running, standing.made) == (0, 0, 0)
        send(engine, ear := Ear(WORK))
        assert far(ear.picture(), alone(weights("klein"), WORK)) <= 1
        assert engine.standing().made == 1
        assert 0 < engine.standing().expected_seconds < 60
    finally:
        engine.drain(0)


def test_what_is_warmed_up_is_measured_and_need_not_begin_alone(weights: Weights) -> None:
    meter = Told(left=1 << 40)
    engine = made(weights("klein"), meter=meter)
    engine.start([(128, 128)])
    sizes: list[int] = []
    step = engine._family.step

    def stepped(runs: Sequence[Run]) -> list[bool]:
        sizes.append(len(runs))
        return step(runs)

    engine._family.step = stepped  # type: ignore[method-assign]
    first = send(engine, Ear(WORK), Ear(replace(WORK, seed=2)))
    for ear in first:
        ear.picture()
    warmed = list(sizes)
    second = send(engine, *(Ear(replace(WORK, width=192, seed=seed)) for seed in (1, 2)))
    for ear in second:
        ear.picture()
    engine.drain(0)
    assert warmed == [2, 2, 2, 2]
    assert sizes[4:] == [1, 2, 2, 2, 1]  # the first of a shape that nobody has measured
