"""POST /v1/responses, and GET and DELETE of what it has answered."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from gateway.api.callers import Caller, base_url
from gateway.api.carrying import carried_out
from gateway.api.dry_run import dry_run
from gateway.api.entry import identified, is_dry_run, no_thumbnail, resolved, strict
from gateway.api.once import of_json, once
from gateway.api.picture_json import PictureJson, read_picture_json
from gateway.api.responses.body import picture_fields, refuse_degraded, renamed, template_note
from gateway.api.responses.envelope import Resource, read_echo
from gateway.api.responses.items import Said, read_input
from gateway.api.responses.max_style import MaxStyle, uncalled
from gateway.api.responses.openai_style import (
    MASK,
    Tool,
    ToolStyle,
    chosen_model,
    is_called,
    read_tool,
    split_tools,
    tool_body,
    without_masks,
)
from gateway.api.responses.quiet import nothing_made
from gateway.api.responses.recalling import recalled
from gateway.api.responses.telling import Keeping, Telling
from gateway.api.responses.writing import StoredJson
from gateway.api.sse import EventStream
from gateway.container import Services
from gateway.ordering import Asked, Prepared
from gateway.resuming import read_applied
from gateway.routing import Resolved
from gateway.services.intake import Given
from normalization.errors import (
    InvalidType,
    InvalidValue,
    MissingParameter,
    NotFound,
    OperatorError,
    UnsupportedParameter,
)
from normalization.vocabulary import Applied, Behavior, Format, ImageRequest


@dataclass(frozen=True, slots=True)
class _Question:
    """A request as read: `fields` are those of the images API, `echo` what the answer repeats."""

    model: str | None
    fields: Mapping[str, Any]
    echo: Mapping[str, Any]
    said: Said
    tool: Tool | None
    notes: tuple[Applied, ...]

    @property
    def names(self) -> dict[str, str]:
        """What the images API's parameters are called in this request."""
        return {"prompt": "input", "image": "input", **({} if self.tool is None else self.tool.names())}


async def create_response(request: Request) -> ASGIApp:
    """Make pictures of what the input says; `?dryRun=true` tells what would be sent, and sends nothing."""
    services: Services = request.app.state.services
    caller = await identified(request)
    no_thumbnail(request)
    limits = services.settings.limits
    read = await read_picture_json(
        request, services.spool, bytes_most=limits.json_body_bytes, seconds_most=limits.body_seconds
    )
    question = _question(read)
    return await once(request, services, caller, of_json(read), lambda: _created(request, services, caller, question))


async def _created(request: Request, services: Services, caller: Caller, question: _Question) -> ASGIApp:
    if question.tool is not None and not is_called(question.echo["tool_choice"], question.tool):
        resource = _resource(question, question.model or services.catalogue.default)
        stream = bool(question.fields.get("stream"))
        return await nothing_made(request, Keeping(services, caller.name), resource, stream=stream)
    prepared, model = await _prepared(request, services, caller, question)
    if is_dry_run(request):
        return JSONResponse(dry_run(prepared))
    return await _answered(
        request, services, caller, prepared, _resource(question, question.model or model.requested), question
    )


async def get_response(request: Request) -> ASGIApp:
    """An answer that was kept, pictures included, as it was given. Raises NotFound, also for another key's."""
    services: Services = request.app.state.services
    caller = await identified(request)
    if request.query_params.get("stream", "").lower() in ("true", "1"):
        raise UnsupportedParameter(
            "stream: a response that is done is not streamed again; leave it out", param="stream"
        )
    id: str = request.path_params["response"]
    kept = await services.state.responses.find(id, caller.name, time.time())
    if kept is None:
        raise _unknown(id)
    pieces = [piece if isinstance(piece, bytes) else await services.storage.open(piece) for piece in kept.body]
    whole = [piece for piece in pieces if piece is not None]
    if len(whole) < len(pieces):  # its pictures went first
        raise _unknown(id)
    return StoredJson(whole)


async def delete_response(request: Request) -> JSONResponse:
    """Forget an answer and its pictures, which are in no other. Raises NotFound, also for another key's;
    StateUnavailable where that could not be recorded, or a picture could not go: asked again, what is left goes."""
    services: Services = request.app.state.services
    caller = await identified(request)
    id: str = request.path_params["response"]
    kept = await services.state.responses.find(id, caller.name, time.time())
    if kept is None:
        raise _unknown(id)
    # First the record, which may be refused: nothing has gone then.
    if not await services.state.responses.delete(id, caller.name, time.time()):
        raise _unknown(id)
    try:
        for picture in kept.pictures:
            await services.storage.delete(picture.name)
    except OperatorError:
        await services.state.responses.keep(kept)  # so that it can be asked again
        raise
    return JSONResponse({"id": id, "object": "response", "deleted": True})


