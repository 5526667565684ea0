"""apiframe: a job is submitted, then looked at until it is completed or failed.

Sources: docs-v2.apiframe.ai, "Image Generation", "Get Job" and "Webhooks", and the OpenAPI document of apiframe's own
Node SDK (github.com/apiframe-ai/apiframe-nodejs-sdk).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from normalization.errors import BadUpstreamImage, GenerationFailed, OutcomeUnknown
from normalization.plan import Call
from normalization.rules import Profile
from providers.apiframe import webhooks
from providers.apiframe.inputs import INPUTS
from providers.apiframe.models import MODELS, model_of
from providers.base import Artifact, Done, Failed, Options, Pending, Reply, Traits, WireReply, WireRequest
from providers.failures import MODERATION_OF_A_JOB, bad_response, complaint_in, failure, moderated, redacted
from providers.prices import price_of
from providers.replies import artifact, read_object, text

RESULT_SECONDS = 24 * 3600
"""How long files are kept: the FAQ says three months, the OpenAPI document 24 hours unless agreed otherwise."""

_ADDRESSES = ("url", "image_url", "imageUrl")


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
        """A model that no page describes gets its prompt alone, and no pictures; extras and provider_options reach the
        rest."""
        profile, inputs = self._profile(model), INPUTS.get(model)
        if not pictures:
            return profile
        return replace(profile, operations=()) if inputs is None else inputs.editing(profile)

    def _profile(self, model: str) -> Profile:
        known = model_of(model)
        return Profile(
            provider=self.type,
            model=model,
            rows=known.rows,
            offers=known.offers,
            constants=(("model", model),),
            output=known.output,
            count=known.count,
            extra="forward",
            extra_under=known.under,
            reserved=frozenset({"image_input"}),
            prompt_max=2000,
            price=price_of(self.type, model),
        )

    def headers(self, secret: str | None) -> Mapping[str, str]:
        return {} if secret is None else {"X-API-Key": secret}

    def submit(self, call: Call, attempt: str) -> WireRequest:
        json = dict(call.payload)
        if call.pictures:
            json = INPUTS[str(json["model"])].put(json, call.pictures)
        if self.options.webhook_url is not None:
            json |= {"webhookUrl": self.options.webhook_url, "webhookEvents": list(webhooks.EVENTS)}
        return WireRequest("POST", "/v2/images/generate", json=json, headers={"Idempotency-Key": attempt})

    def notice(self, headers: Mapping[str, str], body: bytes, secret: str) -> str | None:
        return webhooks.notice(headers, body, secret)

    def resume(self, job: str) -> WireRequest:
        return WireRequest("GET", f"/v2/jobs/{job}", purpose="poll")

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        return self._read_job(reply, sent) if sent.purpose == "poll" else self._read_submit(reply)

    def _read_submit(self, reply: WireReply) -> Reply:
        if not 200 <= reply.status < 300:
            return failure(reply, self.traits)
        body = read_object(reply.body) or {}
        job = next((body[name] for name in ("jobId", "id", "task_id") if body.get(name)), None)
        if job is None and body.get("error"):
            return failure(reply, self.traits)
        if not isinstance(job, str) or not webhooks.JOB_ID.fullmatch(job):
            return bad_response("no job id", reply, self.traits)
        # A job replayed for the same Idempotency-Key may be finished already; the look says so, after the id is safe.
        return Pending(next=self.resume(job), job=job)

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
                return _failed(body, job, refunded=not body.get("creditCost"))
            case "CANCELLED":  # nothing says that these are refunded
                return _failed(body, job, refunded=body.get("creditCost") == 0)
            case _:  # QUEUED, PROCESSING, or a word that did not exist yet
                return Pending(next=sent, job=job, progress=_progress(body.get("progress")))


def _completed(body: Mapping[str, Any], job: str) -> Done | Failed:
    artifacts = tuple(_pictures(body.get("result")))
    if artifacts:
        return Done(artifacts)
    error = BadUpstreamImage("the provider completed the job without a picture", detail=f"job {job}")
    return Failed(error, refused=False, outcome="bad_upstream_image")


def _failed(body: Mapping[str, Any], job: str, *, refunded: bool) -> Failed:
    """Failed jobs are refunded, and say so: another route may try."""
    said = text(body.get("error")) or complaint_in(body).said
    detail = f"job {job}: {redacted(said)}"
    if MODERATION_OF_A_JOB.search(said):
        return moderated(detail)
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
