"""What this worker adds to MAX's wire: the top-level `imagegate` of a request, and what it tells of itself.

MAX ignores unknown keys at top level (docs.modular.com, "Image generation"), so that one request suits both.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from providers.flux_worker.protocol import Error, ErrorBody
from providers.flux_worker.words import SEED_MOST
from providers.flux_worker.worker.pictures import Form
from providers.flux_worker.worker.work import Mode, Model, Quality

PREVIEWS_MOST = 3
"""As many as OpenAI's `partial_images` may ask for."""

TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


class Extras(BaseModel):
    """`imagegate` of a request. `seeds`: one for each picture, instead of `seed` and those after it."""

    model_config = ConfigDict(extra="forbid")

    previews: Annotated[int, Field(ge=0, le=PREVIEWS_MOST)] = 0
    previews_format: Form = "jpeg"
    quality: Quality = "exact"
    mask: str | None = None
    """A data: URI. Transparent pixels, or white ones where it has no transparency, are made anew."""
    mode: Mode | None = None
    seeds: list[Annotated[int, Field(ge=0, le=SEED_MOST)]] | None = None


class Ours(BaseModel):
    """What this worker alone reads at top level."""

    stream: bool | None = None
    imagegate: Extras = Field(default_factory=Extras)


class Refusal(Exception):
    """What is answered instead of a picture. `code`: the status as text where there is no finer word."""

    def __init__(
        self, status: int, message: str, *, param: str = "", code: str | None = None, retry_after: float | None = None
    ) -> None:
        message = message or HTTPStatus(status).phrase  # an error of a library may say nothing
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """OpenAI's envelope."""
        kind = TYPES.get(self.status, "api_error" if self.status >= 500 else "invalid_request_error")
        error = Error(code=self.code or str(self.status), message=self.message, param=self.param, type=kind)
        return ErrorBody(error=error).model_dump()

    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(max(1, round(self.retry_after)))}


Ability = Literal["stream", "previews", "previews_format", "mask", "seeds", "quality", "pictures"]

ABILITIES: tuple[Ability, ...] = get_args(Ability)
"""What a client may use beyond MAX's own wire; a later worker may know more."""


def listed(model: Model, name: str) -> dict[str, Any]:
    """One entry of GET /v1/models: OpenAI's shape, and under `imagegate` what the model can do."""
    facts = {
        "family": model.family,
        "abilities": list(ABILITIES),
        "modes": sorted(model.modes),
        "default_steps": model.default_steps,
        "default_guidance": model.default_guidance,
        "default_size": "{}x{}".format(*model.default_size),
        "references_most": model.references_most,
        "guided": model.guided,
        "negative": model.negative,
        "sizes": [f"{width}x{height}" for width, height in model.sizes],
    }
    return {"id": name, "object": "model", "created": 0, "owned_by": "imagegate", "imagegate": facts}
