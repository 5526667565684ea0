"""apiframe: POST /v2/images/generate, GET /v2/jobs/{id}, its webhooks, and the file host of its results.

Sources: docs-v2.apiframe.ai, and apiframe's Node SDK for how a webhook is signed; `apiframe_models` for what each model
takes. Pictures to edit are fetched from where the request says, really and by themselves: what cannot be had, or is no
picture, ends the job.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import httpx

from tests.simulators.apiframe_models import FORMATS, TAKEN
from tests.simulators.base import Fault, Kind, Ordered, Refused, Simulator, encoded, require, running
from tests.simulators.http import Answer, Received, answer_json
from tests.simulators.inputs import Given, given
from tests.simulators.pages import UNLISTED
from tests.simulators.pictures import Kept

COST = 10
"""Credits of a job."""

OBJECTS = {taken.under for taken in TAKEN.values()}
"""Objects of parameters; a model takes its own and no other."""

Webhooks = Literal["once", "twice", "never", "early", "forged", "forged first", "lying"]
"""How a job's end is told: before the submission is even answered, with a signature that is none, first with a wrong
one and then with the right one, or as an end while the job still goes on."""


@dataclass
class Job:
    id: str
    model: str
    files: list[str]
    error: str | None = None
    looks: int = 0
    webhook_url: str | None = None
    ended: bool = False
    """Ended by itself, however often it was looked at."""


class ApiframeSimulator(Simulator):
    name: ClassVar[str] = "apiframe"

    def __init__(
        self,
        *,
        key: str | None = None,
        looks_until_done: int = 2,
        result_shape: Literal["images", "string"] = "images",
        lost_looks: int = 0,
        webhooks: Webhooks = "once",
        signed_with: Literal["bytes", "hex"] = "bytes",
    ) -> None:
        """A job is QUEUED, then PROCESSING, and done at look number `looks_until_done`, counted from 0; its first
        `lost_looks` looks find nothing, as books that lag behind do. One whose webhooks tell the truth has ended by
        itself when they do. `signed_with`: which spelling of the key's SHA-256 signs them."""
        super().__init__(key=key)
        self.webhooks, self.signed_with = webhooks, signed_with
        self.told: list[int] = []
        """What the webhooks were answered with, in their order."""
        self.all_told = threading.Event()
        self._due: list[tuple[Job, str]] = []
        self._telling: set[asyncio.Task[None]] = set()
        self.looks_until_done, self.result_shape, self.lost_looks = looks_until_done, result_shape, lost_looks
        self.jobs: dict[str, Job] = {}
        self.fetched: dict[str, Given | str] = {}
        """What was found at the address of a picture to edit, or why nothing was."""
        self._by_key: dict[str, tuple[bytes, str]] = {}

    def kind(self, received: Received) -> Kind | None:
        if received.path.startswith("/files/"):
            return "picture"
        if (received.method, received.path) == ("POST", "/v2/images/generate"):
            return "submit"
        return "poll" if received.method == "GET" and received.path.startswith("/v2/jobs/") else None

    def authorised(self, received: Received) -> bool:
        return self.matches(received.headers.get("x-api-key", ""))

    def refusal(self, refused: Refused) -> Any:
        if refused.status == 402:
            return {"error": "Insufficient credits", "creditsAvailable": 0, "creditsRequired": COST}
        return {"error": refused.message}

    def generate(self, received: Received, fault: Fault) -> Answer:
        body = received.json
        key = received.headers.get("idempotency-key")
        if key in self._by_key:
            first, job_id = self._by_key[key]
            require(first == received.body, "Idempotency-Key was used for another request", status=409)
            return answer_json({"jobId": job_id, "status": "QUEUED"}, 202)
        job = self._start(body, fault)
        if job.webhook_url is not None and self.webhooks != "never":
            self._due.append((job, received.headers.get("x-api-key", "")))
        if key is not None:
            self._by_key[key] = (received.body, job.id)
        return answer_json({"jobId": job.id, "status": "QUEUED", **fault.extra}, 202)

    def ordered(self, body: Any) -> Ordered:
        require(isinstance(body, dict), "body must be JSON")
        prompt, model = body.get("prompt"), str(body.get("model"))
        require(isinstance(prompt, str) and 1 <= len(prompt) <= 2000, "prompt must be 1-2000 characters")
        require(model in TAKEN or model == UNLISTED, f"unknown model {model}", status=404)
        taken = TAKEN.get(model)
        others = OBJECTS - {taken.under if taken else ""}
        require(not others & set(body), f"{sorted(others & set(body))} are not for {model}")
        _webhook_url(body)
        if taken is None:
            return Ordered((1024, 1024), "png", subject=prompt)
        params = body.get(taken.under, {})
        require(isinstance(params, dict), f"{taken.under} must be an object")
        taken.check(params)
        found = next((self.fetched.get(each) for each in taken.addresses(params)), None)
        first = found if isinstance(found, Given) else None
        return Ordered(
            size=taken.size(params, first),
            form=FORMATS[params.get("output_format", taken.form)],
            count=taken.always or params.get("number_of_images", 1),
            quality=params.get("output_quality", 80),
            seed=params.get("seed"),
            subject=f"{prompt}|{params.get('steps')}|{params.get('guidance')}",
            kept=None if first is None else Kept(first.colour),
        )

    def _start(self, body: Mapping[str, Any], fault: Fault) -> Job:
        ordered = self.ordered(body)
        job = Job(str(uuid.uuid4()), str(body["model"]), [], webhook_url=_webhook_url(body))
        self.jobs[job.id] = job
        missing = [found for each in _addresses(body) if isinstance(found := self.fetched[each], str)]
        if fault.soft_fail or missing:
            job.error = fault.message if fault.soft_fail else missing[0]
            return job
        made = self.make_ordered(ordered, fault)
        job.files = [
            encoded(data, data_uri=True) if fault.data_uri else self.publish(data, f"/files/{job.id}-") for data in made
        ]
        return job

    def poll(self, received: Received, fault: Fault) -> Answer:
        job = self.jobs.get(received.path.removeprefix("/v2/jobs/"))
        require(job is not None, "Job not found", status=404)
        assert job is not None
        look, job.looks = job.looks, job.looks + 1
        require(look >= self.lost_looks, "Job not found", status=404)
        done = job.ended or look >= self.looks_until_done + self.lost_looks
        status = "QUEUED" if look == self.lost_looks else "PROCESSING"
        if done:
            status = "COMPLETED" if job.error is None else "FAILED"
        return answer_json(
            {
                "id": job.id,
                "status": status,
                "model": job.model,
                "progress": 100 if status == "COMPLETED" else 0 if status == "QUEUED" else 65,
                "result": self._result(job) if status == "COMPLETED" else None,
                "error": job.error if status == "FAILED" else None,
                "creditCost": 0 if status == "FAILED" else COST,
                "webhookStatus": None,
                "createdAt": "2026-03-15T10:00:00.000Z",
                "completedAt": "2026-03-15T10:00:32.000Z" if done else None,
                **fault.extra,
            }
        )

    async def handle(self, received: Received) -> Answer:
        if self.kind(received) == "submit":
            await self._fetch(_addresses(received.json))
        answer = await super().handle(received)
        due, self._due = self._due, []
        for job, key in due:
            if self.webhooks == "early":
                await self._tell(job, key)
            else:
                task = asyncio.get_running_loop().create_task(self._tell(job, key))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)
        return answer

    async def _fetch(self, addresses: list[str]) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            for each in addresses:
                self.fetched[each] = await _looked_up(client, each)

    async def _tell(self, job: Job, key: str) -> None:
        if self.webhooks.startswith("forged"):
            await self._notify(job, "another-key")
        if self.webhooks not in ("forged", "lying"):
            job.ended = True
        for _ in range({"forged": 0, "twice": 2}.get(self.webhooks, 1)):
            await self._notify(job, key)
        self.all_told.set()

    async def _notify(self, job: Job, key: str) -> None:
        failed = job.error is not None
        said: dict[str, Any] = {"event": "failed" if failed else "completed", "jobId": job.id, "model": job.model}
        said |= {"status": "FAILED", "error": job.error} if failed else {"status": "COMPLETED", "progress": 100.0}
        # Spaced as no serialiser of ours would: the signature is over these bytes and no others.
        body = (json.dumps(said, indent=1, separators=(" ,", " : ")) + "\n").encode()
        digest = hashlib.sha256(key.encode())
        secret = digest.digest() if self.signed_with == "bytes" else digest.hexdigest().encode()
        headers = {
            "content-type": "application/json",
            "x-webhook-event": str(said["event"]),
            "x-webhook-signature": f"sha256={hmac.new(secret, body, 'sha256').hexdigest()}",
        }
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.post(str(job.webhook_url), content=body, headers=headers)
        self.told.append(answer.status_code)

    def _result(self, job: Job) -> Any:
        if self.result_shape == "string":
            return job.files[0] if job.files else None
        return {"images": job.files}


