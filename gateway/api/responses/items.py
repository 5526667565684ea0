"""The input of a response: texts that form the prompt, and the pictures to edit, in the order of the conversation.

The texts of the user's messages are the prompt, joined by line ends. A picture made earlier stands for the conversation
that led to it: where the user says something after it, what was said and shown before it is not repeated. Other roles'
messages, and items of tools that are not run here, are no part of the prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.api.bodies import kind_of
from gateway.api.picture_json import PictureJson
from gateway.api.uploads import reference
from gateway.services.intake import Given
from normalization.errors import InvalidType, InvalidValue, MissingParameter, UnsupportedParameter

ROLES = ("user", "assistant", "system", "developer")

CALL = "image_generation_call"

IGNORED = frozenset(
    {
        "additional_tools",
        "apply_patch_call",
        "apply_patch_call_output",
        "code_interpreter_call",
        "compaction",
        "compaction_trigger",
        "computer_call",
        "computer_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "file_search_call",
        "function_call",
        "function_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "reasoning",
        "shell_call",
        "shell_call_output",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
    }
)
"""Items that a client repeats from a conversation with another model
(https://platform.openai.com/docs/api-reference/responses/create, `input`)."""

PARTS = "input_text and input_image"


@dataclass(frozen=True, slots=True)
class Reference:
    """Pictures that were made here before: the id of a response or of an output item, and where the client wrote it."""

    param: str
    id: str


@dataclass(frozen=True, slots=True)
class Said:
    """What the input asks for. `prompt` is empty where there was no text."""

    prompt: str
    pictures: tuple[Given | Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A text of the user's, a picture of theirs, or a picture made before."""

    text: str | None = None
    picture: Given | Reference | None = None
    made: bool = False


def read_input(value: Any, previous: str | None, read: PictureJson) -> Said:
    """The input of a request; `previous` is the id of the response that it goes on from.

    Raises InvalidType, InvalidValue, MissingParameter or UnsupportedParameter, naming the item.
    """
    if value is None:
        raise MissingParameter("input is missing: a string, or an array of messages", param="input")
    entries = []
    if previous is not None:
        entries.append(_Entry(picture=Reference("previous_response_id", previous), made=True))
    if isinstance(value, str):
        entries.append(_Entry(text=read.restored(value)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            entries += _item(f"input[{index}]", item, read)
    else:
        raise InvalidType(f"input: a string or an array is expected, not {kind_of(value)}", param="input")
    return _said(_current(entries))


def _current(entries: Sequence[_Entry]) -> Sequence[_Entry]:
    """The entries from the newest made pictures on, where the user says anything after them; else all."""
    start = max((index for index, entry in enumerate(entries) if entry.made), default=0)
    if not any(entry.text for entry in entries[start + 1 :]):
        return entries
    while start > 0 and entries[start].made and entries[start - 1].made:
        start -= 1
    return entries[start:] if entries[start].made else entries


def _said(entries: Sequence[_Entry]) -> Said:
    return Said(
        "\n".join(entry.text for entry in entries if entry.text),
        tuple(entry.picture for entry in entries if entry.picture is not None),
    )


def _item(label: str, item: Any, read: PictureJson) -> Iterator[_Entry]:
    if not isinstance(item, Mapping):
        raise InvalidType(f"{label}: an object is expected, not {kind_of(item)}", param=label)
    kind = item.get("type")
    if kind is None:
        kind = "message" if "role" in item or "id" not in item else "item_reference"
    if not isinstance(kind, str):
        raise InvalidType(f"{label}.type: a string is expected, not {kind_of(kind)}", param=f"{label}.type")
    if kind == "message":
        yield from _message(label, item, read)
    elif kind == CALL and item.get("result") is not None:
        yield _Entry(picture=reference(f"{label}.result", item["result"], read), made=True)
    elif kind in (CALL, "item_reference"):
        yield _Entry(picture=Reference(f"{label}.id", _id(label, item)), made=True)
    elif kind not in IGNORED:
        raise InvalidValue(
            f"{label}.type: {str(kind)[:100]!r} is unknown. Accepted: message, {CALL}, item_reference.",
            param=f"{label}.type",
        )


def _id(label: str, item: Mapping[str, Any]) -> str:
    id = item.get("id")
    if id is None:
        raise MissingParameter(f"{label}.id is missing: which picture is meant", param=f"{label}.id")
    if not isinstance(id, str):
        raise InvalidType(f"{label}.id: a string is expected, not {kind_of(id)}", param=f"{label}.id")
    return id


def _message(label: str, item: Mapping[str, Any], read: PictureJson) -> Iterator[_Entry]:
    role = item.get("role")
    if role is None:
        raise MissingParameter(f"{label}.role is missing. Accepted: {', '.join(ROLES)}.", param=f"{label}.role")
    if role not in ROLES:
        raise InvalidValue(
            f"{label}.role: {str(role)[:100]!r} is unknown. Accepted: {', '.join(ROLES)}.", param=f"{label}.role"
        )
    if role != "user":
        return
    content = item.get("content")
    if content is None:
        raise MissingParameter(f"{label}.content is missing: a string or an array", param=f"{label}.content")
    if isinstance(content, str):
        yield _Entry(text=read.restored(content))
    elif isinstance(content, list):
        for index, part in enumerate(content):
            yield _part(f"{label}.content[{index}]", part, read)
    else:
        raise InvalidType(
            f"{label}.content: a string or an array is expected, not {kind_of(content)}", param=f"{label}.content"
        )


def _part(label: str, part: Any, read: PictureJson) -> _Entry:
    if not isinstance(part, Mapping):
        raise InvalidType(f"{label}: an object is expected, not {kind_of(part)}", param=label)
    kind = part.get("type")
    if kind == "input_text":
        text = part.get("text")
        if not isinstance(text, str):
            raise InvalidType(f"{label}.text: a string is expected, not {kind_of(text)}", param=f"{label}.text")
        return _Entry(text=read.restored(text))
    if kind == "input_image":
        named = {name: part.get(name) for name in ("image_url", "file_id")}
        return _Entry(picture=reference(label, named, read))
    if kind in ("input_file", "input_video", "input_audio"):
        raise UnsupportedParameter(f"{label}: {kind} is not supported; send {PARTS}", param=label)
    if kind is None:
        raise MissingParameter(f"{label}.type is missing. Accepted: {PARTS}.", param=f"{label}.type")
    raise InvalidValue(f"{label}.type: {str(kind)[:100]!r} is unknown. Accepted: {PARTS}.", param=f"{label}.type")
