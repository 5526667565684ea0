"""Modular MAX's style: one message with the pictures as its parts.

Shapes: https://docs.modular.com/max/inference/image-generation. The `type` of the message, which MAX leaves out, is
there for clients that insist on it; so are the keys that Open Responses requires.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.api.responses.envelope import usage_of
from gateway.api.responses.shown import Event, Shown, Told
from normalization.pictures.finish import Finished
from normalization.vocabulary import Applied, Behavior


def uncalled(tools: list[dict[str, Any]]) -> tuple[Applied, ...]:
    """Tools that nobody here can run."""
    return tuple(
        Applied(f"tools[{index}]", Behavior.DROPPED, tool["type"], None, "only image_generation is run here")
        for index, tool in enumerate(tools)
        if tool["type"] != "image_generation"
    )


@dataclass(frozen=True, slots=True)
class MaxStyle:
    """A response whose output is one message of so many pictures."""

    item_id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(16)}_0")

    def recipe(self) -> dict[str, Any]:
        return {"style": "max", "item": self.item_id}

    def begun(self) -> dict[str, Any]:
        return self._message("in_progress", [])

    def failed(self, error: dict[str, Any]) -> dict[str, Any]:
        return self._message("incomplete", [])

    def done(self, told: Told) -> dict[str, Any]:
        return self._message("completed", [_part(each) for each in told.shown])

    def more(self, told: Told) -> dict[str, Any]:
        first, tail = told.shown[0].picture.size, told.tail
        details = {
            "width": first.width,
            "height": first.height,
            "megapixels": round(first.pixels / 1_000_000, 6),
            "steps": _steps(told) or 0,
            "image_count": len(told.shown),
        }
        usage = {**usage_of(tail["usage"]), "image_generation_details": details}
        return {"usage": usage, "imagegate": tail["metadata"]}

    def opening(self) -> list[Event]:
        return []

    def arrived(self, index: int, shown: Shown) -> list[Event]:
        place = {"item_id": self.item_id, "output_index": 0, "content_index": index}
        empty = {"type": "output_image", "format": shown.picture.format.value}
        return [
            ("response.content_part.added", {**place, "part": empty}),
            ("response.content_part.done", {**place, "part": _part(shown)}),
        ]

    def partial(self, index: int, picture: Finished) -> list[Event]:
        return []  # MAX's wire has no place for it

    def closing(self) -> list[Event]:
        return []

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.item_id, "type": "message", "role": "assistant", "status": status, "content": content}


def _part(shown: Shown) -> dict[str, Any]:
    picture = shown.picture
    part: dict[str, Any] = {"type": "output_image", "format": picture.format.value}
    part |= {"image_data": shown.mark} if shown.url is None else {"image_url": shown.url}
    if picture.seed is not None:
        part["seed"] = picture.seed
    if picture.revised_prompt is not None:
        part["revised_prompt"] = picture.revised_prompt
    return part


def _steps(told: Told) -> int | None:
    """The steps that were sent; None where the provider chose them, or has none to choose."""
    asked = told.outcome.main.candidate.request.steps
    entry = next((each for each in told.tail["metadata"]["parameters"] if each["name"] == "steps"), None)
    if asked is None or entry is None:
        return asked
    if entry["behavior"] == Behavior.DROPPED.value:
        return None
    sent: Any = entry["sent"]
    values = list(sent.values()) if isinstance(sent, Mapping) else [sent]
    return next((value for value in values if isinstance(value, int)), asked)
