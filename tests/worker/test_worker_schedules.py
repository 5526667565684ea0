"""Whatever comes and goes beside it, a picture is the one that it is alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from providers.flux_worker.worker.work import Cancelled, Mode, Quality, Work
from tests.worker.engines import Ear, alone, far, running, send
from tests.worker.weights import mask, picture

Weights = Callable[[str], Path]
CONDUCTOR_STEPS = 6
PICTURES = (picture(2, 96, 64), picture(3, 64, 96))


@dataclass(frozen=True)
class Guest:
    """Work that comes after a step of the first piece, and leaves after one of its own, or stays."""

    work: Work
    comes: int
    leaves: int | None


def works(kind: str) -> st.SearchStrategy[Work]:
    modes: list[Mode] = {"klein-base": ["generate", "edit", "inpaint"], "klein-kv": ["generate", "edit"]}.get(
        kind, ["generate", "img2img", "inpaint"]
    )  # type: ignore[assignment]

    def made(mode: Mode, width: int, steps: int, seed: int, quality: Quality, guidance: float) -> Work:
        given = () if mode == "generate" else PICTURES[seed % 2 :] if mode == "edit" else (picture(1),)
        drawn = mask() if mode == "inpaint" else None
        return Work(
            ("a cat", "two dogs")[seed % 2], width, 128, steps, seed, guidance, mode=mode, strength=0.7,
            pictures=given, mask=drawn, quality=quality, true_cfg_scale=guidance,
            negative_prompt="rain" if kind != "klein-kv" and seed % 3 == 0 else None,
        )  # fmt: skip

    return st.builds(
        made,
        mode=st.sampled_from(modes),
        width=st.sampled_from([128, 144]),
        steps=st.integers(1, 3),
        seed=st.sampled_from([0, 1]),
        quality=st.sampled_from(["exact", "fast"]),
        guidance=st.sampled_from([1.0, 3.0]),
    )


def guests(kind: str) -> st.SearchStrategy[list[Guest]]:
    comes, leaves = st.integers(1, CONDUCTOR_STEPS), st.none() | st.integers(1, 3)
    return st.lists(st.builds(Guest, works(kind), comes, leaves), min_size=1, max_size=4)


@pytest.mark.parametrize("kind", ["klein-base", "klein-kv", "flux1-dev"])
def test_any_coming_and_going_gives_the_pictures_that_there_are_alone(weights: Weights, kind: str) -> None:
    folder = weights(kind)

    painted: dict[tuple[object, ...], Image.Image] = {}

    def expected(work: Work) -> Image.Image:
        named = (work.prompt, work.mode, work.width, work.steps, work.seed, work.quality, work.guidance)
        if named not in painted:
            with running(folder, threshold=0.5) as engine:
                painted[named] = send(engine, Ear(work))[0].picture()
        return painted[named]

    first = Work("the first", 128, 128, CONDUCTOR_STEPS, 5, 3.0)
    with running(folder, threshold=0.5) as engine:  # one for all: what one schedule leaves would spoil the next

        @given(invited=guests(kind))
        @settings(max_examples=10)
        def holds(invited: list[Guest]) -> None:
            ears, conductor = [Ear(guest.work) for guest in invited], Ear(first)
            for step in range(1, CONDUCTOR_STEPS + 1):
                coming = [ear for ear, guest in zip(ears, invited, strict=True) if guest.comes == step]
                conductor.after[step] = lambda coming=coming: send(engine, *coming)
            for ear, guest in zip(ears, invited, strict=True):
                if guest.leaves is not None:
                    ear.after[guest.leaves] = ear.cancel
            send(engine, conductor)
            assert far(conductor.picture(), expected(first)) <= 1
            for ear, guest in zip(ears, invited, strict=True):
                outcome = ear.outcome()
                if isinstance(outcome, Cancelled):
                    assert guest.leaves is not None
                else:
                    assert far(ear.picture(), expected(guest.work)) <= 1

        holds()


def test_the_picture_alone_is_that_of_the_helper_too(weights: Weights) -> None:
    """Two engines over the same weights agree to the last bit: what `alone` compares with is no accident."""
    work = Work("a cat", 128, 128, 2, 1, 1.0)
    assert far(alone(weights("klein"), work), alone(weights("klein"), work)) == 0
