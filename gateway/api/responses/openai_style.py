"""OpenAI's style: a tool of type `image_generation`, answered by an `image_generation_call`.

Fields and shapes: https://platform.openai.com/docs/guides/tools-image-generation. The client's `model` is there the
model that would call the tool; here nobody but the client decides that a picture is made.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pybase64
from starlette.requests import Request

from gateway.api.callers import Caller
from gateway.api.entry import resolved
from gateway.api.picture_json import PictureJson
from gateway.api.responses.body import renamed
from gateway.api.responses.envelope import usage_of
from gateway.api.responses.max_style import uncalled
from gateway.api.responses.shown import Event, Shown, Told
from gateway.api.uploads import reference
from gateway.routing import Resolved
from gateway.services.intake import Given
from normalization.errors import InvalidType, InvalidValue, ModelNotFound
from normalization.parameters import BY_NAME, Parameter
from normalization.pictures.finish import Finished
from normalization.values import read_value
from normalization.vocabulary import Applied, Behavior, ImageRequest

TYPE = "image_generation"

ACTION = Parameter("action", "choice", "Whether pictures are edited.", choices=("generate", "edit", "auto"))
MASK = "input_image_mask"

READ_HERE = frozenset({"type", "action", "model", MASK})
NOT_THE_TOOLS = frozenset({"n", "num_images", "prompt", "provider_options", "response_format", "stream"})
"""What the tool has no field for: it makes one picture of what the input says, and always gives it as base64."""


@dataclass(frozen=True, slots=True)
class Tool:
    """The tool as the client configured it. `path` is its place, such as `tools[0]`; `fields` are those of the images
    API; `notes` tell what was not used."""

    path: str
    fields: Mapping[str, Any]
    action: str = "auto"
    model: str | None = None
    mask: Given | None = None
    notes: tuple[Applied, ...] = ()

    def names(self) -> dict[str, str]:
        """What the images API's parameters are called here."""
        return {name: f"{self.path}.{name}" for name in self.fields}


def split_tools(tools: Any) -> tuple[int, Mapping[str, Any]] | None:
    """The place of the tool that makes pictures, and the tool; None where there is none. Raises InvalidValue where
    there are several."""
    if not isinstance(tools, list):
        return None
    found = [(index, each) for index, each in enumerate(tools) if isinstance(each, dict) and each.get("type") == TYPE]
    if len(found) > 1:
        path = f"tools[{found[1][0]}]"
        raise InvalidValue(f"{path}: there is a tool of type {TYPE} already; one is accepted", param=path)
    return found[0] if found else None


def read_tool(index: int, tool: Mapping[str, Any], tools: list[dict[str, Any]], read: PictureJson) -> Tool:
    """The tool, read. Raises InvalidType, InvalidValue or MissingParameter, naming its field."""
    path = f"tools[{index}]"
    given = {name: value for name, value in tool.items() if value is not None}
    model = given.get("model")
    if model is not None and not isinstance(model, str):
        raise InvalidType(f"{path}.model: {str(model)[:100]!r} is not a model's name", param=f"{path}.model")
    action = None if "action" not in given else read_value(ACTION, given["action"], f"{path}.action")
    mask = None if MASK not in given else reference(f"{path}.{MASK}", given[MASK], read)
    notes = [
        Applied(f"{path}.{name}", Behavior.DROPPED, value, None, f"the tool has no field {name}")
        for name, value in given.items()
        if name in NOT_THE_TOOLS and not (name in ("n", "num_images") and value == 1)
    ]
    fields = {
        name: read.restored(value)
        for name, value in given.items()
        if name not in READ_HERE and name not in NOT_THE_TOOLS
    }
    return Tool(path, fields, action or "auto", model, mask, (*notes, *uncalled(tools)))


def without_masks(tools: Any) -> Any:
    """The tools as a response repeats them: a mask of megabytes is not sent back."""
    if not isinstance(tools, list):
        return tools
    return [
        {**tool, MASK: {}} if isinstance(tool, dict) and isinstance(tool.get(MASK), dict | str) else tool
        for tool in tools
    ]


