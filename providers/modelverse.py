"""UCloud ModelVerse: OpenAI's images endpoint with the models' own parameters beside it.

Source: the API pages of ucloud-global.com, "Image Generation API" and one per model. `response_format` is not sent: the
pages disagree on who takes it, and answers hold both an address and base64 anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from normalization.errors import GenerationFailed
from normalization.geometry import Grid, Offers, Ratios, Sizes
from normalization.plan import Call
from normalization.rules import Count, Output, Profile, Row, same, within
from normalization.vocabulary import Format
from providers.base import Done, Failed, Options, Reply, Traits, WireReply, WireRequest
from providers.failures import bad_response, complaint_of, failure
from providers.prices import price_of
from providers.replies import images_of, read_object, usage_of
from providers.rows import (
    THREE_SIZES,
    as_field,
    gpt_image_grid,
    prompt_alone,
    quality_as_steps,
    quality_words,
)

RATIOS: Final = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")

RESULT_SECONDS = 7 * 24 * 3600
"""Addresses of results live for seven days."""


@dataclass(frozen=True, slots=True)
class Model:
    """What one model takes. `rows` are those beyond the prompt; parameters without one are lacking."""

    offers: Offers = field(default_factory=Offers)
    rows: Mapping[str, Row] = field(default_factory=dict)
    output: Output = field(default_factory=Output)
    count: Count = field(default_factory=Count)


_FLUX: Final[Mapping[str, Row]] = {
    "negative_prompt": same("negative_prompt"),
    "seed": same("seed"),
    "steps": within("steps", 1, 50),
    "quality": quality_as_steps("steps", 10, 20, 40),
    "guidance": within("guidance_scale", 1, 10),
}
_KONTEXT: Final = Model(Offers(ratios=Ratios("aspect_ratio", RATIOS)), _FLUX, count=Count("n", most=4))
_GPT_ROWS: Final[Mapping[str, Row]] = {"quality": quality_words("quality"), "background": same("background")}
# Their output_compression runs the other way (100 = smallest): the encoder's quality is chosen here instead.
_GPT_OUTPUT: Final = Output("output_format", {Format.PNG: "png", Format.JPEG: "jpeg"})

MODELS: Mapping[str, Model] = {
    "black-forest-labs/flux-kontext-max/text-to-image": _KONTEXT,
    "black-forest-labs/flux-kontext-pro/text-to-image": _KONTEXT,
    "black-forest-labs/flux.1-dev": replace(_KONTEXT, offers=Offers(Grid(as_field("size"), 16, 256, 1536))),
    "gpt-image-1": Model(
        Offers(sizes=Sizes(as_field("size"), THREE_SIZES)), _GPT_ROWS, _GPT_OUTPUT, Count("n", most=4)
    ),
    "gpt-image-2": Model(Offers(gpt_image_grid(as_field("size"))), _GPT_ROWS, _GPT_OUTPUT, Count("n", most=10)),
}
UNKNOWN: Final = Model()
"""A model without a page here: its prompt alone; what else it takes goes through as extras."""


class ModelVerse:
    """POST /v1/images/generations."""

    type: ClassVar[str] = "modelverse"
    base_url: ClassVar[str | None] = "https://api.umodelverse.ai"
    traits: ClassVar[Traits] = Traits(url_ttl=RESULT_SECONDS)
    known_models: ClassVar[tuple[str, ...]] = tuple(MODELS)

    def __init__(self, options: Options) -> None:
        self.options = options

    def profile(self, model: str, pictures: int = 0) -> Profile:
        known = MODELS.get(model, UNKNOWN)
        return Profile(
            provider=self.type,
            model=model,
            rows={**prompt_alone("prompt"), **known.rows},
            offers=known.offers,
            constants=(("model", model),),
            output=known.output,
            count=known.count,
            extra="forward",
            price=price_of(self.type, model),
        )

    def headers(self, secret: str | None) -> Mapping[str, str]:
        return {} if secret is None else {"Authorization": f"Bearer {secret}"}

    def submit(self, call: Call, attempt: str) -> WireRequest:
        return WireRequest("POST", "/v1/images/generations", json=call.payload)

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        body = read_object(reply.body)
        if not 200 <= reply.status < 300 or (body is not None and body.get("error")):
            # Their `param` is the id of the request, not a parameter.
            return failure(reply, self.traits, said=replace(complaint_of(reply), param=None))
        if body is None:
            return bad_response("not a JSON object", reply, self.traits)
        artifacts = tuple(images_of(body))
        if not artifacts:
            error = GenerationFailed("the provider answered without a picture")
            return Failed(error, refused=False, outcome="generation_failed")
        return Done(artifacts, usage=usage_of(body))
