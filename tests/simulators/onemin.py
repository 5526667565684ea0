"""1min.ai: POST /api/features, and the signed addresses of its results.

Source: docs.1min.ai, "AI for Image". Errors are not documented: the envelope is the one that public clients read.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from tests.simulators.base import Fault, Kind, Refused, Simulator, encoded, require, running
from tests.simulators.http import Answer, Received, answer_json

RATIOS = {
    "1:1": (1024, 1024),
    "16:9": (1360, 768),
    "9:16": (768, 1360),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "4:5": (912, 1152),
    "5:4": (1152, 912),
}
FLUX_2 = ("black-forest-labs/flux-2-max", "black-forest-labs/flux-2-pro", "black-forest-labs/flux-2-flex")
FORMATS = {"jpg": "jpeg", "png": "png"}
SIGNATURE = "X-Amz-Signature"


class OneMinSimulator(Simulator):
    name: ClassVar[str] = "onemin"

    def __init__(self, *, key: str | None = None, address_lives: float = 900.0) -> None:
        """`address_lives`: seconds until a result's address is refused."""
        super().__init__(key=key)
        self.address_lives = address_lives
        self._expires: dict[str, float] = {}

    def kind(self, received: Received) -> Kind | None:
        if received.path.startswith("/development/images/"):
            return "picture"
        return "submit" if (received.method, received.path) == ("POST", "/api/features") else None

    def authorised(self, received: Received) -> bool:
        return self.matches(received.headers.get("api-key", ""))

    def refusal(self, refused: Refused) -> Any:
        if refused.status == 402:
            return {"message": "Insufficient credits"}
        return {"message": refused.message}

    def generate(self, received: Received, fault: Fault) -> Answer:
        body = received.json
        require(isinstance(body, dict), "Invalid JSON")
        require(body.get("type") == "IMAGE_GENERATOR", "type must be IMAGE_GENERATOR")
        model, params = body.get("model"), body.get("promptObject")
        require(model in FLUX_2, f"Model {model} not found", status=404)
        require(isinstance(params, dict), "promptObject is required")
        assert isinstance(params, dict)
        size = _checked(params)
        addresses: list[str] = []
        if not fault.soft_fail:
            subject = f"{params['prompt']}|{params.get('steps')}|{params.get('guidance')}|{size}"
            form = FORMATS[params.get("output_format", "png")]
            quality = params.get("output_quality")
            made = self.make(subject, size, fault, seed=params.get("seed"), form=form, quality=quality)
            addresses = [encoded(data, data_uri=True) if fault.data_uri else self._signed(data) for data in made]
        detail = {
            "promptObject": params,
            "resultObject": [address.split("?")[0].removeprefix(f"{self.origin}/") for address in addresses],
        }
        record = {
            "uuid": str(uuid.uuid4()),
            "model": model,
            "type": "IMAGE_GENERATOR",
            "status": "FAILED" if fault.soft_fail else "SUCCESS",
            "createdAt": "2026-03-27T10:00:00.000Z",
            "aiRecordDetail": detail,
            # One address, however many results there are.
            "temporaryUrl": addresses[0] if addresses else None,
            **({"message": fault.message} if fault.soft_fail else {}),
            **fault.extra,
        }
        return answer_json({"aiRecord": record})

    def _signed(self, data: bytes) -> str:
        address = self.publish(data, "/development/images/")
        self._expires[address.removeprefix(self.origin)] = time.monotonic() + self.address_lives
        return f"{address}?X-Amz-Expires=900&{SIGNATURE}=0a1b2c%2F3d"

    def _file(self, received: Received) -> Answer:
        signed = received.query.get(SIGNATURE) == "0a1b2c/3d"
        fresh = self._expires.get(received.path, 0) > time.monotonic()
        # Two ways of authenticating at once are refused, as object stores do.
        clean = not any(name in received.headers for name in ("authorization", "api-key"))
        if not (signed and fresh and clean):
            super()._file(received)
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>", {"content-type": "application/xml"})
        return super()._file(received)


def _checked(params: Mapping[str, Any]) -> tuple[int, int]:
    """The size, once every value is one that the page allows; keys that it does not have are ignored."""
    prompt = params.get("prompt")
    require(isinstance(prompt, str) and bool(prompt), "prompt is required")
    ratio = params.get("aspect_ratio", "1:1")
    require(ratio in RATIOS, f"aspect_ratio must be one of {', '.join(RATIOS)}")
    require(params.get("output_format", "png") in FORMATS, "output_format must be jpg or png")
    for name, least, most in (
        ("output_quality", 0, 100),
        ("steps", 15, 50),
        ("guidance", 2, 5),
        ("safety_tolerance", 1, 6),
        ("seed", 0, 2**32 - 1),
    ):
        value = params.get(name, least)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        require(number and least <= value <= most, f"{name} must be {least}-{most}")
    upsampling = params.get("prompt_upsampling", False)
    require(isinstance(upsampling, bool), "prompt_upsampling must be a boolean")
    return RATIOS[ratio]


@contextmanager
def onemin_simulator(*, port: int = 0, **settings: Any) -> Iterator[OneMinSimulator]:
    with running(OneMinSimulator(**settings), port) as simulator:
        yield simulator