def tool_body(fields: Mapping[str, Any], tool: Tool) -> tuple[dict[str, Any], tuple[Applied, ...]]:
    """The images API's fields: the tool's over those at top level; and what of the latter was not used."""
    body = {name: value for name, value in fields.items() if name in BY_NAME or name == "provider_options"}
    dropped: dict[str, Any] = {name: body.pop(name) for name in ("n", "num_images", "response_format") if name in body}
    options = body.get("provider_options")
    image = options.get("image") if isinstance(options, dict) else None
    if isinstance(options, dict) and isinstance(image, dict):
        lost = {name: image[name] for name in ("num_images", "response_format") if image.get(name) is not None}
        dropped |= {f"provider_options.image.{name}": value for name, value in lost.items()}
        body["provider_options"] = {
            **options,
            "image": {name: value for name, value in image.items() if name not in lost},
        }
    notes = tuple(
        Applied(name, Behavior.DROPPED, value, None, f"the tool {TYPE} gives one picture, as base64")
        for name, value in dropped.items()
        if value not in (1, "b64_json")
    )
    return {**body, **tool.fields}, notes


def is_called(choice: Any, tool: Tool) -> bool:
    """Whether the client lets the tool be called. Raises InvalidValue where it wants another one called."""
    if isinstance(choice, str):
        return choice != "none"
    if choice["type"] == TYPE:
        return True
    allowed = choice.get("tools")
    if choice["type"] == "allowed_tools" and isinstance(allowed, list):
        return any(isinstance(each, dict) and each.get("type") == TYPE for each in allowed)
    raise InvalidValue(
        f"tool_choice: {choice['type'][:100]!r} cannot be called here. Accepted: auto, none, required, "
        f"{{'type': '{TYPE}'}}.",
        param="tool_choice",
    )


def chosen_model(request: Request, caller: Caller, tool: Tool, model: Any) -> tuple[Resolved, tuple[Applied, ...]]:
    """The model that makes the picture: the tool's, else the client's, else the default; and a note where it is
    another one than was named. Raises InvalidType or ModelNotAllowed."""
    wanted = [(f"{tool.path}.model", tool.model), ("model", model)]
    named = [(path, name) for path, name in wanted if name is not None]
    for place, (path, name) in enumerate(named):
        try:
            with renamed({"model": path}):
                found = resolved(request, caller, name)
        except ModelNotFound:
            continue
        return found, () if place == 0 else (_instead(named[0][1], found),)
    found = resolved(request, caller, None)
    return found, (_instead(named[0][1], found),) if named else ()


def _instead(named: str, found: Resolved) -> Applied:
    note = f"no model of that name makes pictures here: {found.requested} is used"
    return Applied("model", Behavior.CONVERTED, named, found.requested, note)


@dataclass(frozen=True, slots=True)
class ToolStyle:
    """A response whose output is one call of the tool."""

    request: ImageRequest
    item_id: str = field(default_factory=lambda: f"ig_{secrets.token_hex(16)}")

    def recipe(self) -> dict[str, Any]:
        return {"style": "tool", "item": self.item_id, "asked": [self.request.prompt, self.request.operation]}

    def begun(self) -> dict[str, Any]:
        return {"id": self.item_id, "type": "image_generation_call", "status": "in_progress", "result": None}

    def failed(self, error: dict[str, Any]) -> dict[str, Any]:
        return {**self.begun(), "status": "failed", "error": error}

    def done(self, told: Told) -> dict[str, Any]:
        shown, tail = told.shown[0], told.tail
        picture = shown.picture
        item = {
            "id": self.item_id,
            "type": "image_generation_call",
            "status": "completed",
            "action": "generate" if self.request.operation == "generate" else "edit",
            "size": str(picture.size),
            "quality": tail.get("quality", "auto"),
            "background": tail.get("background", "auto"),
            "output_format": picture.format.value,
            "revised_prompt": picture.revised_prompt or self.request.prompt,
            "result": shown.mark,
        }
        return item if picture.seed is None else {**item, "seed": picture.seed}

    def more(self, told: Told) -> dict[str, Any]:
        counted = told.tail["usage"]
        return {
            "usage": usage_of(counted),
            "tool_usage": {"image_gen": counted, "web_search": {"num_requests": 0}},
            "imagegate": told.tail["metadata"],
        }

    def opening(self) -> list[Event]:
        return [self._event("in_progress"), self._event("generating")]

    def arrived(self, index: int, shown: Shown) -> list[Event]:
        return []

    def partial(self, index: int, picture: Finished) -> list[Event]:
        kind, data = self._event("partial_image")
        told = {"partial_image_index": index, "partial_image_b64": pybase64.b64encode(picture.data).decode("ascii")}
        return [(kind, {**data, **told, "output_format": picture.format.value})]

    def closing(self) -> list[Event]:
        return [self._event("completed")]

    def _event(self, step: str) -> Event:
        return f"response.image_generation_call.{step}", {"item_id": self.item_id, "output_index": 0}
