"""Acme: a provider that does not exist, written as docs/adding-a-provider.md says. The page shows this file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from normalization.geometry import Offers, Ratios
from normalization.plan import Call
from normalization.rules import Count, Output, Profile, one_of, same, within
from normalization.vocabulary import Format
from providers.base import Done, Options, Reply, Traits, WireReply, WireRequest
from providers.failures import bad_response, failure
from providers.replies import artifact, read_object, sequence
from providers.rows import lacking, opaque_only, quality_as_steps

ROWS = {
    "prompt": same("text"),
    "seed": same("options.seed"),
    "quality": quality_as_steps("options.steps", 10, 20, 40),
    "steps": within("options.steps", 1, 50),
    "guidance": within("options.cfg", 1, 10),
    "style": one_of("options.style", {"vivid": "bold", "natural": "plain"}, otherwise=lacking("style")["style"]),
    "background": opaque_only(),
    **lacking("negative_prompt", "strength", "moderation", "input_fidelity", "safety_tolerance", "prompt_upsampling"),
    **lacking("enable_safety_checker", "sync_mode", "user", "safety_identifier"),
}


class Acme:
    """Acme Pictures: POST /draw, the pictures as base64 in the answer (docs.acme.example, "Draw")."""

    type: ClassVar[str] = "acme"
    base_url: ClassVar[str | None] = "https://api.acme.example"
    traits: ClassVar[Traits] = Traits(s503_means_refused=True)
    known_models: ClassVar[tuple[str, ...]] = ("brush-1",)

    def __init__(self, options: Options) -> None:
        self.options = options

    def profile(self, model: str, pictures: int = 0) -> Profile:
        """Every model of Acme's takes the same."""
        return Profile(
            provider=self.type,
            model=model,
            rows=ROWS,
            constants=(("model", model),),
            offers=Offers(ratios=Ratios("ratio", ("1:1", "16:9", "9:16"))),
            count=Count("options.count", most=2),
            output=Output("options.format", {Format.PNG: "png", Format.JPEG: "jpg"}),
            extra="forward",
            extra_under="options",
        )

    def headers(self, secret: str | None) -> Mapping[str, str]:
        """docs.acme.example, "Authentication"."""
        return {"x-acme-key": secret} if secret else {}

    def submit(self, call: Call, attempt: str) -> WireRequest:
        return WireRequest("POST", "/draw", json=call.payload)

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        if reply.status != 200:
            return failure(reply, self.traits)
        body = read_object(reply.body)
        found = [artifact(each) for each in sequence(body.get("pictures"))] if body else []
        pictures = tuple(each for each in found if each is not None)
        return Done(pictures) if pictures else bad_response("no pictures in it", reply, self.traits)
