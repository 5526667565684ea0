"""What a worker's refusal means for the client: its words, and the parameter by the client's own name.

A worker is the operator's own, and what it says of a request is the only place where the reason stands: unlike other
providers' words these are passed on, cut short, in one line, without addresses, paths, keys and control characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from normalization.errors import RejectedByProvider
from normalization.parameters import BY_NAME, IMAGE_OPTIONS
from providers.base import Failed
from providers.failures import Complaint, redacted
from providers.flux_worker.words import IMAGE

SAID_MOST = 240
"""Characters of a worker's own words that the client is shown."""

PARAMETERS: Mapping[str, str] = {
    **{name: parameter.name for name, parameter in (*BY_NAME.items(), *IMAGE_OPTIONS.items())},
    "image_url": "image",
    "mask": "mask",
    "width": "size",
    "height": "size",
}
"""What the client calls the fields of this wire. The pixels that are sent come of its size, ratio or tier."""

INPUT = "input"
"""The field that holds both prompt and pictures."""

_OPENING = re.compile(r"(?:Validation error|Invalid request): ", re.IGNORECASE)
_FIELD = re.compile(r"(?P<path>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)(?:: |$)")
_OWN = re.compile(rf"\b(?:{re.escape(IMAGE)}|imagegate)\.(?P<name>[a-z_]+)")
_PROMPT = re.compile(r"Prompt\b", re.IGNORECASE)
_PLACES = re.compile(
    r"\[[0-9a-f:]*:[0-9a-f:]*\](?::\d+)?|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|\b(?:localhost|[\w-]+(?:\.[\w-]+)+):\d{2,5}\b",
    re.IGNORECASE,
)
_PATHS = re.compile(r"(?<![\w./])~?(?:/[\w.@+-]+){2,}/?|\b[A-Za-z]:\\\S+")


def refusal(complaint: Complaint, detail: str) -> Failed:
    """The worker cannot do this request as it is. `detail` is for the operator's log."""
    about, words = _parted(complaint)
    shown = tellable(words)
    message = "the worker refused the request as invalid"
    if about and shown:
        message += f'; of "{about}" it says: {shown}'
    elif about:
        message += f'; it seems to be about "{about}"'
    elif shown:
        message += f"; it says: {shown}"
    return Failed(RejectedByProvider(message, detail=detail), refused=True, outcome="rejected_by_provider")


def tellable(words: str) -> str:
    """A worker's words as a client may read them: at most `SAID_MOST` characters, printable, on one line."""
    printable = "".join(letter if letter.isprintable() else " " for letter in words)
    scrubbed = redacted(_PATHS.sub("<path>", _PLACES.sub("<address>", printable)))
    return scrubbed if len(scrubbed) <= SAID_MOST else f"{scrubbed[: SAID_MOST - 1].rstrip()}…"


def _parted(complaint: Complaint) -> tuple[str | None, str]:
    """The parameter, where one is named, and what is said of it, with this wire's paths gone."""
    words = _OPENING.sub("", complaint.said.strip(), count=1)
    name = complaint.param
    field = _FIELD.match(words)
    if field is not None:
        last = field["path"].rsplit(".", 1)[-1]
        if "." in field["path"] or last in {name, INPUT, *PARAMETERS}:
            name, words = name or last, words[field.end() :]
        if field["path"].startswith("imagegate.") and last not in PARAMETERS:
            name = None  # what the gateway says to its worker, and no client has a word for
    if name in (None, INPUT):
        name = "prompt" if _PROMPT.match(words) else None
    words = _OWN.sub(lambda found: _name(found["name"]) or found["name"], words)
    return (None if name is None else _name(name)), words


def _name(name: str) -> str | None:
    """The client's name of a field; a field without one is an extra of the client's own, by its own name."""
    known = PARAMETERS.get(name)
    return known or (name if re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) else None)
