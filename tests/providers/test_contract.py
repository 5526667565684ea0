"""What every provider of the registry promises, tested once for all of them: a new one gets these tests for free."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from normalization.capabilities import capabilities
from normalization.payload import nested
from normalization.plan import Plan
from normalization.rules import MEANS_DEFAULT, NEVER_DEGRADED, ROWS
from normalization.vocabulary import Applied, Behavior, Size
from providers.base import Artifact, Done, Failed, Options, Pending, Provider, WireReply, WireRequest
from providers.registry import PROVIDERS
from tests.providers import golden
from tests.providers.conversing import ATTEMPT, SECRET, call_of, first, leaves, planned

GENERIC = "nobody/knows-this-model"
LOOK = WireRequest("GET", "/v2/jobs/j-1", purpose="poll")

WIRED = [kind for kind, adapter in PROVIDERS.items() if adapter.base_url != ""]
"""Those that send requests; the others draw here, and are tested in their own files."""

MODELS = [
    (kind, model)
    for kind in PROVIDERS
    for model in (*PROVIDERS[kind].known_models, GENERIC)
    if "generate" in PROVIDERS[kind](Options()).profile(model).operations
]
"""Those that make pictures from a prompt; what edits has a file of its own."""

WIRED_MODELS = [(kind, model) for kind, model in MODELS if kind in WIRED]
REPLIES = [(kind, reply) for kind in WIRED for reply in golden.load(kind, "replies")]

REQUESTS: dict[str, dict[str, Any]] = {
    "prompt alone": {},
    "exact size": {"size": "1000x777", "output_format": "jpeg", "output_quality": 80},
    "ratio and tier": {"aspect_ratio": "21:9", "resolution": "2K", "output_format": "avif"},
    "ten": {"n": 10},
    "three with seeds": {"n": 3, "seed": 4294967295},
    "everything": {
        "size": "16:9",
        "negative_prompt": "blurry",
        "seed": 7,
        "quality": "high",
        "guidance": 3.5,
        "style": "vivid",
        "background": "opaque",
        "moderation": "low",
        "safety_tolerance": 2,
        "prompt_upsampling": True,
        "enable_safety_checker": True,
        "sync_mode": False,
        "user": "someone",
        "safety_identifier": "someone",
        "output_format": "webp",
        "output_compression": 60,
        "true_cfg_scale": 2.0,
        "an_extra": {"of": ["ours"]},
    },
}

SAMPLES: dict[str, tuple[Any, ...]] = {
    "negative_prompt": ("blurry",),
    "seed": (0, 7, 4294967295),
    "quality": ("low", "medium", "high", "xhigh", "max", "auto", "standard", "hd"),
    "steps": (1, 4, 15, 28, 50, 1000),
    "guidance": (0.0, 1.0, 2.5, 5.0, 10.0, 100.0),
    "style": ("vivid",),
    "background": ("transparent", "opaque", "auto"),
    "moderation": ("low", "auto"),
    "safety_tolerance": (0, 1, 2, 5, 6),
    "prompt_upsampling": (True, False),
    "enable_safety_checker": (True, False),
    "sync_mode": (True, False),
    "user": ("someone",),
    "safety_identifier": ("someone",),
}
NUMBERS = ("steps", "guidance", "safety_tolerance", "seed")


def adapter_of(kind: str) -> Provider:
    return PROVIDERS[kind](Options(name="p"))


def entry_of(plan: Plan, name: str) -> Applied:
    (entry,) = [entry for entry in plan.applied if entry.name == name]
    return entry


def reply_of(recorded: dict[str, Any]) -> WireReply:
    body = recorded["text"].encode() if "text" in recorded else json.dumps(recorded["body"]).encode()
    return WireReply(recorded["status"], body, recorded.get("headers", {}))


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_provider_goes_by_the_name_of_its_line(kind: str) -> None:
    adapter = adapter_of(kind)
    assert adapter.type == kind
    assert len(set(adapter.known_models)) == len(adapter.known_models)
    assert adapter.base_url is None or not adapter.base_url.endswith("/")


@pytest.mark.parametrize(("kind", "model"), MODELS)
def test_every_model_has_a_whole_profile(kind: str, model: str) -> None:
    profile = adapter_of(kind).profile(model)
    assert (profile.provider, profile.model) == (kind, model)
    assert set(profile.rows) == set(ROWS)
    assert "generate" in profile.operations
    assert capabilities(profile)["operations"]


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
def test_what_was_not_said_never_reaches_the_wire(kind: str, model: str) -> None:
    adapter = adapter_of(kind)
    profile = adapter.profile(model)
    said = {path for path, _ in profile.constants} | {way.to for way in profile.rows["prompt"]}
    if profile.output.always:
        said.add(profile.output.to)
    if profile.offers.default is not None and profile.offers.grid is not None:
        said |= set(profile.offers.grid.write(Size(1024, 1024)))
    sent = leaves(call_of(adapter, model).payload)
    assert set(sent) <= said
    assert None not in sent.values()


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
def test_pictures_of_one_seeded_request_differ_in_their_seed_alone(kind: str, model: str) -> None:
    adapter = adapter_of(kind)
    plan = planned(adapter, model, n=3, seed=4294967295)
    to = adapter.profile(model).rows["seed"][0].to
    if to is None:
        assert entry_of(plan, "seed").note
        return
    assert [call.seeds for call in plan.calls] == [(4294967295,), (0,), (1,)]
    sent = [leaves(call.payload) for call in plan.calls]
    assert [fields.pop(to) for fields in sent] == [4294967295, 0, 1]
    assert sent[0] == sent[1] == sent[2]


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_note_is_there_exactly_when_the_caller_gets_something_else(kind: str, model: str, name: str) -> None:
    adapter = adapter_of(kind)
    bare = leaves(call_of(adapter, model).payload)
    for value in SAMPLES[name]:
        plan = planned(adapter, model, **{name: value})
        entry = entry_of(plan, name)
        sent = leaves(plan.calls[0].payload)
        fields = {path for row in adapter.profile(model).rows[name] for path in [row.to] if path}
        written = {path: sent[path] for path in fields & set(sent) if path not in bare or sent[path] != bare[path]}
        _check_entry(entry, name, value, written)


def _check_entry(entry: Applied, name: str, value: Any, written: dict[str, Any]) -> None:
    told = f"{name}={value!r}: {entry}, written {written}"
    match entry.behavior:
        case Behavior.PASSTHROUGH | Behavior.RENAMED:
            assert entry.note is None, told
            assert not written or list(written.values()) == [value], told
        case Behavior.CONVERTED if name in NUMBERS:
            assert (entry.note is not None) == (list(written.values()) != [value]), told
        case Behavior.CONVERTED:
            means_default = value in MEANS_DEFAULT.get(name, ())
            assert written or means_default or name in NEVER_DEGRADED or entry.sent is not None, told
        case Behavior.EMULATED:
            assert entry.note is None, told
            assert not written, told
        case Behavior.DROPPED:
            assert entry.note, told
            assert not written, told


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
@pytest.mark.parametrize("tolerance", range(7))
def test_safety_is_never_loosened_in_silence(kind: str, model: str, tolerance: int) -> None:
    adapter = adapter_of(kind)
    plan = planned(adapter, model, safety_tolerance=tolerance)
    sent = [value for path, value in leaves(plan.calls[0].payload).items() if path.endswith("safety_tolerance")]
    if sent and sent[0] > tolerance:
        assert entry_of(plan, "safety_tolerance").note


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
def test_how_the_answer_travels_is_never_the_providers_business(kind: str, model: str) -> None:
    for body in REQUESTS.values():
        for call in planned(adapter_of(kind), model, **body).calls:
            names = {path.rsplit(".", 1)[-1] for path in leaves(call.payload)}
            assert names.isdisjoint({"response_format", "stream", "partial_images"})


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
def test_submitting_is_pure(kind: str, model: str) -> None:
    adapter = adapter_of(kind)
    call = call_of(adapter, model, seed=7, size="512x512")
    before = copy.deepcopy(call.payload)
    one, other = first(adapter, call), first(adapter, call)
    assert one == other
    assert (one.method, one.purpose, one.form) == ("POST", "submit", None)
    assert one.path.startswith("/")
    assert one.json == call.payload == before
    assert json.loads(json.dumps(one.json)) == one.json


@pytest.mark.parametrize("kind", WIRED)
def test_requests_are_those_on_record(kind: str) -> None:
    adapter = adapter_of(kind)
    models = [model for of, model in MODELS if of == kind]
    recorded = {
        model: {
            name: _recorded(adapter, model, body)
            for name, body in REQUESTS.items()
            if model == models[0] or name == "everything"
        }
        for model in models
    }
    golden.check(kind, "requests", recorded)


def _recorded(adapter: Provider, model: str, body: dict[str, Any]) -> dict[str, Any]:
    plan = planned(adapter, model, **body)
    requests = [first(adapter, call) for call in plan.calls]
    return {
        "request": body,
        "sent": [golden.sent(each) for each in requests],
        "finish": plan.finish.steps(),
        "parameters": [entry.entry() for entry in plan.applied],
    }


@pytest.mark.parametrize(("kind", "recorded"), REPLIES, ids=[f"{kind}: {reply['name']}" for kind, reply in REPLIES])
def test_recorded_replies_mean_what_is_on_record(kind: str, recorded: dict[str, Any]) -> None:
    adapter = adapter_of(kind)
    call = call_of(adapter, adapter.known_models[0] if adapter.known_models else GENERIC)
    sent = LOOK if recorded.get("to") == "poll" else first(adapter, call)
    match adapter.read(reply_of(recorded), sent, call):
        case Done() as done:
            assert recorded["meaning"] == "done"
            assert [_shown(artifact) for artifact in done.artifacts] == recorded["pictures"]
            assert done.cost_micros == recorded.get("cost_micros")
            if "usage" in recorded:
                assert done.usage == recorded["usage"]
        case Pending() as pending:
            assert recorded["meaning"] == "pending"
            assert pending.job == recorded["job"]
            assert (pending.next.method, pending.next.purpose) == ("GET", "poll")
            assert pending.next.path.endswith(f"/{recorded['job']}")
        case Failed() as failed:
            assert (failed.outcome, failed.refused) == (recorded["meaning"], recorded["refused"])
            assert failed.error.retry_after == recorded.get("retry_after")


def _shown(artifact: Artifact) -> dict[str, Any]:
    return {"url": artifact.url} if artifact.data is None else {"bytes": len(artifact.data)}


JUNK: tuple[Any, ...] = (
    "9" * 5000,
    None,
    0,
    -1,
    1e308,
    True,
    "",
    " ",
    "x",
    "data:,",
    "../../x",
    [],
    [None],
    {},
    {"url": 7},
    [["x"]],
)


@pytest.mark.parametrize("kind", WIRED)
def test_no_answer_whatsoever_makes_an_adapter_raise(kind: str) -> None:
    adapter = adapter_of(kind)
    call = call_of(adapter, GENERIC)
    bodies = [
        b"",
        b"null",
        b"[]",
        b"0",
        b'"x"',
        b"\x00\xff",
        b"[" * 10_000,
        b'{"error": ' + b"[" * 900 + b"]" * 900 + b"}",
    ]
    for recorded in golden.load(kind, "replies"):
        if "body" in recorded:
            bodies += [json.dumps(damaged).encode() for damaged in _damaged(recorded["body"])]
    for body, status, sent in itertools.product(
        bodies, (200, 202, 302, 400, 404, 429, 500), (first(adapter, call), LOOK)
    ):
        reply = adapter.read(WireReply(status, body), sent, call)
        assert isinstance(reply, Done | Failed | Pending)
        if isinstance(reply, Done):
            assert reply.artifacts


def _damaged(value: Any) -> Iterator[Any]:
    """A body with each of its values replaced by junk, one at a time."""
    yield value
    for path, junk in itertools.product(_paths(value), JUNK):
        damaged = copy.deepcopy(value)
        place = damaged
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = junk
        yield damaged


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (step,)
        yield from ((step, *path) for path in _paths(inner))


@pytest.mark.parametrize("kind", PROVIDERS)
def test_the_key_is_in_the_headers_and_nowhere_else(kind: str) -> None:
    adapter = adapter_of(kind)
    assert adapter.headers(None) == {}
    headers = adapter.headers(SECRET)
    assert kind not in WIRED or SECRET in "".join(headers.values())
    assert SECRET not in repr(adapter) + repr(vars(adapter))
    if kind in WIRED:
        assert SECRET not in repr(first(adapter, call_of(adapter, GENERIC)))


@pytest.mark.parametrize("kind", WIRED)
def test_a_key_that_a_provider_echoes_is_told_to_nobody(kind: str) -> None:
    adapter = adapter_of(kind)
    call = call_of(adapter, GENERIC)
    said = f"Incorrect API key provided: {SECRET}. See https://provider.example/keys?k={SECRET}"
    for body, status in itertools.product(
        ({"error": {"message": said, "code": said}}, {"error": said}, {"message": said}, {"detail": said}, said),
        (200, 400, 401, 403, 404, 429, 500),
    ):
        reply = adapter.read(WireReply(status, json.dumps(body).encode()), first(adapter, call), call)
        assert isinstance(reply, Failed)
        error = reply.error
        for text in (str(error), repr(error), json.dumps(error.body()), error.detail, reply.outcome, repr(error.args)):
            assert SECRET not in text
            assert "provider.example" not in text


@pytest.mark.parametrize("kind", WIRED)
def test_a_repeatable_submission_carries_its_attempt(kind: str) -> None:
    adapter = adapter_of(kind)
    sent = first(adapter, call_of(adapter, GENERIC))
    assert (ATTEMPT in sent.headers.values()) == adapter.traits.idempotent_submit


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
def test_every_constant_is_where_the_payload_says(kind: str, model: str) -> None:
    profile = adapter_of(kind).profile(model)
    constants = nested(dict(profile.constants))
    payload = call_of(adapter_of(kind), model).payload
    assert leaves(constants).items() <= leaves(payload).items()
    assert any(str(value).startswith(model.partition("/multi")[0]) for value in leaves(payload).values())


@pytest.mark.parametrize("kind", PROVIDERS)
def test_what_a_provider_can_prove_is_consistent(kind: str) -> None:
    traits = asdict(adapter_of(kind).traits)
    assert traits["url_ttl"] >= 0
    assert traits["rps"] is None or traits["rps"] > 0
