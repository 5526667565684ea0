"""`${VAR}`, `${VAR:-default}` and `os.environ/VAR`: filled in once, so that no variable's value is read as another's.

`$${` stands for a literal `${`. `:-` answers for an empty variable too, as in a shell. `os.environ/VAR` is LiteLLM's
spelling (https://docs.litellm.ai/docs/proxy/configs), and must be the whole value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SPELLINGS = "${VAR} or ${VAR:-default}, VAR of letters, digits and underscores; $${ for a literal ${"

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_TOKEN = re.compile(r"\$\$\{|\$\{(?P<name>" + _NAME + r")(?::-(?P<default>(?:(?!\$\{)[^}])*))?\}|(?P<open>\$\{)")
_LITELLM = "os.environ/"


class Unfillable(Exception):
    """A text whose variables cannot be filled in. `what` names variables, never a value."""

    def __init__(self, what: str, accepted: str) -> None:
        super().__init__(what)
        self.what = what
        self.accepted = accepted


def has_variables(text: str) -> bool:
    return "${" in text or text.startswith(_LITELLM)


def fill(text: str, environ: Mapping[str, str]) -> str:
    """The text with its variables filled in, once. Raises Unfillable for a missing one or a spelling unheard of."""
    if text.startswith(_LITELLM):
        name = text.removeprefix(_LITELLM)
        if not re.fullmatch(_NAME, name):
            raise Unfillable("not a variable", f"{_LITELLM}VAR as the whole value, {SPELLINGS}")
        text = f"${{{name}}}"
    missing: list[str] = []

    def value(token: re.Match[str]) -> str:
        if token["open"]:
            raise Unfillable("a ${ that begins no variable", SPELLINGS)
        if token["name"] is None:
            return "${"
        held = environ.get(token["name"])
        if token["default"] is not None:
            return held or token["default"]
        if held is None:
            missing.append(token["name"])
        return held or ""

    filled = _TOKEN.sub(value, text)
    if missing:
        names = " and ".join(dict.fromkeys(missing))
        raise Unfillable(
            f"the variable {names} is not set", f"set it in the environment, or write ${{{missing[0]}:-default}}"
        )
    return filled
