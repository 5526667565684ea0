"""FLUX worker: our side of the wire to one of your own, this repository's or Modular's `max serve`.

The worker forbids options that it does not know and works on one request at a time. It costs GPU time, not money: a
request that failed may go to another route without anything being bought twice.

Which of the two it is, an address tells by itself (`facts`). Until then, and to MAX for good, everything is sent as MAX
documents it; what is ours goes under keys of its own, which MAX ignores.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from normalization.errors import GenerationFailed, RejectedByProvider, UpstreamBusy, UpstreamUnavailable
from normalization.geometry import Grid, Offers
from normalization.plan import Call
from normalization.rules import FREE, Count, Output, Profile, Row, Way, same, unsupported
from normalization.vocabulary import Behavior, Format, Size
from providers.base import (
    Artifact,
    Done,
    Failed,
    Inline,
    Options,
    Reply,
    Seen,
    Shown,
    Traits,
    WireReply,
    WireRequest,
)
from providers.events import streamed
from providers.failures import bad_response, complaint_of, failure, redacted
from providers.flux_worker.facts import READY, Known
from providers.flux_worker.refusals import refusal
from providers.flux_worker.words import (
    FAMILY_OPTIONS,
    IMAGE,
    OUT_OF_MEMORY,
    PATH,
    PREVIEW_FORMATS,
    PREVIEWS,
    PREVIEWS_FORMAT,
    SIDE_LEAST,
    SIDE_MULTIPLE,
)
from providers.replies import artifact, decode_base64, mapping, read_object, sequence, usage_of, whole
from providers.rows import lacking, opaque_only, quality_as_steps

NEGATIVE_PROMPT_SCALE = 4.0
"""`true_cfg_scale` where a negative prompt is given: FLUX.2's tokenizer leaves the negative prompt out unless the scale
is above 1, which is the default. 4.0 is the scale at which FLUX pipelines are usually shown with real guidance."""

PIXELS_MOST = 17_000_000
"""Of one picture. A worker states no bound; this holds every size of the 4K table, on the grid of 16."""


PICTURES_MOST = 1
"""Of an edit. MAX takes any number, works on the first and says nothing of the others."""


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between families of models: steps for low, medium and high quality, whether they are guided, and
    whether they edit. `max serve` takes a picture for one that does not, and makes something without it."""

    steps: tuple[int, int, int] = (12, 28, 50)
    guided: bool = True
    edits: bool = True
    negative: bool = True
    pictures_most: int = PICTURES_MOST
    masks: bool = False
    """The worker itself makes anew what a mask shows."""
    generates: bool = True
    strength: bool = True
    """It can be said how much of an input picture is made anew; where pictures are references, it cannot."""
    options: frozenset[str] = FAMILY_OPTIONS
    """What it takes of MAX's options that the gateway has no words of its own for."""
    ours: bool = False
    previews: bool = False


GUIDANCE = frozenset({"true_cfg_scale"})
SECONDARY = frozenset({"secondary_prompt", "secondary_negative_prompt"})

FULL = Family()
DISTILLED = Family(steps=(4, 4, 8), guided=False, negative=False)
"""Four steps, and guidance is distilled away: the pipelines ignore it, and negative prompts with it."""

FLUX2 = replace(FULL, strength=False)
KLEIN = replace(DISTILLED, strength=False)

FAMILIES: Mapping[str, Family] = {
    "black-forest-labs/FLUX.2-dev": FLUX2,
    "black-forest-labs/FLUX.1-dev": replace(FULL, edits=False),
    "black-forest-labs/FLUX.1-schnell": replace(DISTILLED, edits=False),
    "black-forest-labs/FLUX.2-klein-4B": KLEIN,
    "black-forest-labs/FLUX.2-klein-9B": KLEIN,
    "black-forest-labs/FLUX.2-klein-base-4B": FLUX2,
    "black-forest-labs/FLUX.2-klein-base-9B": FLUX2,
}

EARLY = b'{"type":"imagegate:'
"""How every event of our worker begins that is not the last."""