def _addresses(body: Any) -> list[str]:
    """Where a request says that its pictures are; none where it says it wrongly, which is for its page to judge."""
    taken = TAKEN.get(str(body.get("model"))) if isinstance(body, dict) else None
    params = body.get(taken.under) if taken else None
    if taken is None or not isinstance(params, dict):
        return []
    return [each for each in taken.addresses(params) if isinstance(each, str)]


async def _looked_up(client: httpx.AsyncClient, address: str) -> Given | str:
    try:
        answer = await client.get(address)
        answer.raise_for_status()
        return given(answer.content)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"input image could not be fetched: {type(error).__name__}"
    except Refused as refused:
        return refused.message


def _webhook_url(body: Mapping[str, Any]) -> str | None:
    url, events = body.get("webhookUrl"), body.get("webhookEvents")
    require(url is None or urlsplit(str(url)).scheme in ("http", "https"), "webhookUrl must be a URL")
    allowed = {"progress", "completed", "failed"}
    require(events is None or (bool(events) and set(events) <= allowed), "webhookEvents: an unknown event, or none")
    return None if url is None else str(url)


@contextmanager
def apiframe_simulator(*, port: int = 0, **settings: Any) -> Iterator[ApiframeSimulator]:
    with running(ApiframeSimulator(**settings), port) as simulator:
        yield simulator
