"""sketch, built in: what it can be asked for, and the work that makes the picture here.

There is no wire. A submission is `Work` for the codec pool, whose bytes are the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from normalization.errors import BadUpstreamResponse
from normalization.geometry import SIDE_MOST, Grid, Offers
from normalization.plan import Call
from normalization.rules import FREE, Profile, Row, Way, emulated, same, unsupported
from normalization.vocabulary import Behavior, Size
from providers.base import Failed, Options, Reply, Traits, WireReply, WireRequest, Work
from providers.sketch.bounds import PIXELS_MOST, STRENGTH

DRAW = "providers.sketch:draw"
REDRAW = "providers.sketch:redraw"

PICTURES_MOST = 16
"""Of an edit: as many as the gateway takes."""

BACKGROUND: Row = (
    Way(Behavior.EMULATED, takes=lambda value: value in ("opaque", "auto")),
    *unsupported("sketch paints to every edge: its pictures are opaque"),
)

ROWS: Mapping[str, Row] = {
    "prompt": same("prompt"),
    "negative_prompt": unsupported(
        'sketch draws only what the words ask for: leave it out, or write "no ..." in the prompt'
    ),
    "seed": same("seed"),
    "quality": unsupported("sketch draws in one quality"),
    "steps": unsupported("sketch draws by rules and has no diffusion steps"),
    "guidance": unsupported("sketch draws by rules: there is no model to guide"),
    "strength": same("strength"),
    "style": unsupported("sketch has one style of drawing"),
    "background": BACKGROUND,
    "moderation": unsupported("sketch moderates nothing: it draws landscapes and patterns alone"),
    "input_fidelity": unsupported("sketch redraws in one way: strength says how much of a picture stays"),
    "safety_tolerance": unsupported("sketch has no safety filter: it draws landscapes and patterns alone"),
    "prompt_upsampling": unsupported("sketch has no model that could rewrite a prompt"),
    "enable_safety_checker": emulated(),
    "sync_mode": emulated(),
    "user": emulated(),
    "safety_identifier": emulated(),
}


class Sketch:
    """Deterministic pictures from prompt, seed and size, and from the pictures to edit; one a call, PNG, any size."""

    type: ClassVar[str] = "sketch"
    base_url: ClassVar[str | None] = ""
    traits: ClassVar[Traits] = Traits(idempotent_submit=True, billable=False)
    known_models: ClassVar[tuple[str, ...]] = ("sketch",)

    def __init__(self, options: Options) -> None:
        self.options = options

    def profile(self, model: str, pictures: int = 0) -> Profile:
        """The same whatever the model is called. An edit can do without a prompt: it is a variation then."""
        profile = self._profile(model)
        if not pictures:
            return profile
        return replace(
            profile, operations=("edit",), input_images_max=PICTURES_MOST, mask="emulated", prompt_optional=True
        )

    def _profile(self, model: str) -> Profile:
        return Profile(
            provider=self.type,
            model=model,
            rows=ROWS,
            offers=Offers(
                grid=Grid(write=_pixels, least=1, most=SIDE_MOST, pixels_most=PIXELS_MOST), default=Size(1024, 1024)
            ),
            price=FREE,
            needs_seed=True,
            notes="Drawn by rules from the prompt's words, not by an AI model; each picture says so.",
        )

    def headers(self, secret: str | None) -> Mapping[str, str]:
        """None: nobody is asked."""
        return {}

    def submit(self, call: Call, attempt: str) -> Work:
        size = {name: call.payload[name] for name in ("width", "height", "seed")}
        if not call.pictures:
            return Work(DRAW, {"prompt": call.payload["prompt"], **size})
        said = {"prompt": call.payload.get("prompt", ""), "strength": call.payload.get("strength", STRENGTH)}
        return Work(REDRAW, {**said, **size, "pictures": call.pictures})

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        """Never reached by a working gateway, since `submit` asks nobody; an answer to nothing is a failure."""
        error = BadUpstreamResponse(
            "sketch: an answer arrived although nothing was asked", detail=f"HTTP {reply.status}"
        )
        return Failed(error, refused=False, outcome="unexpected_reply")


def _pixels(size: Size) -> Mapping[str, int]:
    return {"width": size.width, "height": size.height}
