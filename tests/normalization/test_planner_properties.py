"""What holds for every plan: it is pure, complete in its receipt, honest in its notes, and sends nothing unasked."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from normalization.geometry import Offers
from normalization.planner import SEEDS, plan
from normalization.reading import DELIVERY
from normalization.rules import (
    EDIT_ONLY,
    NEVER_DEGRADED,
    ROWS,
    Count,
    Output,
    Profile,
    Row,
    one_of,
    same,
    unsupported,
    within,
)
from normalization.vocabulary import Behavior, ImageRequest
from tests.normalization.asking import request
from tests.normalization.offers import ALL_OFFERS, EXACT
from tests.normalization.profiles import PROFILES

SAID: dict[str, st.SearchStrategy[Any]] = {
    "n": st.integers(1, 10),
    "size": st.sampled_from(["auto", "640x480", "1024x1024", "16:9", "4:3"]),
    "aspect_ratio": st.sampled_from(["auto", "16:9", "4:3", "7:1"]),
    "resolution": st.sampled_from(["auto", "1K", "3K", "2 MP", 0.25]),
    "seed": st.integers(-1, 2**33),
    "negative_prompt": st.just("blur"),
    "steps": st.integers(1, 1000),
    "guidance": st.floats(0, 100),
    "strength": st.floats(0.01, 1),
    "quality": st.sampled_from(["low", "medium", "hd", "auto"]),
    "style": st.sampled_from(["vivid", "natural"]),
    "background": st.sampled_from(["transparent", "opaque", "auto"]),
    "moderation": st.sampled_from(["low", "auto"]),
    "input_fidelity": st.sampled_from(["low", "high"]),
    "safety_tolerance": st.integers(0, 6),
    "prompt_upsampling": st.booleans(),
    "enable_safety_checker": st.booleans(),
    "sync_mode": st.booleans(),
    "user": st.just("u-1"),
    "safety_identifier": st.just("s-1"),
    "output_format": st.sampled_from(["png", "jpg", "webp", "gif"]),
    "output_quality": st.integers(0, 100),
    "output_compression": st.integers(0, 100),
    "go_fast": st.booleans(),
    "provider_options": st.just({"apiframe": {"lora": "a"}}),
}
REQUESTS = st.fixed_dictionaries({}, optional=SAID).map(request)
ANY_PROFILE = st.sampled_from(sorted(PROFILES)).map(PROFILES.__getitem__)


def recorder(offers: Offers, count: Count) -> Profile:
    """A provider that has a field of its own for everything, some of them narrower than ours."""
    rows: dict[str, Row] = {name: same(f"rows.{name}") for name in ROWS}
    rows |= {
        "steps": within("rows.steps", 15, 50),
        "guidance": within("rows.guidance", 2, 5),
        "safety_tolerance": within("rows.safety_tolerance", 1, 5),
        "quality": one_of("rows.quality", {"low": "low", "hd": "high"}, unsupported("no such quality")),
        "seed": same("rows.seed"),
    }
    return Profile("recorder", "r", rows, offers, count=count, output=Output("output_format"))


RECORDERS = st.builds(
    recorder,
    st.sampled_from(sorted(ALL_OFFERS)).map(ALL_OFFERS.__getitem__),
    st.sampled_from([Count(), Count("count", 4), Count("count", 4, batch_seeds=True)]),
)


def paths(value: Any, path: str = "") -> Iterator[str]:
    """Every leaf of a payload."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from paths(item, f"{path}.{key}" if path else key)
    else:
        yield path


@given(REQUESTS, ANY_PROFILE | RECORDERS)
def test_a_plan_is_a_pure_function(asked: ImageRequest, profile: Profile) -> None:
    before = copy.deepcopy(asked)
    assert plan(asked, profile, name="apiframe") == plan(asked, profile, name="apiframe")
    assert asked == before


@given(REQUESTS, ANY_PROFILE | RECORDERS)
def test_everything_said_has_one_entry_in_the_receipt(asked: ImageRequest, profile: Profile) -> None:
    made = plan(asked, profile, name="apiframe")
    expected = [name for name in asked.said if name not in (*DELIVERY, "model")]
    expected += [
        *asked.extra,
        *(f"provider_options.apiframe.{key}" for key in asked.provider_options.get("apiframe", {})),
    ]
    assert Counter(entry.name for entry in made.applied) == Counter(expected)


