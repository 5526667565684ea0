"""What is no YAML, no mapping or no variable is told as plainly as any other mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import load
from normalization.errors import ConfigurationError
from tests.configurations import GOOD, refusal
from tests.kinds import KINDS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{GOOD}models: {{}}", "c.yaml:5: models: the key stands here and on line 3; accepted: one of them"),
        (
            f"{GOOD}server:\n  port: 1\n  host: localhost\n  port: 2",
            "c.yaml:8: server.port: the key stands here and on line 6; accepted: one of them",
        ),
        (f"{GOOD}server: {{host: '${{NOPE}}'}}", "c.yaml:5: server.host: the variable NOPE is not set; accepted: set "),
        (f"{GOOD}server: {{host: os.environ/NOPE}}", "c.yaml:5: server.host: the variable NOPE is not set; accepted: "),
        (f"{GOOD}server: {{host: '${{A}}${{B}}'}}", "c.yaml:5: server.host: the variable A and B is not set; accepted"),
        (
            f"{GOOD}server: {{host: os.environ/a b}}",
            "c.yaml:5: server.host: not a variable; accepted: os.environ/VAR as",
        ),
        (f"{GOOD}server: {{host: '${{A:?no}}'}}", "c.yaml:5: server.host: a ${ that begins no variable; accepted: ${V"),
        (
            f"{GOOD}server: {{host: '${{A:-${{B}}}}'}}",
            "c.yaml:5: server.host: a ${ that begins no variable; accepted: ",
        ),
        (
            f"{GOOD}server: {{host: '${{A'}}",
            "c.yaml:5: server.host: a ${ that begins no variable; accepted: ${VAR} or ",
        ),
        (
            f"{GOOD}server: {{host: !!binary aGk=}}",
            "c.yaml:5: server.host: a value with a YAML tag; accepted: text, nu",
        ),
        (
            f"{GOOD}server: !!set {{a}}",
            "c.yaml:5: server: a value with a YAML tag; accepted: text, numbers, true, fals",
        ),
        (
            f"{GOOD}server: {{<<: 3}}",
            "c.yaml:5: server: << merges what is no mapping; accepted: a mapping, or a list o",
        ),
        ("", "c.yaml:1: the file is empty; accepted: a mapping with providers and models"),
        ("# nothing\n", "c.yaml:1: the file is empty; accepted: a mapping with providers and models"),
        ("- a\n", "c.yaml:1: the file holds a list; accepted: a mapping with providers and models"),
        ("word\n", "c.yaml:1: the file holds a single value; accepted: a mapping with providers and models"),
        ("a: 1\nb: [\n", "c.yaml:3: not YAML: "),
        ("a: 1\nserver:\n\tport: 1\n", "c.yaml:3: not YAML: a tab; accepted: spaces for indentation"),
        (f"{GOOD}---\na: 1\n", "c.yaml:5: not YAML: but found another document; accepted: YAML; see https://yaml.org"),
        (
            "a: 1\nproviders: {x: {api_key: ${KEY}}}\n",
            "c.yaml:2: not YAML: expected ',' or '}', but got '{'; accepted: YAML in which a variable inside { } or",
        ),
        (b"a: 1\nb: \xff\n", "c.yaml:2: the text is not UTF-8; accepted: YAML in UTF-8"),
        ("a: 1\nb: \x00\n", "c.yaml:2: a control character; accepted: printable text"),
        ("a: &a [*a]\n", "c.yaml: nested too deeply, or more than 100000 values; accepted: text, numbers, true, false"),
        ("a: " + "[" * 5000, "c.yaml: nested too deeply, or more than 100000 values; accepted: "),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
            "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
            "c.yaml: nested too deeply, or more than 100000 values; accepted: ",
        ),
        ("a: 1\n" + "# padding\n" * 500_000, "c.yaml: more than 4194304 bytes; accepted: a YAML file of this product"),
    ],
)
def test_an_unreadable_file_is_told_in_one_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    lines = refusal(tmp_path, text)
    assert len(lines) == 1, lines
    assert lines[0].startswith(expected)
    assert "accepted: " in lines[0]


def test_a_text_of_many_lines_is_told_in_one(tmp_path: Path) -> None:
    lines = refusal(tmp_path, f'{GOOD}default_model: "a\\nb\\u2028c{"d" * 500}"')
    assert len(lines) == 1
    assert '"a\\nb\\u2028cddd' in lines[0]
    assert len(lines[0]) < 300


@pytest.mark.parametrize(
    ("name", "expected"),
    [("absent.yaml", "no such file or directory"), (".", "is a directory, not a file")],
)
def test_what_is_no_file_is_told_without_a_traceback(tmp_path: Path, name: str, expected: str) -> None:
    path = tmp_path / name
    with pytest.raises(ConfigurationError) as caught:
        load(path, {}, adapters=KINDS)
    assert caught.value.message == f"{path}: {expected}; accepted: a readable YAML file"
