"""A configuration file read, checked as a whole, and refused with every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath

from gateway.config.document import Document, read
from gateway.config.fields import DIGEST
from gateway.config.mistakes import Echo, configuration_error, is_secret, spell
from gateway.config.model import Settings
from gateway.config.references import Registry, registry
from gateway.config.validation import validate


def load(path: FilePath | str, environ: Mapping[str, str], *, adapters: Registry | None = None) -> Settings:
    """The settings in a YAML file, with variables taken from `environ`.

    Raises ConfigurationError; its message has one line for each mistake, `file:line: key: what is wrong; accepted:
    what would be`. No line holds a secret or what a variable stands for. `adapters` stands in for the registry.
    """
    document = read(FilePath(path), environ)
    settings, found = validate(document.data, registry() if adapters is None else adapters, document.written)
    mistakes = [*document.mistakes, *found]
    if settings is None or mistakes:
        raise configuration_error(document.source, mistakes, document.lines)
    return settings.noting(_literal_secrets(document))


def _literal_secrets(document: Document) -> tuple[str, ...]:
    """Where a secret stands in the file itself; a digest is none."""
    echo, found = Echo(document.data, document.written), []
    for path in document.lines:
        value = echo.value(path)
        if isinstance(value, str) and value and is_secret(path) and "headers" not in path:
            found += [] if path in document.written or value.lower().startswith(DIGEST) else [spell(path)]
    return tuple(found)
