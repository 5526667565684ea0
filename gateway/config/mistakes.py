"""A mistake in the configuration, in one line: where it is, what is wrong and what would be accepted."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from normalization.errors import ConfigurationError

Path = tuple[str | int, ...]
"""Where a value stands: keys of mappings, positions in lists."""

SHOWN_MOST = 60
_SECRET = frozenset({"admin_key", "api_key", "key", "signing_key"})
URLS = frozenset({"base_url", "base_urls", "public_url", "url"})
_BARE = re.compile(r"[\w/*?-]+")


@dataclass(frozen=True, slots=True)
class Mistake:
    """`what` is wrong at `path`. A secret stands in neither text."""

    path: Path
    what: str
    accepted: str = ""

    def __str__(self) -> str:
        said = f"{spell(self.path)}: {self.what}" if self.path else self.what
        return f"{said}; accepted: {self.accepted}" if self.accepted else said


def spell(path: Path) -> str:
    """`models.flux-2-max.routes[0].provider`; a key that holds a dot or worse stands in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE.fullmatch(part) else shown(part))
    return text


def shown(value: Any) -> str:
    """A value on one line, cut short; a container by its kind alone."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number of more than 77 digits"
    text = json.dumps(value, ensure_ascii=False)
    text = text if text.isprintable() else json.dumps(value)
    return text if len(text) <= SHOWN_MOST else f"{text[: SHOWN_MOST - 1]}…"


@dataclass(frozen=True, slots=True)
class Echo:
    """What may be said of a value: a secret never, nor a URL, which can hold one; of what variables filled in, the
    text as `written` in the file."""

    data: Any
    written: Mapping[Path, str]

    def of(self, path: Path) -> str:
        if is_secret(path) or not URLS.isdisjoint(path):
            return "the value"
        if path in self.written:
            return f"what {shown(self.written[path])} stands for"
        return shown(self.value(path))

    def value(self, path: Path) -> Any:
        """What stands at `path`; None where nothing does."""
        found: Any = self.data
        for part in path:
            if isinstance(found, dict):
                found = found.get(str(part))
            else:
                found = found[part] if isinstance(found, list) and isinstance(part, int) else None
        return found


def is_secret(path: Path) -> bool:
    """Whether the value at `path` must never be repeated."""
    return "headers" in path or (bool(path) and path[-1] in _SECRET)


def unknown(what: str, name: str, names: Iterable[str]) -> str:
    """`unknown key (did you mean "port"?)`, the question only where a known name is near."""
    known = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name[:256].lower(), known, n=1, cutoff=0.6)
    return f"{what} (did you mean {shown(known[close[0]])}?)" if close else what


def one_of(names: Iterable[str]) -> str:
    return ", ".join(name if _BARE.fullmatch(name) else shown(name) for name in names)


def configuration_error(source: str, mistakes: Iterable[Mistake], lines: Mapping[Path, int]) -> ConfigurationError:
    """All mistakes, one a line, in the order of the file. Of several at one place the first stands for all."""
    found: dict[Path, Mistake] = {}
    for mistake in mistakes:
        found.setdefault(mistake.path, mistake)
    numbered = sorted(((_line(path, lines), str(mistake)) for path, mistake in found.items()), key=lambda each: each[0])
    return ConfigurationError(
        "\n".join(f"{source}:{line}: {said}" if line else f"{source}: {said}" for line, said in numbered)
    )


def _line(path: Path, lines: Mapping[Path, int]) -> int:
    """The line of what stands at `path`, or of the nearest thing around it; 0 where there is no file."""
    for length in range(len(path), -1, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 0
