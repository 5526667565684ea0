"""apiframe: POST /v2/images/generate, GET /v2/jobs/{id}, and the file host of its results.

Source: docs-v2.apiframe.ai, one page per model; values and rounding of fluxParams as Replicate's schemas of the same
models have them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tests.simulators.base import Fault, Kind, Ordered, Refused, Simulator, encoded, require, running
from tests.simulators.http import Answer, Received, answer_json
from tests.simulators.pages import UNLISTED, Page, boolean, check, number, one_of, sides, text, whole

RATIOS = ("1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3")
AREAS = {"0.5 MP": 0.5, "1 MP": 1.0, "2 MP": 2.0, "4 MP": 4.0}
ULTRA_RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
FORMATS = {"jpg": "jpeg", "png": "png", "webp": "webp"}
COST = 10
"""Credits of a job."""

_ANY: Page = {
    "aspect_ratio": one_of(*RATIOS),
    "output_format": one_of(*FORMATS),
    "output_quality": whole(0, 100),
    "seed": whole(0, 2**32 - 1),
}
_CUSTOM: Page = {**_ANY, "aspect_ratio": one_of(*RATIOS, "custom"), **sides(256, 2048)}
_AREA: Page = {**_CUSTOM, "resolution": one_of(*AREAS)}
_UPSAMPLING: Page = {"prompt_upsampling": boolean()}

PAGES: Mapping[str, Page] = {
    "flux-2-max": _AREA,
    "flux-2-pro": {**_AREA, **_UPSAMPLING},
    "flux-2-flex": {**_AREA, **_UPSAMPLING, "steps": whole(1, 50), "guidance": number(1.5, 10)},
    "flux-2-dev": {**_CUSTOM, "go_fast": boolean()},
    "flux-1.1-pro": {**_CUSTOM, **_UPSAMPLING, **sides(256, 1440), "image_prompt": text()},
    "flux-1.1-pro-ultra": {
        "aspect_ratio": one_of(*ULTRA_RATIOS),
        "output_format": one_of("jpg", "png"),
        "seed": whole(0, 2**32 - 1),
        "raw": boolean(),
        "image_prompt": text(),
        "image_prompt_strength": number(0, 1),
    },
    # A Flux model that came after these pages, with what all of them have.
    "flux-unlisted": _ANY,
}
"""The fields of fluxParams."""
MIDJOURNEY = "midjourney"
"""A model with an object of parameters of its own, which the simulator does not look at."""
MULTIPLES: Mapping[str, int] = {"flux-2-flex": 32, "flux-2-dev": 32, "flux-1.1-pro": 32}
"""What custom sides are rounded to, where it is not 16. The page of flux-2-dev is silent: the coarser of the two."""


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
        key = received.headers.get("idempotency-key")
        if key in self._by_key:
            first, job_id = self._by_key[key]
            require(first == received.body, "Idempotency-Key was used for another request", status=409)
            return answer_json({"jobId": job_id, "status": "QUEUED"}, 202)
        job = self._start(body, fault)
        if key is not None:
            self._by_key[key] = (received.body, job.id)
        return answer_json({"jobId": job.id, "status": "QUEUED", **fault.extra}, 202)

    def ordered(self, body: Any) -> Ordered:
        require(isinstance(body, dict), "body must be JSON")
        prompt, model = body.get("prompt"), str(body.get("model"))
        require(isinstance(prompt, str) and 1 <= len(prompt) <= 2000, "prompt must be 1-2000 characters")
        require(model in (*PAGES, MIDJOURNEY, UNLISTED), f"unknown model {model}", status=404)
        params = body.get("fluxParams", {})
        require(isinstance(params, dict), "fluxParams must be an object")
        if model not in PAGES:
            require(not params, f"fluxParams are not for {model}")
            return Ordered((1024, 1024), "png", subject=prompt)
        check(params, PAGES[model], PAGES)
        return Ordered(
            size=_ultra_size(params) if model == "flux-1.1-pro-ultra" else _size(params, MULTIPLES.get(model, 16)),
            form=FORMATS[params.get("output_format", "webp")],
            quality=params.get("output_quality", 80),
            seed=params.get("seed"),
            subject=f"{prompt}|{params.get('steps')}|{params.get('guidance')}",
        )

    def _start(self, body: Mapping[str, Any], fault: Fault) -> Job:
        ordered = self.ordered(body)
        job = Job(str(uuid.uuid4()), str(body["model"]), [])
        self.jobs[job.id] = job
        if fault.soft_fail:
            job.error = fault.message
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


def _size(params: Mapping[str, Any], multiple: int) -> tuple[int, int]:
    """The pixels made: `custom` ones to the nearest multiple, else the ratio's at the resolution."""
    ratio = params.get("aspect_ratio", "1:1")
    if ratio == "custom":
        for side in ("width", "height"):
            require(side in params, f"{side} is required with aspect_ratio custom")
        return _rounded(params["width"], multiple), _rounded(params["height"], multiple)
    width, height = map(int, str(ratio).split(":"))
    scale = (AREAS[params.get("resolution", "1 MP")] * 1024 * 1024 / (width * height)) ** 0.5
    # No side is longer than 2048: at 4 MP a wide picture comes out smaller than asked for.
    scale = min(scale, 2048 / max(width, height))
    return _rounded(width * scale, 16), _rounded(height * scale, 16)


def _ultra_size(params: Mapping[str, Any]) -> tuple[int, int]:
    """About 4 megapixels, whatever the ratio."""
    width, height = map(int, params.get("aspect_ratio", "1:1").split(":"))
    scale = (4 * 1024 * 1024 / (width * height)) ** 0.5
    return int(width * scale / 32 + 0.5) * 32, int(height * scale / 32 + 0.5) * 32


def _rounded(side: float, multiple: int) -> int:
    return max(256, min(2048, int(side / multiple + 0.5) * multiple))


@contextmanager
def apiframe_simulator(*, port: int = 0, **settings: Any) -> Iterator[ApiframeSimulator]:
    with running(ApiframeSimulator(**settings), port) as simulator:
        yield simulator
