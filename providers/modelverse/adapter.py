"""UCloud ModelVerse: OpenAI's images endpoint with the models' own parameters beside it.

Source: the API pages of ucloud-global.com, "Image Generation API" and one per model. Edits go to the same endpoint:
their pictures are fields of the JSON, and which of a model's names is asked for follows from how many there are.

`response_format` is not sent: the pages disagree on who takes it, and answers hold both an address and base64 anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from normalization.errors import GenerationFailed
from normalization.plan import Call
from normalization.rules import Profile
from providers.base import Done, Failed, Inline, Options, Reply, Traits, WireReply, WireRequest
from providers.failures import bad_response, complaint_of, failure
from providers.modelverse.models import FAMILIES, NAMES, UNKNOWN, Model, named, on_the_wire
from providers.prices import price_of
from providers.replies import images_of, read_object, usage_of
from providers.rows import prompt_alone

RESULT_SECONDS = 7 * 24 * 3600
"""Addresses of results live for seven days."""


class ModelVerse:
    """POST /v1/images/generations."""

    type: ClassVar[str] = "modelverse"
    base_url: ClassVar[str | None] = "https://api.umodelverse.ai"
    traits: ClassVar[Traits] = Traits(url_ttl=RESULT_SECONDS)
    known_models: ClassVar[tuple[str, ...]] = NAMES

    def __init__(self, options: Options) -> None:
        self.options = options

    def profile(self, model: str, pictures: int = 0) -> Profile:
        family = FAMILIES.get(named(model), UNKNOWN)
        known, wired = family.model(pictures), on_the_wire(model, pictures)
        # What a model that only edits takes is told of it without pictures too, where it does nothing.
        profile = self._profile(model, wired, known or family.edit or Model())
        if known is None:
            return replace(profile, operations=())
        if not pictures:
            return profile
        return replace(profile, operations=("edit",), input_images_max=family.pictures_most, mask="emulated")

    def _profile(self, model: str, wired: str, known: Model) -> Profile:
        return Profile(
            provider=self.type,
            model=model,
            rows={**prompt_alone("prompt"), **known.rows},
            offers=known.offers,
            constants=(("model", wired),),
            output=known.output,
            count=known.count,
            extra="forward",
            price=price_of(self.type, wired),
        )

    def headers(self, secret: str | None) -> Mapping[str, str]:
        return {} if secret is None else {"Authorization": f"Bearer {secret}"}

    def probe(self) -> WireRequest:
        """GET /v1/models, the list of models (the quick start of UModelverse); it asks for no key."""
        return WireRequest("GET", "/v1/models", purpose="poll")

    def submit(self, call: Call, attempt: str) -> WireRequest:
        return WireRequest("POST", "/v1/images/generations", json={**call.payload, **_pictures(call)})

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


def _pictures(call: Call) -> Mapping[str, Any]:
    """One picture in `image`, several in `images`, as data: URIs."""
    if len(call.pictures) == 1:
        return {"image": Inline(call.pictures[0])}
    return {"images": [Inline(picture) for picture in call.pictures]} if call.pictures else {}
