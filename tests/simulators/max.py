"""Modular MAX: POST /v1/responses, GET /v1/images/{id}/content, /health, /version.

Source: docs.modular.com, "Image generation" and `ImageProviderOptions`; statuses and envelope as Modular 26.7 answers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from tests.simulators.base import Fault, Kind, Ordered, Refused, Simulator, encoded, require, running
from tests.simulators.http import Answer, Received, answer_json
from tests.simulators.inputs import Given, from_data_uri, given
from tests.simulators.pictures import Kept

FLUX_2_DEV = "black-forest-labs/FLUX.2-dev"
TEXT_ALONE = "black-forest-labs/FLUX.1"
"""Models whose pipelines have no use for a picture, and do not say so."""
INVALID = "Validation error: input"


def _number(least: float, most: float = float("inf"), *, least_too: bool = False) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (value > least or (least_too and value == least)) and value <= most

    return fits


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _side(value: Any) -> bool:
    return _whole(128)(value) and value % 16 == 0


OPTIONS: Mapping[str, Callable[[Any], bool]] = {
    "negative_prompt": _text,
    "secondary_prompt": _text,
    "secondary_negative_prompt": _text,
    "guidance_scale": _number(0, least_too=True),
    "true_cfg_scale": _number(0),
    "cfg_normalization": lambda value: isinstance(value, bool),
    "cfg_truncation": _number(0),
    "flow_shift": _number(0),
    "width": _side,
    "height": _side,
    "steps": _whole(1),
    "num_images": _whole(1),
    "strength": _number(0, 1),
    "output_format": _text,
    "response_format": lambda value: value in ("url", "b64_json"),
}
"""What `provider_options.image` may hold; anything else is 422."""

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


class MaxSimulator(Simulator):
    """One model, no credentials, one request at a time."""

    name: ClassVar[str] = "max"

    def __init__(
        self,
        *,
        key: str | None = None,
        model: str | None = FLUX_2_DEV,
        by_url: bool = False,
        prompt_most: int = 2000,
        knows_response_format: bool = True,
    ) -> None:
        """`model` None serves any; `by_url` answers with relative addresses; `prompt_most` characters stand for the
        512 tokens of the text encoder; versions before `response_format` forbid it."""
        super().__init__(key=key)
        self.model, self.by_url, self.prompt_most = model, by_url, prompt_most
        self.options = {
            name: fits for name, fits in OPTIONS.items() if knows_response_format or name != "response_format"
        }

    def kind(self, received: Received) -> Kind | None:
        if received.path.startswith("/v1/images/"):
            return "picture"
        return "submit" if (received.method, received.path) == ("POST", "/v1/responses") else None

    def authorised(self, received: Received) -> bool:
        return self.key is None or self.bearer(received)

    def other(self, received: Received) -> Answer:
        if received.path == "/health":
            return Answer()
        if received.path == "/version":
            return answer_json({"version": "26.7.0"})
        raise Refused(404, "Not Found")

    def refusal(self, refused: Refused) -> Any:
        kind = TYPES.get(refused.status, "api_error" if refused.status >= 500 else "invalid_request_error")
        error = {"code": refused.code or str(refused.status), "message": refused.message, "param": "", "type": kind}
        return {"error": error}

    def generate(self, received: Received, fault: Fault) -> Answer:
        body = received.json
        ordered = self.ordered(body)
        options, size = self._options(body), ordered.size
        # A pipeline that raised: completed, without a picture, and the reason in the worker's log alone.
        made = self.make_ordered(replace(ordered, count=0) if fault.soft_fail else ordered, fault)
        content = [self._part(data, options, fault) for data in made]
        message = {"id": "msg_1_0", "role": "assistant", "status": "completed", "content": content}
        pixels = size[0] * size[1]
        details = {"width": size[0], "height": size[1], "megapixels": round(pixels / 1e6, 6), "image_count": len(made)}
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "image_generation_details": details}
        return answer_json(
            {
                "id": f"resp_{secrets.token_hex(16)}",
                "object": "response",
                "created_at": 1,
                "status": "completed",
                "model": body["model"],
                "output": [message],
                "usage": usage,
                **fault.extra,
            }
        )

    def ordered(self, body: Any) -> Ordered:
        require(isinstance(body, dict), "Invalid request: not JSON")
        options, (prompt, source), model = self._options(body), self._input(body), body.get("model")
        require(isinstance(model, str), "Validation error: model", status=422)
        served = self.model or model
        require(model == served, f"Unknown model '{model}', currently serving '['{served}']'.", status=404)
        require(options["output_format"] in ("png", "jpeg", "webp"), "Internal server error.", status=500)
        # What the picture depends on; a negative prompt without a scale above 1 is not even tokenized.
        guided = options.get("negative_prompt") if options.get("true_cfg_scale", 1.0) > 1 else None
        usual = (1024, 1024) if source is None else _capped(source.size)
        used = None if model.startswith(TEXT_ALONE) else source
        return Ordered(
            size=(options.get("width", usual[0]), options.get("height", usual[1])),
            form=options["output_format"],
            count=options.get("num_images", 1),
            seed=body.get("seed"),
            subject=f"{prompt}|{options.get('steps')}|{options.get('guidance_scale')}|{guided}",
            kept=None if used is None else Kept(used.colour),
        )

    def _part(self, data: bytes, options: Mapping[str, Any], fault: Fault) -> dict[str, Any]:
        part = {"type": "output_image", "format": options["output_format"]}
        if self.by_url or options.get("response_format") == "url":
            address = self.publish(data, "/v1/images/").removeprefix(self.origin) + "/content"
            self.files[address] = data
            return {**part, "image_url": address}
        return {**part, "image_data": encoded(data, data_uri=fault.data_uri)}

    def _options(self, body: Mapping[str, Any]) -> dict[str, Any]:
        require(
            body.get("stream") in (None, False), "Validation error: Streaming is not currently supported.", status=422
        )
        seed = body.get("seed")
        require(seed is None or (_whole(0)(seed) and seed < 2**32), "Validation error: seed", status=422)
        provider = body.get("provider_options", {"image": {}})
        require(isinstance(provider, dict), "Validation error: provider_options", status=422)
        require(set(provider) <= {"image", "max", "video", "audio"}, "Validation error: provider_options", status=422)
        options = provider.get("image")
        # Without options of a picture the answer is by address.
        given = {"response_format": "url"} if options is None else options
        require(isinstance(given, dict), "Validation error: provider_options.image", status=422)
        for name, value in given.items():
            known = self.options.get(name)
            message = f"Validation error: provider_options.image.{name}: Extra inputs are not permitted"
            require(known is not None or options is None, message, status=422)
            require(known is None or known(value), f"Validation error: provider_options.image.{name}", status=422)
        return {"output_format": "jpeg", **given}

    def _input(self, body: Mapping[str, Any]) -> tuple[str, Given | None]:
        """The prompt, and the first picture if there is one: of the others MAX says nothing, and uses none."""
        said, pictures = body.get("input"), []
        if isinstance(said, list):
            require(len(said) == 1 and isinstance(said[0], dict), "Validation error: exactly one message", status=422)
            require(set(said[0]) == {"role", "content"} and said[0]["role"] == "user", INVALID, status=422)
            content = said[0]["content"]
            parts = content if isinstance(content, list) else [{"type": "input_text", "text": content}]
            pictures = [_picture(part) for part in parts if part.get("type") != "input_text"]
            texts: list[Any] = [part.get("text") for part in parts if part.get("type") == "input_text"]
            require(all(isinstance(each, str) for each in texts), INVALID, status=422)
            said = " ".join(texts)
        require(isinstance(said, str), INVALID, status=422)
        prompt = str(said)
        require(bool(prompt), "Prompt must be a non-empty string")
        require(len(prompt) <= self.prompt_most, "Prompt is too long for the text encoder")
        return prompt, pictures[0] if pictures else None


def _picture(part: Mapping[str, Any]) -> Given:
    """A picture of a message. MAX would fetch an address as well: that nobody may make a worker do."""
    fits = set(part) == {"type", "image_url"} and part["type"] == "input_image"
    require(fits and str(part["image_url"]).startswith("data:"), "Validation error: only data URIs", status=422)
    try:
        return given(from_data_uri(part["image_url"], "image_url"), "image_url")
    except Refused as refused:
        raise Refused(422, f"Validation error: {refused.message}") from refused


def _capped(size: tuple[int, int]) -> tuple[int, int]:
    """What comes of a picture where no size is said: its own, up to one megapixel, in whole cells."""
    scale = min(1.0, (1024 * 1024 / (size[0] * size[1])) ** 0.5)
    width, height = (max(128, int(side * scale) // 16 * 16) for side in size)
    return width, height


@contextmanager
def max_simulator(*, port: int = 0, **settings: Any) -> Iterator[MaxSimulator]:
    with running(MaxSimulator(**settings), port) as simulator:
        yield simulator
