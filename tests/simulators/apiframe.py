"""apiframe: POST /v2/images/generate, GET /v2/jobs/{id}, and the file host of its results.

Source: docs-v2.apiframe.ai; values and rounding of fluxParams as Replicate's schema of the same models has them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tests.simulators.base import Fault, Kind, Refused, Simulator, encoded, require, running
from tests.simulators.http import Answer, Received, answer_json

RATIOS = ("1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3")
AREAS = {"0.5 MP": 0.5, "1 MP": 1.0, "2 MP": 2.0, "4 MP": 4.0}
MODELS = ("flux-2-max", "flux-2-pro", "flux-2-flex", "flux-2-dev", "flux-1.1-pro", "flux-1.1-pro-ultra", "midjourney")
FORMATS = {"jpg": "jpeg", "png": "png", "webp": "webp"}
COST = 10
"""Credits of a job."""


@dataclass
class Job:
    id: str
    model: str
    files: list[str]
    error: str | None = None
    looks: int = 0


class ApiframeSimulator(Simulator):
    name: ClassVar[str] = "apiframe"

    def __init__(
        self,
        *,
        key: str | None = None,
        looks_until_done: int = 2,
        result_shape: Literal["images", "string"] = "images",
        lost_looks: int = 0,
    ) -> None:
        """A job is QUEUED, then PROCESSING, and done at look number `looks_until_done`, counted from 0; its first
        `lost_looks` looks find nothing, as books that lag behind do."""
        super().__init__(key=key)
        self.looks_until_done, self.result_shape, self.lost_looks = looks_until_done, result_shape, lost_looks
        self.jobs: dict[str, Job] = {}
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
            return {"error": "Insufficient credits", "balance": 0, "cost": COST}
        return {"error": refused.message}

    def generate(self, received: Received, fault: Fault) -> Answer:
        body = received.json
        require(isinstance(body, dict), "body must be JSON")
        key = received.headers.get("idempotency-key")
        if key in self._by_key:
            first, job_id = self._by_key[key]
            require(first == received.body, "Idempotency-Key was used for another request", status=409)
            return answer_json({"jobId": job_id, "status": "QUEUED"}, 202)
        job = self._start(body, fault)
        if key is not None:
            self._by_key[key] = (received.body, job.id)
        return answer_json({"jobId": job.id, "status": "QUEUED", **fault.extra}, 202)

    def _start(self, body: Mapping[str, Any], fault: Fault) -> Job:
        prompt, model = body.get("prompt"), body.get("model")
        require(isinstance(prompt, str) and 1 <= len(prompt) <= 2000, "prompt must be 1-2000 characters")
        require(model in MODELS, f"unknown model {model}", status=404)
        params = body.get("fluxParams", {})
        require(isinstance(params, dict), "fluxParams must be an object")
        size = _size(params)
        form = params.get("output_format", "webp")
        require(form in FORMATS, "output_format must be jpg, png or webp")
        quality = params.get("output_quality", 80)
        require(isinstance(quality, int) and 0 <= quality <= 100, "output_quality must be 0-100")
        seed = params.get("seed")
        require(seed is None or (isinstance(seed, int) and seed >= 0), "seed must be an integer")
        job = Job(str(uuid.uuid4()), str(model), [])
        self.jobs[job.id] = job
        if fault.soft_fail:
            job.error = fault.message
            return job
        subject = f"{prompt}|{params.get('steps')}|{params.get('guidance')}|{size}"
        made = self.make(subject, size, fault, seed=seed, form=FORMATS[str(form)], quality=quality)
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
        done = look >= self.looks_until_done + self.lost_looks
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

    def _result(self, job: Job) -> Any:
        if self.result_shape == "string":
            return job.files[0] if job.files else None
        return {"images": job.files}


def _size(params: Mapping[str, Any]) -> tuple[int, int]:
    """The pixels made: `custom` ones to the nearest 16, else the ratio's at the resolution."""
    ratio = params.get("aspect_ratio", "1:1")
    if ratio == "custom":
        sides = (params.get("width"), params.get("height"))
        for side in sides:
            require(isinstance(side, int) and 256 <= side <= 2048, "width and height must be 256-2048")
        return (_rounded(sides[0] or 0), _rounded(sides[1] or 0))
    require(ratio in RATIOS, f"aspect_ratio must be one of custom, {', '.join(RATIOS)}")
    resolution = params.get("resolution", "1 MP")
    require(resolution in AREAS, f"resolution must be one of {', '.join(AREAS)}")
    width, height = map(int, str(ratio).split(":"))
    scale = (AREAS[str(resolution)] * 1024 * 1024 / (width * height)) ** 0.5
    # No side is longer than 2048: at 4 MP a wide picture comes out smaller than asked for.
    scale = min(scale, 2048 / max(width, height))
    return (_rounded(width * scale), _rounded(height * scale))


def _rounded(side: float) -> int:
    return max(256, min(2048, int(side / 16 + 0.5) * 16))


@contextmanager
def apiframe_simulator(*, port: int = 0, **settings: Any) -> Iterator[ApiframeSimulator]:
    with running(ApiframeSimulator(**settings), port) as simulator:
        yield simulator
