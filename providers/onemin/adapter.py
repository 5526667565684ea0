"""1min.ai: one synchronous call for every feature, whose parameters are an object of their own for each model.

Source: docs.1min.ai, "AI for Image", one page per model, and "Asset API". The same thing is `steps` here and
`num_inference_steps` there, with other bounds.

Pictures are made one a call, also by the models that take `n`: the answer holds one signed address, whatever the
number of pictures, and the keys of the others lead to a private bucket. A picture to edit is uploaded first, and every
editor takes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from normalization.errors import BadUpstreamImage, GenerationFailed, UpstreamUnavailable
from normalization.plan import Call
from normalization.rules import Profile
from providers.base import Done, Failed, FilePart, Inline, Options, Pending, Reply, Traits, WireReply, WireRequest
from providers.failures import MODERATION_OF_A_JOB, bad_response, complaint_in, failure, moderated, redacted
from providers.onemin.models import EDITORS, FIELDS, GENERATORS, UNKNOWN, Model, to
from providers.prices import price_of
from providers.replies import artifact, mapping, read_object, sequence, text
from providers.rows import prompt_alone

ASSETS = "https://asset.1min.ai/"
"""Where the keys of results lead."""

PICTURE: Final = "imageUrl"
"""The editors' field for the key of the uploaded picture."""

KEY_MOST = 1024
"""Bytes that an object store takes as a key."""


class OneMin:
    """POST /api/features with type IMAGE_GENERATOR; or POST /api/assets, and then type IMAGE_EDITOR."""

    type: ClassVar[str] = "onemin"
    base_url: ClassVar[str | None] = "https://api.1min.ai"
    traits: ClassVar[Traits] = Traits()
    known_models: ClassVar[tuple[str, ...]] = tuple(GENERATORS)

    def __init__(self, options: Options) -> None:
        self.options = options

    def profile(self, model: str, pictures: int = 0) -> Profile:
        """One picture can be edited. A model that is not known here may have an editor: its page would have a prompt
        and a picture, as all have, and 1min.ai refuses a model that has none."""
        if not pictures:
            return self._profile(model, GENERATORS.get(model, UNKNOWN), "IMAGE_GENERATOR")
        editor = EDITORS.get(model, None if model in GENERATORS else UNKNOWN)
        profile = self._profile(model, editor or UNKNOWN, "IMAGE_EDITOR")
        if editor is None:
            return replace(profile, operations=())
        return replace(profile, operations=("edit",), input_images_max=1, mask="emulated")

    def _profile(self, model: str, known: Model, feature: str) -> Profile:
        return Profile(
            provider=self.type,
            model=model,
            rows={**prompt_alone(to("prompt")), **known.rows},
            offers=known.offers,
            constants=(("type", feature), ("model", model), *known.constants),
            output=known.output,
            extra="forward",
            extra_under=FIELDS,
            prompt_max=known.prompt_max,
            price=price_of(self.type, model),
            notes=known.notes,
        )

    def headers(self, secret: str | None) -> Mapping[str, str]:
        return {} if secret is None else {"API-KEY": secret}

    def probe(self) -> WireRequest:
        """GET /models: the models of a feature, as public clients of 1min.ai's API ask for them."""
        return WireRequest("GET", "/models?feature=IMAGE_GENERATOR", purpose="poll")

    def submit(self, call: Call, attempt: str) -> WireRequest:
        if not call.pictures:
            return _submission(call.payload)
        picture = call.pictures[0]
        file = FilePart("asset", f"image.{picture.format.extension}", picture)
        then = _submission(_with_picture(call.payload, Inline(picture)))
        return WireRequest("POST", "/api/assets", form=(file,), purpose="upload", then=then)

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        return self._read_upload(reply, call) if sent.purpose == "upload" else self._read_result(reply)

    def _read_upload(self, reply: WireReply, call: Call) -> Reply:
        """docs.1min.ai, "Asset API": the key is `fileContent.path`, which equals `asset.key`."""
        body = read_object(reply.body) if 200 <= reply.status < 300 else None
        if body is None:
            return self._not_uploaded(reply)
        places = (mapping(body.get("fileContent")).get("path"), mapping(body.get("asset")).get("key"))
        key = next((found for found in map(text, places) if found and len(found) <= KEY_MOST), None)
        if key is None:
            return self._not_uploaded(reply)
        return Pending(next=_submission(_with_picture(call.payload, key)), job=None)

    def _not_uploaded(self, reply: WireReply) -> Failed:
        """An upload buys nothing, whatever became of it: another route may try."""
        found = failure(reply, self.traits)
        if found.refused:
            return found
        error = UpstreamUnavailable("the provider did not take the picture to edit", detail=found.error.detail)
        return Failed(error, refused=True, outcome="upload_failed")

    def _read_result(self, reply: WireReply) -> Reply:
        if not 200 <= reply.status < 300:
            return failure(reply, self.traits)
        body = read_object(reply.body)
        record = mapping((body or {}).get("aiRecord"))
        if body is None or not record:
            if body is not None and complaint_in(body).said:
                return failure(reply, self.traits)
            return bad_response("no aiRecord", reply, self.traits)
        status = str(record.get("status"))
        if status.upper() != "SUCCESS":
            return _unsuccessful(status, body, record)
        artifacts = tuple(filter(None, (artifact(None, address) for address in _addresses(body, record))))
        if not artifacts:
            error = BadUpstreamImage("the provider reports success without a picture", detail=_identity(record))
            return Failed(error, refused=False, outcome="bad_upstream_image")
        return Done(artifacts)


def _with_picture(payload: Mapping[str, Any], picture: str | Inline) -> dict[str, Any]:
    return {**payload, FIELDS: {**mapping(payload.get(FIELDS)), PICTURE: picture}}


def _submission(payload: Mapping[str, Any]) -> WireRequest:
    return WireRequest("POST", "/api/features", json=payload)


def _unsuccessful(status: str, body: Mapping[str, Any], record: Mapping[str, Any]) -> Failed:
    """A failure told with HTTP 200. Whether it was charged is not documented."""
    said = complaint_in(record).said or complaint_in(body).said
    detail = f"{_identity(record)} status {redacted(status)}: {redacted(said)}"
    if MODERATION_OF_A_JOB.search(said):
        return moderated(detail)
    error = GenerationFailed("the provider could not make the picture", detail=detail)
    return Failed(error, refused=False, outcome="generation_failed")


def _identity(record: Mapping[str, Any]) -> str:
    return f"record {redacted(str(record.get('uuid')))}"


def _addresses(body: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """The signed addresses, inside the record or beside it; without any, those of the results' keys."""
    for holder in (record, body):
        told = [*sequence(holder.get("temporaryUrls")), holder.get("temporaryUrl")]
        signed = [address for address in told if text(address)]
        if signed:
            return list(dict.fromkeys(signed))
    results = mapping(record.get("aiRecordDetail")).get("resultObject")
    keys = [key for key in ([results] if isinstance(results, str) else sequence(results)) if text(key)]
    return [key if "://" in key else ASSETS + key.lstrip("/") for key in keys]
