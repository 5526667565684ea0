"""Profiles of the kinds that providers have, for tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from normalization.geometry import Offers
from normalization.plan import Plan
from normalization.planner import plan
from normalization.rules import (
    Count,
    Output,
    Price,
    Profile,
    Row,
    converted,
    emulated,
    one_of,
    same,
    unsupported,
    within,
)
from normalization.vocabulary import Behavior, Format, Held, Picture, Size
from tests.normalization.asking import request
from tests.normalization.offers import BY_16, SEVEN


def rows(**changed: Row) -> dict[str, Row]:
    """Rows of a provider that has nothing but a prompt, except for what is `changed`."""
    bare: dict[str, Row] = {
        "prompt": same("prompt"),
        "negative_prompt": unsupported("the provider has no negative prompt"),
        "seed": unsupported("the provider draws its own seeds"),
        "quality": unsupported("the provider has one quality"),
        "steps": unsupported("the provider chooses its steps"),
        "guidance": unsupported("the provider has no guidance"),
        "strength": unsupported("the provider has no strength"),
        "style": unsupported("the provider has no styles"),
        "background": unsupported("the provider makes opaque pictures"),
        "moderation": unsupported("the provider's moderation cannot be chosen"),
        "input_fidelity": unsupported("the provider has one fidelity"),
        "safety_tolerance": unsupported("the provider's tolerance cannot be chosen"),
        "prompt_upsampling": unsupported("the provider never rewrites prompts"),
        "enable_safety_checker": unsupported("no checker"),
        "sync_mode": unsupported("no sync mode"),
        "user": unsupported("no user"),
        "safety_identifier": unsupported("no identifier"),
    }
    return {**bare, **changed}


WORKER = Profile(
    provider="worker",
    model="dev",
    rows=rows(
        prompt=same("input"),
        negative_prompt=converted("options.image.negative_prompt", str, also=(("options.image.true_cfg_scale", 4.0),)),
        seed=same("seed"),
        quality=one_of("options.image.steps", {"low": 12, "medium": 28, "high": 50}, unsupported("no such preset")),
        steps=within("options.image.steps", 1, 100),
        guidance=within("options.image.guidance_scale", 0, 20),
        strength=same("options.image.strength"),
        background=emulated(),
        user=same("user"),
    ),
    offers=Offers(grid=BY_16),
    constants=(("model", "dev"), ("options.image.response_format", "b64_json")),
    output=Output("options.image.output_format", {Format.PNG: "png", Format.JPEG: "jpeg"}, always=True),
    count=Count("options.image.num_images", most=4),
    extra_under="options.image",
    tolerates=frozenset({"flow_shift"}),
    reserved=frozenset({"sigmas"}),
    operations=("generate", "edit"),
    input_images_max=1,
    prompt_max=2000,
    price=Price(usd_per_megapixel=Decimal("0.01")),
)
"""A model on one's own GPU: pixels on a grid, a few options of its own under one object, png first."""

RATIO_ONLY = Profile(
    provider="relay",
    model="max",
    rows=rows(
        prompt=same("prompt"),
        seed=same("seed"),
        steps=within("steps", 15, 50),
        guidance=within("guidance", 2, 5),
        safety_tolerance=within("safety_tolerance", 1, 6),
        prompt_upsampling=same("prompt_upsampling"),
        style=same("look"),
    ),
    offers=Offers(ratios=SEVEN),
    output=Output("output_format", {Format.PNG: "png", Format.JPEG: "jpg"}, quality_to="output_quality"),
    extra="forward",
)
"""A relay of a hosted model: named ratios, one picture a call, everything at top level, extras tolerated."""

BATCHES = Profile(
    provider="openai",
    model="gpt-image",
    rows=rows(
        quality=one_of("quality", {"low": "low", "hd": "high"}, unsupported("no such quality")), seed=same("seed")
    ),
    offers=Offers(),
    output=Output(names={}),
    count=Count("n", most=4, batch_seeds=True),
    price=Price(usd_per_image=Decimal("0.04"), usd_per_request=Decimal("0.001")),
)
"""Batches whose picture k is that of seed + k."""

SEEDLESS = Profile(provider="plain", model="p", rows=rows(), offers=Offers(), count=Count("count", most=4))
"""Nothing but a prompt and a count."""

NEEDS_SEED = Profile(
    provider="sketch", model="s", rows=rows(seed=same("seed")), offers=Offers(), needs_seed=True, count=Count("n", 10)
)

PROFILES: dict[str, Profile] = {
    "worker": WORKER,
    "ratio_only": RATIO_ONLY,
    "batches": BATCHES,
    "seedless": SEEDLESS,
    "needs_seed": NEEDS_SEED,
}


PHOTO = Picture(Held(b""), Format.PNG, Size(3000, 2000), "0")
"""An input picture as far as a plan looks at it."""


def planned(profile: Profile, body: dict[str, Any] | None = None, /, **said: Any) -> Plan:
    return plan(request(body, **said), profile, name="apiframe")


def entry(made: Plan, name: str) -> tuple[Behavior, Any, str | None]:
    found = [each for each in made.applied if each.name == name]
    assert len(found) == 1, name
    return found[0].behavior, found[0].sent, found[0].note


def payloads(made: Plan) -> list[dict[str, Any]]:
    return [dict(call.payload) for call in made.calls]
