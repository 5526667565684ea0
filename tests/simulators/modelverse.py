"""UCloud ModelVerse: POST /v1/images/generations, GET /v1/models, and the file host of its results.

Source: the image API pages of ucloud-global.com. Codes of errors are not documented; `param` is the request's id.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from tests.simulators.base import Fault, Kind, Refused, Simulator, encoded, require, running
from tests.simulators.http import Answer, Received, answer_json

RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
MODELS = ("black-forest-labs/flux-kontext-max/text-to-image", "black-forest-labs/flux-kontext-pro/text-to-image")
CODES = {
    400: "invalid_parameter",
    401: "invalid_api_key",
    402: "insufficient_balance",
    403: "forbidden",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    500: "internal_error",
}


class ModelVerseSimulator(Simulator):
    name: ClassVar[str] = "modelverse"

    def __init__(self, *, key: str | None = None, mode: Literal["both", "url", "b64"] = "both") -> None:
        """`mode`: which fields an answer has; the page's example has both, whatever was asked for."""
        super().__init__(key=key)
        self.mode = mode

    def kind(self, received: Received) -> Kind | None:
        if received.path.startswith("/files/"):
            return "picture"
        return "submit" if (received.method, received.path) == ("POST", "/v1/images/generations") else None

    def authorised(self, received: Received) -> bool:
        return received.path == "/v1/models" or self.bearer(received)

    def other(self, received: Received) -> Answer:
        require(received.path == "/v1/models", "not found", status=404)
        owner = "UCloud_UModelverse"
        models = [{"id": name, "created": 1, "object": "model", "owned_by": owner} for name in MODELS]
        return answer_json({"object": "list", "data": models})

    def refusal(self, refused: Refused) -> Any:
        code = refused.code or CODES.get(refused.status, "internal_error")
        request_id = str(uuid.uuid4())
        return {"error": {"message": refused.message, "type": "api_error", "code": code, "param": request_id}}

    def generate(self, received: Received, fault: Fault) -> Answer:
        body = received.json
        require(isinstance(body, dict), "body must be JSON")
        if fault.soft_fail:
            return answer_json(self.refusal(Refused(200, fault.message, code=fault.code)))
        require(body.get("model") in MODELS, "model not found", status=404)
        size = _checked(body)
        seed = body.get("seed", -1)
        made = self.make(
            f"{body['prompt']}|{body.get('negative_prompt')}|{body.get('steps')}|{body.get('guidance_scale')}|{size}",
            size,
            fault,
            seed=None if seed == -1 else seed,
            count=body.get("n", 1),
        )
        data = [self._item(each) for each in made]
        return answer_json({"created": 1750667997, "data": data, "usage": {"input_tokens_details": {}}, **fault.extra})

    def _item(self, data: bytes) -> dict[str, str]:
        both = {"url": self.publish(data), "b64_json": encoded(data, data_uri=True)}
        if self.mode == "both":
            return both
        kept = "url" if self.mode == "url" else "b64_json"
        return {kept: both[kept]}


def _checked(body: Mapping[str, Any]) -> tuple[int, int]:
    """The size, once every value is one that the page allows; fields that it does not have are ignored."""
    prompt = body.get("prompt")
    require(isinstance(prompt, str) and bool(prompt), "prompt is required")
    ratio = body.get("aspect_ratio", "1:1")
    require(ratio in RATIOS, f"aspect_ratio must be one of {', '.join(RATIOS)}")
    for name, least, most, whole in (
        ("n", 1, 4, True),
        ("seed", -1, 2**32 - 1, True),
        ("steps", 1, 50, True),
        ("guidance_scale", 1, 10, False),
    ):
        value = body.get(name, least)
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        require(number and least <= value <= most, f"{name} must be {least}-{most}")
    width, height = map(int, str(ratio).split(":"))
    scale = (1024 * 1024 / (width * height)) ** 0.5
    return int(width * scale / 8) * 8, int(height * scale / 8) * 8


@contextmanager
def modelverse_simulator(*, port: int = 0, **settings: Any) -> Iterator[ModelVerseSimulator]:
    with running(ModelVerseSimulator(**settings), port) as simulator:
        yield simulator
