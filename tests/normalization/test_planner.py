"""Planning: what is sent, what the caller is told became of each parameter, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from normalization.planner import kind, obstacle, plan
from normalization.rules import Count, Price, Profile, Way, converted, one_of, same, unsupported
from normalization.vocabulary import Behavior, Format, Size
from tests.normalization.asking import request
from tests.normalization.profiles import (
    BATCHES,
    PHOTO,
    RATIO_ONLY,
    SEEDLESS,
    WORKER,
    entry,
    payloads,
    planned,
    rows,
)


def test_unset_parameters_are_absent_from_the_payload() -> None:
    assert payloads(planned(RATIO_ONLY)) == [{"prompt": "a fox"}]
    assert payloads(planned(SEEDLESS)) == [{"prompt": "a fox"}]
    assert payloads(planned(WORKER)) == [
        {
            "model": "dev",
            "options": {"image": {"response_format": "b64_json", "output_format": "png"}},
            "input": "a fox",
        }
    ]


def test_a_whole_request_becomes_a_payload_and_a_receipt() -> None:
    made = planned(WORKER, negative_prompt="blur", size="1000x777", seed=7, steps=28, guidance=30, output_format="avif")
    assert payloads(made) == [
        {
            "model": "dev",
            "input": "a fox",
            "width": 1008,
            "height": 784,
            "seed": 7,
            "options": {
                "image": {
                    "response_format": "b64_json",
                    "negative_prompt": "blur",
                    "true_cfg_scale": 4.0,
                    "steps": 28,
                    "guidance_scale": 20,
                    "output_format": "png",
                }
            },
        }
    ]
    assert (made.finish.format, made.finish.fit, made.finish.slack) == (Format.AVIF, Size(1000, 777), 16)
    assert made.yields == Size(1008, 784)
    assert [(each.name, each.behavior.value, each.sent, each.note) for each in made.applied] == [
        ("prompt", "renamed", "a fox", None),
        ("size", "converted", {"width": 1008, "height": 784}, None),
        ("negative_prompt", "converted", {"negative_prompt": "blur", "true_cfg_scale": 4.0}, None),
        ("steps", "renamed", 28, None),
        ("guidance", "converted", 20, "the provider takes 0 to 20: 20 is sent"),
        ("output_format", "emulated", "png", None),
        ("seed", "passthrough", 7, None),
    ]
    assert [each.requested for each in made.applied] == ["a fox", "1000x777", "blur", 28, 30, "avif", 7]
    assert (made.provider, made.model, made.lossless) == ("apiframe", "dev", False)


def test_what_is_requested_is_shown_as_the_caller_wrote_it() -> None:
    made = planned(RATIO_ONLY, {"num_inference_steps": "20", "output_format": "jpg"})
    assert [(each.name, each.requested) for each in made.applied if each.name != "prompt"] == [
        ("steps", "20"),
        ("output_format", "jpg"),
    ]


def test_a_routes_default_is_sent_without_an_entry() -> None:
    made = plan(request(defaults={"steps": 60, "size": "16:9", "seed": 3, "n": 2}), RATIO_ONLY, name="relay")
    assert payloads(made) == [
        {"prompt": "a fox", "aspect_ratio": "16:9", "steps": 50, "seed": 3},
        {"prompt": "a fox", "aspect_ratio": "16:9", "steps": 50, "seed": 4},
    ]
    assert [each.name for each in made.applied] == ["prompt"]


@pytest.mark.parametrize(
    ("said", "behavior", "sent", "note"),
    [
        ({"steps": 20}, "passthrough", 20, None),
        ({"steps": 4}, "converted", 15, "the provider takes 15 to 50: 15 is sent"),
        ({"guidance": 5}, "passthrough", 5, None),
        ({"guidance": 7.5}, "converted", 5, "the provider takes 2 to 5: 5 is sent"),
        ({"safety_tolerance": "0"}, "converted", 1, "the provider takes 1 to 6: 1 is sent"),
        ({"style": "vivid"}, "renamed", "vivid", None),
        ({"negative_prompt": "blur"}, "dropped", None, "the provider has no negative prompt"),
        ({"quality": "high"}, "dropped", None, "the provider has one quality"),
        ({"quality": "auto"}, "converted", None, None),
        ({"background": "auto"}, "converted", None, None),
        ({"background": "transparent"}, "dropped", None, "the provider makes opaque pictures"),
        ({"moderation": "auto"}, "converted", None, None),
        ({"moderation": "low"}, "dropped", None, "the provider's moderation cannot be chosen"),
        ({"prompt_upsampling": False}, "passthrough", False, None),
        ({"user": "u-1"}, "emulated", None, None),
        ({"safety_identifier": "s-1"}, "emulated", None, None),
        ({"enable_safety_checker": False}, "emulated", None, None),
        ({"sync_mode": True}, "emulated", None, None),
        ({"strength": 0.5}, "dropped", None, "strength means something only with input pictures"),
        ({"input_fidelity": "high"}, "dropped", None, "input_fidelity means something only with input pictures"),
    ],
)
def test_what_becomes_of_one_value(said: dict[str, Any], behavior: str, sent: Any, note: str | None) -> None:
    made = planned(RATIO_ONLY, said)
    assert entry(made, next(iter(said))) == (Behavior(behavior), sent, note)
    assert made.lossless == (note is None)


def test_upsampling_that_is_not_wanted_is_no_loss_where_there_is_none() -> None:
    assert entry(planned(WORKER, prompt_upsampling=False), "prompt_upsampling") == (Behavior.CONVERTED, None, None)
    assert entry(planned(WORKER, prompt_upsampling=True), "prompt_upsampling")[0] is Behavior.DROPPED


def test_an_edit_sends_what_only_edits_have_and_its_pictures() -> None:
    asked = replace(request(strength=0.5), operation="edit", pictures=(PHOTO,), mask=PHOTO)
    made = plan(asked, replace(WORKER, mask="native"), name="gpu")
    assert made.calls[0].payload["options"]["image"]["strength"] == 0.5
    assert (made.calls[0].operation, made.calls[0].pictures, made.calls[0].mask) == ("edit", (PHOTO,), PHOTO)
    assert made.finish.composite is None


@pytest.mark.parametrize(
    ("form", "note"), [("png", None), ("jpeg", "jpeg holds no transparency: flattened on white"), ("webp", None)]
)
def test_transparency_in_a_format_that_holds_none_is_noted(form: str, note: str | None) -> None:
    profile = replace(WORKER, rows=rows(background=same("background")))
    assert entry(planned(profile, background="transparent", output_format=form), "background")[2] == note


def test_transparency_that_was_never_to_be_had_is_noted_once() -> None:
    made = planned(RATIO_ONLY, background="transparent", output_format="jpeg")
    assert entry(made, "background")[2] == "the provider makes opaque pictures"


def test_steps_win_over_quality_where_both_mean_steps() -> None:
    made = planned(WORKER, quality="low", steps=40)
    assert made.calls[0].payload["options"]["image"]["steps"] == 40
    assert entry(made, "quality") == (Behavior.DROPPED, None, "superseded by steps")
    assert entry(made, "steps")[2] is None
    alone = planned(WORKER, quality="low")
    assert alone.calls[0].payload["options"]["image"]["steps"] == 12
    assert entry(alone, "quality") == (Behavior.CONVERTED, 12, None)


def test_a_constant_gives_way_without_a_word() -> None:
    profile = replace(RATIO_ONLY, constants=(("steps", 30), ("prompt_upsampling", False)))
    made = planned(profile, steps=20)
    assert payloads(made) == [{"prompt": "a fox", "steps": 20, "prompt_upsampling": False}]
    assert made.lossless


@pytest.mark.parametrize(
    ("way", "name", "expected"),
    [
        (Way(Behavior.RENAMED, "seed"), "seed", Behavior.PASSTHROUGH),
        (Way(Behavior.RENAMED, "opts.seed"), "seed", Behavior.RENAMED),
        (Way(Behavior.RENAMED, "random_seed"), "seed", Behavior.RENAMED),
        (Way(Behavior.CONVERTED, "seed"), "seed", Behavior.CONVERTED),
        (Way(Behavior.DROPPED), "seed", Behavior.DROPPED),
    ],
)
def test_passthrough_is_the_same_value_in_a_field_of_the_same_name(way: Way, name: str, expected: Behavior) -> None:
    assert kind(way, name) is expected


@pytest.mark.parametrize(
    ("said", "micros"), [({}, 41_000), ({"n": 4}, 161_000), ({"n": 5}, 202_000), ({"n": 2, "seed": 1}, 81_000)]
)
def test_the_estimate_counts_the_split(said: dict[str, Any], micros: int) -> None:
    assert planned(BATCHES, said).cost_micros == micros


def test_a_picture_is_priced_by_what_is_generated() -> None:
    assert planned(WORKER, size="1024x1024").cost_micros == 10_000
    assert planned(WORKER, size="1025x1024").cost_micros == 20_000
    assert planned(WORKER).cost_micros == 10_000


def test_the_routes_price_is_over_the_profiles() -> None:
    asked = request()
    assert plan(asked, BATCHES, name="o", price=Price(usd_per_image=Decimal(1))).cost_micros == 1_000_000
    assert plan(asked, RATIO_ONLY, name="o").cost_micros is None


@pytest.mark.parametrize(
    ("profile", "changed", "why"),
    [
        (WORKER, {}, None),
        (RATIO_ONLY, {"operation": "edit"}, "max at relay cannot edit pictures"),
        (WORKER, {"prompt": "x" * 2000}, None),
        (WORKER, {"prompt": "x" * 2001}, "dev at worker takes prompts of at most 2000 characters"),
        (WORKER, {"operation": "edit", "pictures": (PHOTO,)}, None),
        (WORKER, {"operation": "edit", "pictures": (PHOTO, PHOTO)}, "dev at worker takes at most 1 input pictures"),
        (RATIO_ONLY, {"prompt": "x" * 32000}, None),
    ],
)
def test_why_a_model_cannot_serve_a_request_at_all(profile: Profile, changed: dict[str, Any], why: str | None) -> None:
    found = obstacle(replace(request(), **changed), profile)
    assert (None if found is None else found.why) == why


def test_a_row_that_needs_fields_beside_its_own_writes_them_all() -> None:
    row = converted("cfg", float, also=(("mode.cfg", True),))
    profile = replace(RATIO_ONLY, rows=rows(guidance=row, quality=one_of("speed", {"low": 1}, unsupported("no"))))
    made = planned(replace(profile, count=Count("n", 4)), guidance=3, quality="low", n=1)
    assert payloads(made) == [{"prompt": "a fox", "cfg": 3.0, "mode": {"cfg": True}, "speed": 1, "n": 1}]
