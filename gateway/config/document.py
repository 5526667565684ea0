"""A YAML text as plain data, with the line of every value and variables filled in.

Only what JSON could say is accepted. The parser's own messages are rephrased, because they repeat the text, and the
text may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from gateway.config.mistakes import Mistake, Path
from gateway.config.variables import Unfillable, fill, has_variables
from normalization.errors import ConfigurationError

BYTES_MOST = 4 * 1024 * 1024
NODES_MOST = 100_000
"""Values of a file, every use of an anchor counted: a few lines of anchors can stand for billions."""

_TAG = "tag:yaml.org,2002:"
_TEXT = frozenset({f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value", f"{_TAG}merge"})
_PLAIN = frozenset(f"{_TAG}{kind}" for kind in ("null", "bool", "int", "float"))
_ACCEPTED = "text, numbers, true, false, null, lists and mappings"


@dataclass(frozen=True, slots=True)
class Document:
    """`lines` counts from 1. `written` holds, where variables were filled in, the text as it stands in the file."""

    source: str
    data: Any
    lines: Mapping[Path, int]
    written: Mapping[Path, str]
    mistakes: tuple[Mistake, ...] = ()


def read(path: FilePath, environ: Mapping[str, str]) -> Document:
    """The document in a file. Raises ConfigurationError where no document can be had at all."""
    source = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MOST + 1)
    except OSError as error:
        reason = "is a directory, not a file" if path.is_dir() else (error.strerror or "cannot be read").lower()
        raise ConfigurationError(f"{source}: {reason}; accepted: a readable YAML file") from None
    if len(data) > BYTES_MOST:
        raise ConfigurationError(f"{source}: more than {BYTES_MOST} bytes; accepted: a YAML file of this product")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{source}:{line}: the text is not UTF-8; accepted: YAML in UTF-8") from None
    return parse(text, source, environ)


def parse(text: str, source: str, environ: Mapping[str, str]) -> Document:
    """The document in a text. Raises ConfigurationError where the text is no YAML document or no mapping."""
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        builder = _Builder(loader, environ)
        data = builder.value(root, ()) if root is not None else None
    except yaml.YAMLError as error:
        raise ConfigurationError(_unparsed(error, text, source)) from None
    except RecursionError:
        raise ConfigurationError(
            f"{source}: nested too deeply, or more than {NODES_MOST} values; accepted: {_ACCEPTED}"
        ) from None
    if not isinstance(data, dict):
        what = "is empty" if data is None else "holds a list" if isinstance(data, list) else "holds a single value"
        raise ConfigurationError(f"{source}:1: the file {what}; accepted: a mapping with providers and models")
    return Document(source, data, builder.lines, builder.written, tuple(builder.mistakes))


@dataclass(slots=True)
class _Builder:
    """Walks the parser's tree; collects lines and mistakes on the way."""

    loader: yaml.SafeLoader
    environ: Mapping[str, str]
    lines: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    nodes: int = 0
    around: list[int] = field(default_factory=list)

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self.count()
        if id(node) in self.around:
            raise RecursionError
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            return self.wrong(path, "a value with a YAML tag", _ACCEPTED)
        self.around.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self.around.pop()

    def count(self) -> None:
        self.nodes += 1
        if self.nodes > NODES_MOST:
            raise RecursionError

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, tuple[yaml.Node, int]] = {}
        first: dict[str, int] = {}
        for key, value, own in self.entries(node, path):
            line = key.start_mark.line + 1
            if own and key.value in first:
                self.wrong((*path, key.value), f"the key stands here and on line {first[key.value]}", "one of them")
            if own:
                first.setdefault(key.value, line)
            if own or key.value not in found:
                found[key.value] = (value, line)
        for name, (_, line) in found.items():
            self.lines[(*path, name)] = line
        return {name: self.value(value, (*path, name)) for name, (value, _) in found.items()}

    def entries(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[yaml.ScalarNode, yaml.Node, bool]]:
        """Keys and values; what `<<` merges in comes with False, for a key of the mapping's own wins over it."""
        for key, value in node.value:
            self.count()
            if not isinstance(key, yaml.ScalarNode):
                self.wrong(path, "a key that is a list or a mapping", "text as a key; in quotes where it begins with {")
            elif key.tag != f"{_TAG}merge":
                yield key, value, True
            else:
                for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(merged, yaml.MappingNode):
                        yield from ((inner, held, False) for inner, held, _ in self.entries(merged, path))
                    else:
                        self.wrong(path, "<< merges what is no mapping", "a mapping, or a list of mappings")

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if node.tag in _PLAIN:
            try:
                return self.loader.construct_object(node)
            except (ValueError, yaml.YAMLError):
                return self.wrong(path, "a number that cannot be read", "a number, or text in quotes")
        if node.tag not in _TEXT:
            return self.wrong(path, "a value with a YAML tag", _ACCEPTED)
        text = str(node.value)
        if not has_variables(text):
            return text
        self.written[path] = text
        try:
            return fill(text, self.environ)
        except Unfillable as error:
            return self.wrong(path, error.what, error.accepted)

    def wrong(self, path: Path, what: str, accepted: str) -> str:
        self.mistakes.append(Mistake(path, what, accepted))
        return ""


def _unparsed(error: yaml.YAMLError, text: str, source: str) -> str:
    """The parser's complaint on one line, without the piece of text that it quotes."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"{source}:{line}: a control character; accepted: printable text"
    problem = getattr(error, "problem", None) or "cannot be read"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else 1
    rows = text.splitlines()
    row = rows[line - 1] if line <= len(rows) else ""
    hint = "YAML; see https://yaml.org"
    if "'\\t'" in problem or "\t" in row[: len(row) - len(row.lstrip())]:
        problem, hint = "a tab", "spaces for indentation"
    elif re.search(r"[{\[,].*[^\"'$]\$\{", row):
        hint = 'YAML in which a variable inside { } or [ ] stands in quotes: "${VAR}"'
    quiet = re.sub(r"'([^']*)'", lambda quoted: quoted[0] if len(quoted[1]) == 1 else "…", problem)
    return f"{source}:{line}: not YAML: {quiet}; accepted: {hint}"
