"""Planning several pictures: the split into calls, and the seed of each picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from normalization.planner import plan
from normalization.rules import Profile, within
from normalization.vocabulary import Behavior
from tests.normalization.asking import request
from tests.normalization.profiles import (
    BATCHES,
    NEEDS_SEED,
    RATIO_ONLY,
    SEEDLESS,
    WORKER,
    entry,
    payloads,
    planned,
    rows,
)


@pytest.mark.parametrize(
    ("profile", "said", "groups"),
    [
        (SEEDLESS, {"n": 10}, [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]),
        (SEEDLESS, {"n": 7}, [(0, 1, 2, 3), (4, 5, 6)]),
        (SEEDLESS, {"n": 4}, [(0, 1, 2, 3)]),
        (SEEDLESS, {}, [(0,)]),
        (RATIO_ONLY, {"n": 3}, [(0,), (1,), (2,)]),
        (WORKER, {"n": 6}, [(0, 1, 2, 3), (4, 5)]),
        (WORKER, {"n": 3, "seed": 7}, [(0,), (1,), (2,)]),
        (WORKER, {"n": 3, "seed": -1}, [(0, 1, 2)]),
        (BATCHES, {"n": 6, "seed": 7}, [(0, 1, 2, 3), (4, 5)]),
        (NEEDS_SEED, {"n": 3}, [(0,), (1,), (2,)]),
    ],
)
def test_pictures_are_split_into_calls(profile: Profile, said: dict[str, Any], groups: list[tuple[int, ...]]) -> None:
    assert [call.places for call in planned(profile, said).calls] == groups


@pytest.mark.parametrize(
    ("profile", "said", "counts", "expected"),
    [
        (SEEDLESS, {"n": 10}, [4, 4, 2], ("emulated", [4, 4, 2], None)),
        (SEEDLESS, {"n": 3}, [3], ("renamed", 3, None)),
        (SEEDLESS, {"n": 1}, [1], ("renamed", 1, None)),
        (BATCHES, {"n": 2}, [2], ("passthrough", 2, None)),
        (BATCHES, {"n": 5}, [4, 1], ("emulated", [4, 1], None)),
    ],
)
def test_each_call_asks_for_its_share(
    profile: Profile, said: dict[str, Any], counts: list[int], expected: tuple[str, Any, None]
) -> None:
    made = planned(profile, said)
    assert [payload[str(profile.count.to)] for payload in payloads(made)] == counts
    behavior, sent, note = expected
    assert entry(made, "n") == (Behavior(behavior), sent, note)


def test_a_provider_of_single_pictures_is_never_told_a_count() -> None:
    made = planned(RATIO_ONLY, n=2)
    assert payloads(made) == [{"prompt": "a fox"}] * 2
    assert entry(made, "n") == (Behavior.EMULATED, None, None)
    assert "count" not in payloads(planned(SEEDLESS))[0]


def test_picture_i_is_made_with_seed_plus_i_modulo_2_to_the_32() -> None:
    made = planned(WORKER, n=3, seed=2**32 - 2)
    assert [call.payload["seed"] for call in made.calls] == [2**32 - 2, 2**32 - 1, 0]
    assert [call.seeds for call in made.calls] == [(2**32 - 2,), (2**32 - 1,), (0,)]


def test_a_batch_whose_seeds_count_up_is_told_its_first() -> None:
    made = planned(BATCHES, n=6, seed=2**32 - 2)
    assert [call.payload["seed"] for call in made.calls] == [2**32 - 2, 2]
    assert [call.seeds for call in made.calls] == [(2**32 - 2, 2**32 - 1, 0, 1), (2, 3)]


def test_places_still_to_be_filled_keep_their_seeds() -> None:
    asked = request(n=6, seed=10)
    again = plan(asked, BATCHES, name="openai", wanted=(1, 2, 4))
    assert [(call.places, call.payload["seed"], call.payload["n"]) for call in again.calls] == [
        ((1, 2), 11, 2),
        ((4,), 14, 1),
    ]
    without = plan(request(n=6), BATCHES, name="openai", wanted=(1, 2, 4))
    assert [call.places for call in without.calls] == [(1, 2, 4)]
    assert plan(asked, BATCHES, name="openai", wanted=()).calls == ()


@pytest.mark.parametrize(
    ("said", "sent", "note"),
    [
        ({"seed": 7}, 7, None),
        ({"seed": "7"}, 7, None),
        ({"seed": 2**32 - 1}, 2**32 - 1, None),
        ({"seed": 2**32 + 5}, 5, "seeds are below 2^32: 5 is sent, the value modulo 2^32"),
        ({"seed": str(2**70 + 9)}, 9, "seeds are below 2^32: 9 is sent, the value modulo 2^32"),
        ({"seed": -1}, None, None),
    ],
)
def test_a_seed_is_reported_with_a_note_only_when_it_had_to_be_reduced(
    said: dict[str, Any], sent: int | None, note: str | None
) -> None:
    behavior = Behavior.CONVERTED if said["seed"] == -1 else Behavior.PASSTHROUGH
    assert entry(planned(WORKER, said), "seed") == (behavior, sent, note)


def test_a_seed_where_there_is_none_is_dropped_and_the_pictures_are_made_together() -> None:
    made = planned(SEEDLESS, seed=7, n=3)
    assert entry(made, "seed") == (Behavior.DROPPED, None, "the provider draws its own seeds")
    assert [call.seeds for call in made.calls] == [(None, None, None)]


def test_a_provider_that_draws_no_seed_gets_the_doors() -> None:
    assert [call.payload["seed"] for call in planned(NEEDS_SEED, n=2).calls] == [0, 1]
    drawn = plan(replace(request(seed=-1), draw=99), NEEDS_SEED, name="sketch")
    assert drawn.calls[0].payload["seed"] == 99
    assert entry(drawn, "seed") == (Behavior.PASSTHROUGH, 99, None)


def test_a_seed_in_the_providers_own_range_is_told_so() -> None:
    profile = replace(RATIO_ONLY, rows=rows(seed=within("seed", 0, 1000)))
    assert entry(planned(profile, seed=2000), "seed")[2] == "the provider takes 0 to 1000: 1000 is sent"


def test_a_single_picture_left_over_is_not_counted_where_nobody_said_a_count() -> None:
    made = plan(request(defaults={"n": 5}), SEEDLESS, name="plain")
    assert payloads(made) == [{"prompt": "a fox", "count": 4}, {"prompt": "a fox"}]