def _unknown(id: str) -> NotFound:
    return NotFound(f"Response with id {id[:100]!r} not found: it has expired, was not stored, or was never made.")


def _question(read: PictureJson) -> _Question:
    value = {name: each for name, each in read.value.items() if each is not None}
    found = split_tools(value.get("tools"))
    plain = {name: without_masks(each) if name == "tools" else each for name, each in value.items() if name != "input"}
    body: dict[str, Any] = read.restored(plain)
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise InvalidType(f"model: {str(model)[:100]!r} is not a model's name, which is a string", param="model")
    fields, echo, notes = picture_fields(body), read_echo(body), template_note(body)
    said = read_input(value.get("input"), echo["previous_response_id"], read)
    if found is None:
        return _Question(model, fields, echo, said, None, (*notes, *uncalled(echo["tools"])))
    tool = read_tool(*found, echo["tools"], read)
    fields, more = tool_body(fields, tool)
    return _Question(model, fields, echo, said, tool, (*notes, *tool.notes, *more))


async def _prepared(
    request: Request, services: Services, caller: Caller, question: _Question
) -> tuple[Prepared, Resolved]:
    tool, prompt, notes = question.tool, question.said.prompt, question.notes
    if tool is None:
        model = resolved(request, caller, question.model)
    else:
        model, instead = chosen_model(request, caller, tool, question.model)
        notes = (*notes, *instead)
    if not prompt:
        raise MissingParameter("input: no text of the user's says what picture is wanted", param="input")
    given, unused = _used(await recalled(services, caller, question.said.pictures), tool)
    asked = Asked(
        {**question.fields, "prompt": prompt, "model": model.requested},
        "edit" if given else "generate",
        format=Format.JPEG if tool is None else Format.PNG,
        response_format="b64_json",
        base=base_url(request, services.settings),
    )
    with renamed(question.names):
        services.ordering.check(asked, model)
    if given:
        mask = None if tool is None else tool.mask
        pictures, taken = await services.intake.take(given, mask, param="input")
        asked = replace(asked, pictures=pictures, mask=taken)
    with renamed(question.names):
        prepared = services.ordering.prepare(asked, model, strict=strict(request), unpriced=caller.unpriced)
    notes = (*notes, *unused)
    if prepared.strict:
        refuse_degraded(notes)
    return replace(prepared, delivery=(*prepared.delivery, *notes)), model


def _used(given: tuple[Given, ...], tool: Tool | None) -> tuple[tuple[Given, ...], tuple[Applied, ...]]:
    """The pictures to edit, as the tool's `action` would have it. Raises MissingParameter or InvalidValue."""
    if tool is None:
        return given, ()
    unused: tuple[Applied, ...] = ()
    if tool.action == "generate" and given:
        note = f"{tool.path}.action is generate: the input's pictures are not used"
        unused = (Applied("input", Behavior.DROPPED, f"pictures: {len(given)}", None, note),)
        given = ()
    if tool.action == "edit" and not given:
        raise MissingParameter(f"input: no picture to edit, and {tool.path}.action is edit", param="input")
    if tool.mask is not None and not given:
        name = f"{tool.path}.{MASK}"
        raise InvalidValue(f"{name}: a mask is for an input picture, and there is none to edit", param=name)
    return given, unused


def _resource(question: _Question, model: str) -> Resource:
    return Resource(f"resp_{secrets.token_hex(16)}", int(time.time()), model, question.echo)


async def _answered(
    request: Request, services: Services, caller: Caller, prepared: Prepared, resource: Resource, question: _Question
) -> ASGIApp:
    style = MaxStyle() if question.tool is None else ToolStyle(prepared.request)
    base = base_url(request, services.settings) if prepared.response_format == "url" else None
    telling = Telling(
        services,
        Keeping(services, caller.name),
        resource,
        style,
        base,
        strict=prepared.strict,
        delivery=prepared.delivery,
        streams=prepared.stream,
    )
    if prepared.stream:
        return EventStream(request, services, caller, prepared, telling.script, telling, telling.opening())
    return await carried_out(request, services, caller, prepared, telling)


def restored_response(services: Services, recipe: Mapping[str, Any]) -> Telling:
    """From `Telling.recipe`."""
    style: MaxStyle | ToolStyle = MaxStyle(recipe["item"])
    if recipe["style"] == "tool":
        prompt, operation = recipe["asked"]
        style = ToolStyle(ImageRequest(prompt, "", operation), recipe["item"])
    return Telling(
        services,
        Keeping(services, recipe["owner"]),
        Resource(*recipe["resource"]),
        style,
        recipe["base"],
        strict=recipe["strict"],
        delivery=tuple(read_applied(recipe["delivery"])),
        streams=recipe["streams"],
    )