@given(REQUESTS, ANY_PROFILE | RECORDERS)
def test_entries_keep_to_the_meaning_of_their_behaviour(asked: ImageRequest, profile: Profile) -> None:
    made = plan(asked, profile, name="apiframe")
    assert made.lossless == (not [entry for entry in made.applied if entry.note])
    for entry in made.applied:
        assert entry.note != ""
        if entry.behavior is Behavior.DROPPED:
            assert entry.sent is None
            assert entry.note is not None
        if entry.behavior in (Behavior.PASSTHROUGH, Behavior.RENAMED) and entry.name in ROWS:
            assert entry.sent == (asked.seed if entry.name == "seed" else getattr(asked, entry.name))
        if entry.name in NEVER_DEGRADED:
            assert entry.note is None


@given(REQUESTS, RECORDERS)
def test_unset_parameters_never_reach_a_payload(asked: ImageRequest, profile: Profile) -> None:
    said = {name for name in asked.said if name in ROWS} - EDIT_ONLY
    if asked.seed is None:
        said.discard("seed")
    for call in plan(asked, profile, name="apiframe").calls:
        written = set(paths(call.payload))
        quality = {"rows.quality"} if asked.quality not in ("low", "hd") else set()
        assert {path for path in written if path.startswith("rows.")} == {f"rows.{name}" for name in said} - quality
        assert ("output_format" in written) == ("output_format" in asked.said)
        if not asked.shape.said or (
            asked.shape.size is None and asked.shape.ratio is None and asked.shape.tier is None
        ):
            assert written.isdisjoint({"width", "height", "size", "aspect_ratio", "shape.ratio", "shape.resolution"})
        assert ("count" in written) == (profile.count.to is not None and ("n" in asked.said or call.images > 1))


@given(REQUESTS)
def test_a_note_is_there_exactly_when_what_is_sent_means_something_else(asked: ImageRequest) -> None:
    made = plan(asked, recorder(Offers(grid=EXACT), Count()), name="apiframe")
    for entry in made.applied:
        if entry.name == "seed":
            assert (entry.note is None) == (asked.seed is None or entry.requested == asked.seed)
        elif entry.name in ROWS and entry.name not in (*EDIT_ONLY, "quality", "background"):
            assert (entry.note is None) == (entry.sent == getattr(asked, entry.name))
        elif entry.name == "quality":
            assert (entry.note is None) == (asked.quality in ("low", "hd", "auto"))


@given(REQUESTS, RECORDERS)
def test_every_picture_is_made_once_and_with_a_seed_of_its_own(asked: ImageRequest, profile: Profile) -> None:
    made = plan(asked, profile, name="apiframe")
    assert [place for call in made.calls for place in call.places] == list(range(asked.n))
    assert all(1 <= call.images <= profile.count.most for call in made.calls)
    if asked.seed is None:
        assert {seed for call in made.calls for seed in call.seeds} == {None}
        return
    seeds = [seed for call in made.calls for seed in call.seeds]
    assert seeds == [(asked.seed + place) % SEEDS for place in range(asked.n)]
    for call in made.calls:
        assert call.payload["rows"]["seed"] == call.seeds[0]
        assert call.images == 1 or profile.count.batch_seeds


@given(REQUESTS, RECORDERS, st.sets(st.integers(0, 9)))
def test_a_plan_for_some_places_makes_the_same_pictures_there(
    asked: ImageRequest, profile: Profile, places: set[int]
) -> None:
    wanted = sorted(places & set(range(asked.n)))
    whole = {
        place: seed
        for call in plan(asked, profile, name="a").calls
        for place, seed in zip(call.places, call.seeds, strict=True)
    }
    some = plan(asked, profile, name="a", wanted=wanted)
    assert {place: seed for call in some.calls for place, seed in zip(call.places, call.seeds, strict=True)} == {
        place: whole[place] for place in wanted
    }
