"""apiframe: a job is submitted, then looked at until it is completed or failed.

Sources: docs-v2.apiframe.ai, "Image Generation", "Get Job" and the pages of the Flux models. Where a page is silent on
the values of a field, the schemas of the same models at Replicate say them, which these mirror field by field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from normalization.errors import BadUpstreamImage, GenerationFailed, OutcomeUnknown
from normalization.geometry import Grid, Offers, Ratios
from normalization.plan import Call
from normalization.rules import Output, Profile, Row, same, within
from normalization.vocabulary import Format, Size, Tier
from providers.base import Artifact, Done, Failed, Options, Pending, Reply, Traits, WireReply, WireRequest
from providers.failures import MODERATION_OF_A_JOB, bad_response, complaint_in, failure, moderated, redacted
from providers.replies import artifact, read_object, text
from providers.rows import FOUR_TIERS, NINE_RATIOS, prompt_alone, quality_as_steps

FLUX = "fluxParams"

JPG_PNG_WEBP: Final = {Format.PNG: "png", Format.JPEG: "jpg", Format.WEBP: "webp"}
JPG_PNG: Final = {Format.PNG: "png", Format.JPEG: "jpg"}
ULTRA_RATIOS: Final = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")

RESULT_SECONDS = 90 * 24 * 3600
"""Files are kept for three months."""

_JOB_ID = re.compile(r"[\w:-][\w.:-]{0,199}", re.ASCII)
"""What may stand in a path: no slash, and not `..`."""

_ADDRESSES = ("url", "image_url", "imageUrl")


@dataclass(frozen=True, slots=True)
class Flux:
    """What differs between the Flux models. `side_most` None: ratios go by name alone, pixels cannot be asked for.

    `width` and `height` count only beside the aspect ratio "custom", and then `resolution` does not.
    """

    side_most: int | None = 2048
    multiple: int = 16
    ratios: tuple[str, ...] = NINE_RATIOS
    tiers: tuple[Tier, ...] = ()
    tier_to: str | None = f"{FLUX}.resolution"
    formats: Mapping[Format, str] = field(default_factory=lambda: JPG_PNG_WEBP)
    quality_to: str | None = f"{FLUX}.output_quality"
    guided: bool = False
    upsampling: bool = False

    @property
    def offers(self) -> Offers:
        ratios = Ratios(f"{FLUX}.aspect_ratio", self.ratios, self.tiers, self.tier_to)
        if self.side_most is None:
            return Offers(ratios=ratios)
        return Offers(Grid(_pixels, self.multiple, least=256, most=self.side_most), ratios=ratios)

    @property
    def rows(self) -> Mapping[str, Row]:
        rows = {**prompt_alone("prompt"), "seed": same(f"{FLUX}.seed")}
        if self.upsampling:
            rows["prompt_upsampling"] = same(f"{FLUX}.prompt_upsampling")
        if self.guided:
            rows["steps"] = within(f"{FLUX}.steps", 1, 50)
            rows["guidance"] = within(f"{FLUX}.guidance", 1.5, 10)
            rows["quality"] = quality_as_steps(f"{FLUX}.steps", 12, 30, 50)
        return rows


MODELS: Mapping[str, Flux] = {
    "flux-2-max": Flux(tiers=FOUR_TIERS),
    "flux-2-pro": Flux(tiers=FOUR_TIERS, upsampling=True),
    "flux-2-flex": Flux(tiers=FOUR_TIERS, upsampling=True, guided=True),
    "flux-2-dev": Flux(),
    "flux-1.1-pro": Flux(side_most=1440, multiple=32, upsampling=True),
    "flux-1.1-pro-ultra": Flux(
        side_most=None,
        ratios=ULTRA_RATIOS,
        tiers=(Tier.megapixels("4"),),  # the only one it makes: nothing is sent
        tier_to=None,
        formats=JPG_PNG,
        quality_to=None,
    ),
}
ANY_FLUX = Flux(side_most=None)


class Apiframe:
    """POST /v2/images/generate, then GET /v2/jobs/{id}."""

    type: ClassVar[str] = "apiframe"
    base_url: ClassVar[str | None] = "https://api.apiframe.ai"
    traits: ClassVar[Traits] = Traits(
        idempotent_submit=True, refund_on_fail=True, url_ttl=RESULT_SECONDS, rps=6.0, polled=True
    )
    known_models: ClassVar[tuple[str, ...]] = tuple(MODELS)

    def __init__(self, options: Options) -> None:
        self.options = options

    def profile(self, model: str, pictures: int = 0) -> Profile:
        """Models other than Flux have objects of parameters of their own, which extras and provider_options reach."""
        flux = MODELS.get(model) or (ANY_FLUX if model.startswith("flux") else None)
        return Profile(
            provider=self.type,
            model=model,
            rows=prompt_alone("prompt") if flux is None else flux.rows,
            offers=Offers() if flux is None else flux.offers,
            constants=(("model", model),),
            # What is sent when nothing is said is silent here and webp at Replicate.
            output=Output()
            if flux is None
            else Output(f"{FLUX}.output_format", flux.formats, always=True, quality_to=flux.quality_to),
            extra="forward",
            extra_under=None if flux is None else FLUX,
            prompt_max=2000,
        )

    def headers(self, secret: str | None) -> Mapping[str, str]:
        return {} if secret is None else {"X-API-Key": secret}

    def submit(self, call: Call, attempt: str) -> WireRequest:
        return WireRequest("POST", "/v2/images/generate", json=call.payload, headers={"Idempotency-Key": attempt})

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        return self._read_job(reply, sent) if sent.purpose == "poll" else self._read_submit(reply)

    def _read_submit(self, reply: WireReply) -> Reply:
        if not 200 <= reply.status < 300:
            return failure(reply, self.traits)
        body = read_object(reply.body) or {}
        job = next((body[name] for name in ("jobId", "id", "task_id") if body.get(name)), None)
        if job is None and body.get("error"):
            return failure(reply, self.traits)
        if not isinstance(job, str) or not _JOB_ID.fullmatch(job):
            return bad_response("no job id", reply, self.traits)
        # A job replayed for the same Idempotency-Key may be finished already; the look says so, after the id is safe.
        return Pending(next=WireRequest("GET", f"/v2/jobs/{job}", purpose="poll"), job=job)

    def _read_job(self, reply: WireReply, sent: WireRequest) -> Reply:
        """What a look at a job says. Only the job's own end ends it: an unreadable answer, a 429, a 5xx and a 404 (the
        books may lag behind) mean looking again, and whoever looks has the deadline."""
        job = sent.path.rpartition("/")[2]
        again = Pending(next=sent, job=job)
        if reply.status in (404, 408, 425, 429) or reply.status >= 500:
            return again
        if not 200 <= reply.status < 300:
            error = OutcomeUnknown(
                "the provider no longer lets the gateway look at the job that it had accepted",
                detail=f"HTTP {reply.status} for job {job}",
            )
            return Failed(error, refused=False, outcome="job_lost")
        body = read_object(reply.body)
        if body is None:
            return again
        match str(body.get("status")).strip().upper():
            case "COMPLETED":
                return _completed(body, job)
            case "FAILED":
                return _failed(body, job)
            case _:  # QUEUED, PROCESSING, or a word that did not exist yet
                return Pending(next=sent, job=job, progress=_progress(body.get("progress")))


def _completed(body: Mapping[str, Any], job: str) -> Done | Failed:
    artifacts = tuple(_pictures(body.get("result")))
    if artifacts:
        return Done(artifacts)
    error = BadUpstreamImage("the provider completed the job without a picture", detail=f"job {job}")
    return Failed(error, refused=False, outcome="bad_upstream_image")


def _failed(body: Mapping[str, Any], job: str) -> Failed:
    """Failed jobs are refunded, and say so: another route may try."""
    said = text(body.get("error")) or complaint_in(body).said
    detail = f"job {job}: {redacted(said)}"
    if MODERATION_OF_A_JOB.search(said):
        return moderated(detail)
    refunded = not body.get("creditCost")
    error = GenerationFailed("the provider could not make the picture", detail=detail)
    return Failed(error, refused=refunded, outcome="generation_failed")


def _pictures(result: Any) -> Iterator[Artifact]:
    """Every picture of a result: a single address, a list, or an object, as the generations of the pages have it."""
    if isinstance(result, dict):
        result = next((result[name] for name in ("images", *_ADDRESSES) if result.get(name)), None)
    for each in result if isinstance(result, list) else [result]:
        address = next((each[name] for name in _ADDRESSES if each.get(name)), None) if isinstance(each, dict) else each
        found = artifact(None, address)
        if found is not None:
            yield found


def _progress(percent: Any) -> float | None:
    if isinstance(percent, bool) or not isinstance(percent, int | float):
        return None
    return min(max(percent / 100, 0.0), 1.0)


def _pixels(size: Size) -> Mapping[str, Any]:
    return {f"{FLUX}.aspect_ratio": "custom", f"{FLUX}.width": size.width, f"{FLUX}.height": size.height}
