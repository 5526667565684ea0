"""The translated configuration as YAML, with a header that says what was done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import yaml

from gateway.cli.litellm.reading import LiteLLM
from gateway.cli.litellm.routes import Note
from gateway.cli.litellm.translation import Translation
from gateway.config.document import parse
from gateway.config.mistakes import Path, spell
from gateway.config.references import registry
from gateway.config.validation import validate

_STAND_INS = {"address": "http://stand-in.invalid", "number": "1"}


def line_of(path: Path, lines: Mapping[Path, int]) -> int:
    """The line of what stands at `path`, or of the nearest thing around it."""
    return next((lines[path[:length]] for length in range(len(path), -1, -1) if path[:length] in lines), 1)


def told(note: Note, litellm: LiteLLM) -> str:
    """A note in one line, with its place."""
    entry = _named(note.path, litellm)
    return f"{litellm.source}:{line_of(note.path, litellm.lines)}: {spell(note.path)}{entry}: {note.text}"


def as_json(note: Note, litellm: LiteLLM) -> dict[str, Any]:
    """`{"kind", "line", "where", "note"}`."""
    line = line_of(note.path, litellm.lines)
    return {"kind": note.kind, "line": line, "where": spell(note.path), "note": note.text}


def summary(translation: Translation, litellm: LiteLLM) -> Iterator[str]:
    """What was done, and what was not, one line each."""
    models, providers = translation.config["models"], translation.config["providers"]
    routes = sum(len(model["routes"]) for model in models.values())
    name = PurePath(litellm.source).name
    yield f"{name}: {len(models)} models with {routes} routes over {len(providers)} providers"
    if translation.others:
        yield f"left out, because they are no image models: {translation.others}"
    if translation.made:
        yield f"these stood in the file and are now variables, for you to set: {', '.join(translation.made)}"
    rest = [name for name in translation.read if name not in translation.made]
    if rest:
        yield f"read from the environment: {', '.join(rest)}"


def as_yaml(translation: Translation, litellm: LiteLLM) -> str:
    """The whole file."""
    head = ["Translated by `imagegate import-litellm`. Judge it by `imagegate check --config`."]
    head += summary(translation, litellm)
    for title, kind in (("Not translated:", "untranslated"), ("What differs:", "differs")):
        notes = [note for note in translation.notes if note.kind == kind]
        head += [title, *(f"- {_short(note, litellm)}" for note in notes)] if notes else []
    return f"{_commented(head)}\n{_dumped(translation.config)}"


def unusable(translation: Translation) -> list[str]:
    """What `imagegate check` would find wrong with the configuration, were all its variables set."""
    environ = {name: _STAND_INS.get(kind, name) for name, kind in translation.read.items()}
    document = parse(_dumped(translation.config), "translation", environ)
    _, mistakes = validate(document.data, registry(), document.written)
    return [str(mistake) for mistake in (*document.mistakes, *mistakes)]


def _dumped(config: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=120))


def _short(note: Note, litellm: LiteLLM) -> str:
    return f"line {line_of(note.path, litellm.lines)}, {spell(note.path)}{_named(note.path, litellm)}: {note.text}"


def _named(path: Path, litellm: LiteLLM) -> str:
    """Which model an entry of `model_list` is."""
    if len(path) < 2 or path[0] != "model_list" or not isinstance(path[1], int):
        return ""
    return f" ({spell((litellm.deployments[path[1]].name,))})"


def _commented(lines: Iterable[str]) -> str:
    return "\n".join(f"# {line}" for line in lines)
