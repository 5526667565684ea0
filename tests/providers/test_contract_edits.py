"""What every provider of the registry promises of edits, tested once for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from normalization.capabilities import capabilities
from normalization.payload import shape_paths
from normalization.plan import Call, Plan
from normalization.planner import obstacle
from normalization.rules import ROWS
from normalization.vocabulary import Behavior, ImageRequest, Picture, Size
from providers.base import Options, Pending, Provider, WireReply, WireRequest
from providers.registry import PROVIDERS
from tests.given import picture_of
from tests.providers import golden
from tests.providers.conversing import ATTEMPT, SECRET, carried, edited, first, leaves

GENERIC = "nobody/knows-this-model"
PICTURES_MOST = 16

# Whatever bytes: adapters never look into them, and no encoder's version is on record.
PHOTO = picture_of(b"the bytes of a photo", size=Size(64, 48))
MASK = picture_of(b"the bytes of a mask", size=Size(64, 48))

EDITORS = [
    (kind, model)
    for kind, adapter in PROVIDERS.items()
    for model in (*adapter.known_models, GENERIC)
    if "edit" in adapter(Options()).profile(model, 1).operations
]
WIRED = [(kind, model) for kind, model in EDITORS if PROVIDERS[kind].base_url != ""]
"""Those that send requests; the others draw here, and are tested in their own files."""

REQUESTS: dict[str, dict[str, Any]] = {
    "one picture": {},
    "three with seeds": {"n": 3, "seed": 4294967295},
    "with a mask": {"mask": MASK},
    "everything": {
        "size": "1000x777",
        "negative_prompt": "blurry",
        "seed": 7,
        "quality": "high",
        "guidance": 3.5,
        "strength": 0.5,
        "input_fidelity": "high",
        "background": "opaque",
        "safety_tolerance": 2,
        "prompt_upsampling": True,
        "enable_safety_checker": True,
        "user": "someone",
        "output_format": "webp",
        "output_compression": 60,
        "an_extra": {"of": ["ours", True, 2.5]},
    },
}


def adapter_of(kind: str) -> Provider:
    return PROVIDERS[kind](Options(name="p"))


def plan_of(kind: str, model: str, *pictures: Picture, **body: Any) -> Plan:
    return edited(adapter_of(kind), model, pictures or (PHOTO,), **body)


def several(most: int) -> tuple[Picture, ...]:
    return tuple(picture_of(b"picture %d" % number, size=Size(64, 48)) for number in range(most))


def requests(kind: str, plan: Plan) -> list[WireRequest]:
    return [first(adapter_of(kind), call) for call in plan.calls]


@pytest.mark.parametrize(("kind", "model"), EDITORS)
def test_every_model_that_edits_has_a_whole_profile(kind: str, model: str) -> None:
    profile = adapter_of(kind).profile(model, 1)
    assert (profile.provider, profile.model) == (kind, model)
    assert set(profile.rows) == set(ROWS)
    assert profile.operations == ("edit",)
    assert 1 <= profile.input_images_max <= PICTURES_MOST
    assert profile.mask in ("native", "emulated")
    assert capabilities(profile)["input_images_max"] == profile.input_images_max


@pytest.mark.parametrize("kind", PROVIDERS)
def test_without_pictures_nothing_is_edited(kind: str) -> None:
    adapter = adapter_of(kind)
    for model in (*adapter.known_models, GENERIC):
        assert set(adapter.profile(model).operations) <= {"generate"}


@pytest.mark.parametrize(("kind", "model"), EDITORS)
def test_more_pictures_than_a_model_takes_are_an_obstacle_and_not_cut(kind: str, model: str) -> None:
    adapter = adapter_of(kind)
    most = adapter.profile(model, 1).input_images_max
    for count, fits in ((1, True), (most, True), (most + 1, False)):
        request = ImageRequest(prompt="a red fox", model="m", operation="edit", pictures=several(count))
        assert (obstacle(request, adapter.profile(model, count)) is None) is fits


@pytest.mark.parametrize(("kind", "model"), WIRED)
def test_what_was_not_said_never_reaches_the_wire(kind: str, model: str) -> None:
    profile = adapter_of(kind).profile(model, 1)
    said = {path for path, _ in profile.constants} | {way.to for way in profile.rows["prompt"]}
    said |= shape_paths(profile.offers) | set(profile.offers.matching or ())
    if profile.output.always:
        said.add(profile.output.to)
    if profile.needs_seed:
        said |= {way.to for way in profile.rows["seed"]}
    (call,) = plan_of(kind, model).calls
    assert set(leaves(call.payload)) <= said
    assert None not in leaves(call.payload).values()


@pytest.mark.parametrize(("kind", "model"), WIRED)
def test_pictures_of_one_seeded_request_differ_in_their_seed_alone(kind: str, model: str) -> None:
    plan = plan_of(kind, model, n=3, seed=4294967295)
    to = adapter_of(kind).profile(model, 1).rows["seed"][0].to
    if to is None:
        return
    assert [call.seeds for call in plan.calls] == [(4294967295,), (0,), (1,)]
    sent = [leaves(call.payload) for call in plan.calls]
    assert [fields.pop(to) for fields in sent] == [4294967295, 0, 1]
    assert sent[0] == sent[1] == sent[2]
    assert [carried(request) for request in requests(kind, plan)] == [[PHOTO]] * 3


@pytest.mark.parametrize(("kind", "model"), WIRED)
def test_every_picture_is_carried_once_and_in_order(kind: str, model: str) -> None:
    most = adapter_of(kind).profile(model, 1).input_images_max
    for count in {1, min(2, most), most}:
        given = several(count)
        (request,) = requests(kind, plan_of(kind, model, *given))
        # What is uploaded goes one at a time, and buys nothing.
        assert carried(request) == list(given if request.purpose == "submit" else given[:1])


@pytest.mark.parametrize(("kind", "model"), WIRED)
def test_a_mask_is_sent_where_there_is_a_field_for_it_and_laid_here_where_there_is_none(kind: str, model: str) -> None:
    native = adapter_of(kind).profile(model, 1).mask == "native"
    plan = plan_of(kind, model, mask=MASK)
    (request,) = requests(kind, plan)
    assert (MASK in carried(request)) is native
    assert (plan.finish.composite is None) is native
    (entry,) = [entry for entry in plan.applied if entry.name == "mask"]
    assert entry.behavior is (Behavior.PASSTHROUGH if native else Behavior.EMULATED)


@pytest.mark.parametrize(("kind", "model"), WIRED)
@pytest.mark.parametrize(("name", "values"), [("strength", (0.01, 0.5, 1.0)), ("input_fidelity", ("low", "high"))])
def test_what_only_an_edit_has_is_sent_as_said_or_dropped_with_a_note(
    kind: str, model: str, name: str, values: tuple[Any, ...]
) -> None:
    for value in values:
        plan = plan_of(kind, model, **{name: value})
        (entry,) = [entry for entry in plan.applied if entry.name == name]
        fields = {way.to for way in adapter_of(kind).profile(model, 1).rows[name] if way.to}
        written = [sent for path, sent in leaves(plan.calls[0].payload).items() if path in fields]
        assert (entry.note is None) == (written == [value] or entry.behavior is Behavior.EMULATED)


@pytest.mark.parametrize(("kind", "model"), WIRED)
def test_how_the_answer_travels_is_never_the_providers_business(kind: str, model: str) -> None:
    for body in REQUESTS.values():
        for request in requests(kind, plan_of(kind, model, **body)):
            names = {path.rsplit(".", 1)[-1] for path in leaves(request.json or {})}
            names |= {part[0] for part in request.form or () if isinstance(part, tuple)}
            assert names.isdisjoint({"response_format", "stream", "partial_images"})


@pytest.mark.parametrize(("kind", "model"), WIRED)
def test_submitting_is_pure_and_keeps_the_key_and_the_pictures_out_of_sight(kind: str, model: str) -> None:
    adapter = adapter_of(kind)
    (call,) = plan_of(kind, model, seed=7, mask=MASK).calls
    one, other = first(adapter, call), first(adapter, call)
    assert one == other
    assert (one.method, one.json is None) == ("POST", one.form is not None)
    adapter.headers(SECRET)
    assert SECRET not in repr(one) + repr(vars(adapter))
    assert "the bytes of" not in repr(one)
    assert (ATTEMPT in one.headers.values()) == (adapter.traits.idempotent_submit and one.purpose == "submit")


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in WIRED}))
def test_edits_are_those_on_record(kind: str) -> None:
    recorded: dict[str, Any] = {}
    for model in (model for of, model in WIRED if of == kind):
        asked = {name: body for name, body in REQUESTS.items() if not recorded or name == "everything"}
        recorded[model] = {name: _recorded(kind, model, body, (PHOTO,)) for name, body in asked.items()}
        if adapter_of(kind).profile(model, 1).input_images_max > 1:
            recorded[model]["three pictures"] = _recorded(kind, model, {}, several(3))
    golden.check(kind, "edits", recorded)


def _recorded(kind: str, model: str, body: dict[str, Any], given: tuple[Picture, ...]) -> dict[str, Any]:
    plan = plan_of(kind, model, *given, **body)
    said = {name: value.entry() if isinstance(value, Picture) else value for name, value in body.items()}
    return {
        "request": {**said, "pictures": [picture.entry() for picture in given]},
        "sent": [golden.sent(request) for call in plan.calls for request in _to_the_end(kind, call)],
        "finish": plan.finish.steps(),
        "parameters": [entry.entry() for entry in plan.applied],
    }


def _to_the_end(kind: str, call: Call) -> Iterator[WireRequest]:
    """What is sent for a call, uploads first; each is answered as `upload.json` says."""
    request = first(adapter_of(kind), call)
    while request.purpose == "upload":
        yield request
        reply = WireReply(200, json.dumps(golden.load(kind, "upload")).encode())
        pending = adapter_of(kind).read(reply, request, call)
        assert isinstance(pending, Pending)
        assert pending.job is None
        request = pending.next
    yield request
