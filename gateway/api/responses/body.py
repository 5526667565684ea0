"""From a response's fields to the images API's: which of the two a name means, and what errors are called."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from normalization.errors import CallerError, InvalidValue, UnsupportedParameter
from normalization.vocabulary import Applied, Behavior

UNSUPPORTED = "conversation"

RESPONSES_OWN = frozenset(
    {
        "access_programs",
        "citations",
        "context_management",
        "frequency_penalty",
        "include",
        "input",
        "instructions",
        "logit_bias",
        "logprobs",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "modalities",
        "model",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "service_tier",
        "stop",
        "store",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "verbosity",
    }
)
"""Fields of the Responses API, and of Modular MAX's, that say nothing about a picture
(https://platform.openai.com/docs/api-reference/responses/create)."""

SHARED = ("image", "moderation", "response_format")
"""Names that the Responses API has for objects of its own, and the images API for words."""


def picture_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say what picture is wanted and how the answer travels, extras included.

    Raises UnsupportedParameter for what would change the meaning of the whole request, and InvalidValue for a prompt.
    """
    if body.get(UNSUPPORTED) is not None:
        raise UnsupportedParameter(
            "conversation: no conversations are kept here; use previous_response_id", param=UNSUPPORTED
        )
    if isinstance(body.get("prompt"), str):
        raise InvalidValue("prompt: in a response the prompt is the text of input", param="prompt")
    fields = {name: value for name, value in body.items() if value is not None and name not in RESPONSES_OWN}
    for name in SHARED:
        if isinstance(fields.get(name), dict):
            del fields[name]
    background = fields.get("background")
    if background is True:
        raise UnsupportedParameter(
            "background: nothing is made in the background; leave it out, or stream", param="background"
        )
    if background is False:
        del fields["background"]
    return fields


def template_note(body: Mapping[str, Any]) -> tuple[Applied, ...]:
    """A prompt kept elsewhere cannot be looked up, and is told to be left out."""
    template = body.get("prompt")
    if template is None:
        return ()
    return (Applied("prompt", Behavior.DROPPED, template, None, "no prompt templates are kept here"),)


def refuse_degraded(notes: tuple[Applied, ...]) -> None:
    """What strict makes of notes. Raises UnsupportedParameter for the first."""
    for entry in notes:
        if entry.note is not None:
            raise UnsupportedParameter(
                f"{entry.name}: it would be degraded ({entry.note}), and strict is on", param=entry.name
            )


@contextlib.contextmanager
def renamed(names: Mapping[str, str]) -> Iterator[None]:
    """Errors about parameters under the names that the client used: `names` by the images API's name."""
    try:
        yield
    except CallerError as error:
        name = names.get(error.param or "")
        if name is None:
            raise
        label = rf"^(Invalid (?:value|type) for )?{re.escape(error.param or '')}(?=\W)"
        told = re.sub(label, lambda found: f"{found[1] or ''}{name}", error.message)
        raise type(error)(told, param=name, detail=error.detail, retry_after=error.retry_after) from error