_PROMPT_TROUBLE = re.compile(r"\s*(Validation error: |Invalid request: )?Prompt (is too long|must be)", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(r"out of memory|OutOfMemory", re.IGNORECASE)


class FluxWorker:
    """POST /v1/responses of a worker at an address of the operator's."""

    type: ClassVar[str] = "flux_worker"
    base_url: ClassVar[str | None] = None
    traits: ClassVar[Traits] = Traits(s503_means_refused=True, billable=False)
    known_models: ClassVar[tuple[str, ...]] = tuple(FAMILIES)

    def __init__(self, options: Options) -> None:
        self.options = options
        self._known = Known()

    @property
    def knows(self) -> int:
        return self._known.changes

    def look(self) -> WireRequest:
        """GET /ready: ours says whether it takes work, and MAX that it has no such page."""
        return WireRequest("GET", READY, purpose="poll")

    def seen(self, address: str, reply: WireReply, sent: WireRequest) -> Seen:
        return self._known.seen(address, reply, sent)

    def keep(self, addresses: Collection[str]) -> None:
        self._known.keep(addresses)

    def profile(self, model: str, pictures: int = 0) -> Profile:
        """Width and height are sent with a picture too: left to itself a worker keeps the shape of the picture only
        roughly, and its size up to one megapixel."""
        family = self._family(model)
        profile = self._profile(model, family)
        if not pictures:
            return profile if family.generates else replace(profile, operations=())
        if not family.edits:
            return replace(profile, operations=())
        mask: Literal["native", "emulated"] = "native" if family.masks and pictures == 1 else "emulated"
        # What is not repainted goes through the model's own coding of pictures all the same, and comes back changed.
        return replace(
            profile, operations=("edit",), input_images_max=family.pictures_most, mask=mask, mask_keeps=False
        )

    def _family(self, model: str) -> Family:
        named, facts = FAMILIES.get(model, FULL), self._known.of(model)
        if facts is None:
            return named
        return Family(
            steps=named.steps if model in FAMILIES or facts.guided else DISTILLED.steps,
            guided=facts.guided,
            negative=facts.negative,
            edits=bool(facts.modes - {"generate"}),
            pictures_most=facts.references_most if "edit" in facts.modes else 1,
            masks=facts.masks,
            generates="generate" in facts.modes,
            strength="edit" not in facts.modes,
            options=GUIDANCE | SECONDARY if facts.secondary else GUIDANCE,
            ours=True,
            previews=PREVIEWS in facts.abilities,
        )

    def _profile(self, model: str, family: Family) -> Profile:
        return Profile(
            provider=self.type,
            model=model,
            rows=_rows(family),
            offers=Offers(grid=Grid(_pixels, SIDE_MULTIPLE, SIDE_LEAST, most=14144, pixels_most=PIXELS_MOST)),
            constants=(("model", model),),
            # Lossy files come at the encoder's own quality, which cannot be chosen: png, and we encode.
            output=Output(f"{IMAGE}.output_format", {Format.PNG: "png"}, always=True),
            # MAX draws a whole batch from one noise generator: its picture k is not the picture of seed + k. Ours is.
            count=Count(f"{IMAGE}.num_images", most=4, batch_seeds=family.ours),
            extra="drop",
            extra_under=IMAGE,
            tolerates=family.options,
            reserved=frozenset({"output_format"}),
            price=FREE,
            shows_partials=family.previews,
            notes="A worker of your own: GPU time, no price.",
        )

    def headers(self, secret: str | None) -> Mapping[str, str]:
        return {} if secret is None else {"Authorization": f"Bearer {secret}"}

    def probe(self) -> WireRequest:
        """GET /health of `max serve`: 200 once the model is loaded."""
        return WireRequest("GET", "/health", purpose="poll")

    def submit(self, call: Call, attempt: str) -> WireRequest:
        json, extras = _lifted(call.payload)
        if call.pictures:
            json["input"] = [_message(call)]
        facts = self._known.of(str(call.payload.get("model")))
        if facts is None:
            return WireRequest("POST", PATH, json=json)
        if call.mask is not None:
            extras["mask"] = Inline(call.mask)
        if call.previews:
            extras[PREVIEWS] = call.previews
            form = None if call.previews_format is None else call.previews_format.value
            if form in PREVIEW_FORMATS and PREVIEWS_FORMAT in facts.abilities:
                extras[PREVIEWS_FORMAT] = form
        if extras:
            json["imagegate"] = extras
        if call.previews is None:
            return WireRequest("POST", PATH, json=json)
        return WireRequest("POST", PATH, json={**json, "stream": True}, events=True)

    def shown(self, event: bytes, call: Call) -> Shown | None:
        if not event.startswith(EARLY):  # the last one holds the pictures, and is read in its own time
            return None
        told = read_object(event) or {}
        index, step, steps = (whole(told.get(name)) for name in ("image_index", "step", "steps"))
        if index is None or step is None or steps is None:
            return None
        return Shown(index, step, steps, _preview(told.get("partial_image_b64")))

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        body = read_object(reply.body)
        if streamed(reply.headers):
            reply = _unwrapped(reply, body)
        if not 200 <= reply.status < 300 or (body is not None and isinstance(body.get("error"), dict)):
            return self._failed(reply)
        if body is not None and isinstance(body.get("response"), dict):
            body = body["response"]
        if body is None:
            return bad_response("not a JSON object", reply, self.traits)
        artifacts = tuple(_pictures(body))
        if not artifacts:
            # What MAX answers when its pipeline raised: the reason is in the worker's log alone.
            error = GenerationFailed("the worker answered without a picture", detail=f"status {body.get('status')!r}")
            return Failed(error, refused=True, outcome="generation_failed")
        return Done(artifacts, usage=usage_of(body))

    def _failed(self, reply: WireReply) -> Failed:
        complaint = complaint_of(reply)
        detail = f"HTTP {reply.status} {redacted(complaint.said)}"
        if _PROMPT_TROUBLE.match(complaint.said):
            # A ValueError of the tokenizer; versions answer it with 400 or with 500.
            return refusal(complaint, detail)
        if OUT_OF_MEMORY in complaint.codes or (reply.status >= 500 and _OUT_OF_MEMORY.search(complaint.said)):
            trouble = UpstreamUnavailable("the worker ran out of GPU memory for this request", detail=detail)
            return Failed(trouble, refused=True, outcome=OUT_OF_MEMORY)
        failed = failure(reply, self.traits, said=complaint)
        if isinstance(failed.error, RejectedByProvider):
            return refusal(complaint, failed.error.detail)
        if isinstance(failed.error, UpstreamUnavailable):
            busy = UpstreamBusy(
                "the worker is busy; try again later", detail=detail, retry_after=failed.error.retry_after
            )
            return Failed(busy, refused=True, outcome=busy.code)
        return failed


def _lifted(payload: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body, and what the caller asks of our worker alone: `provider_options.NAME` is written among MAX's options,
    which have no `imagegate`, and only our worker's top level has one. MAX is not sent it."""
    image = payload.get("provider_options", {}).get("image", {})
    ours = image.get("imagegate")
    if not isinstance(ours, Mapping):
        return dict(payload), {}
    kept = {name: value for name, value in image.items() if name != "imagegate"}
    return {**payload, "provider_options": {**payload["provider_options"], "image": kept}}, dict(ours)


def _message(call: Call) -> Mapping[str, Any]:
    """Pictures and prompt as the one message that a request may have."""
    pictures = [{"type": "input_image", "image_url": Inline(picture)} for picture in call.pictures]
    return {"role": "user", "content": [*pictures, {"type": "input_text", "text": call.payload["input"]}]}


def _unwrapped(reply: WireReply, body: Mapping[str, Any] | None) -> WireReply:
    """The reply whose data a stream's last event is: an error after the first event tells its status inside."""
    status = (body or {}).get("status")
    if not isinstance(status, int) or not 400 <= status < 600:
        return reply
    return replace(reply, status=status)


def _preview(encoded: Any) -> bytes | None:
    return decode_base64(encoded) if isinstance(encoded, str) else None


def _pixels(size: Size) -> Mapping[str, int]:
    return {f"{IMAGE}.width": size.width, f"{IMAGE}.height": size.height}


def _pictures(body: Mapping[str, Any]) -> Iterator[Artifact]:
    """Every picture of every message: all pictures of a batch are in one message's content."""
    for message in sequence(body.get("output")):
        for part in sequence(mapping(message).get("content")):
            item = mapping(part)
            seed = mapping(item.get("imagegate")).get("seed")
            found = artifact(item.get("image_data"), item.get("image_url"), seed=seed)
            if found is not None:
                yield found


REFERENCES = unsupported("this model takes input pictures as references: how much of them stays cannot be said")


def _rows(family: Family) -> Mapping[str, Row]:
    distilled = unsupported("this model is distilled for a fixed guidance and ignores it")
    unread = unsupported("this model reads no negative prompt")
    return {
        "prompt": same("input"),
        "negative_prompt": _negative_prompt() if family.negative else (unread if family.guided else distilled),
        "seed": same("seed"),
        "quality": quality_as_steps(f"{IMAGE}.steps", *family.steps),
        "steps": same(f"{IMAGE}.steps"),
        "guidance": same(f"{IMAGE}.guidance_scale") if family.guided else distilled,
        "strength": same(f"{IMAGE}.strength") if family.strength else REFERENCES,
        "background": opaque_only(),
        "user": same("user"),
        **lacking("style", "moderation", "input_fidelity", "safety_tolerance", "prompt_upsampling"),
        **lacking("enable_safety_checker", "sync_mode", "safety_identifier"),
    }


def _negative_prompt() -> Row:
    scale = (f"{IMAGE}.true_cfg_scale", NEGATIVE_PROMPT_SCALE)
    return (Way(Behavior.RENAMED, f"{IMAGE}.negative_prompt", also=(scale,)),)
