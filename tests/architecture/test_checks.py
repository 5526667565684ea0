"""The house's own checks find what they are for."""

from __future__ import annotations

import site
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from scripts import check_docs, check_sizes, check_tree
from scripts.check_licences import closure, licence, permitted
from scripts.generated_docs import PARTS, Part
from scripts.markdown import table


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", True),
        ("apache-2.0", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND (MIT OR BSD-3-Clause)", False),
        ("AGPL-3.0-or-later", False),
        ("LicenseRef-Proprietary", False),
        ("do what you want", False),
        ("", False),
    ],
)
def test_a_licence_is_judged_as_a_whole(expression: str, verdict: bool) -> None:
    assert permitted(expression) is verdict


class Made(Distribution):
    """A distribution that says of itself what it is told to."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.message = Message()
        for name, value in headers:
            self.message[name] = value

    @property
    def metadata(self) -> Message:  # type: ignore[override]  # all that is asked of it are the headers
        return self.message

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: object) -> Path:
        return Path(str(path))


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ([("License-Expression", "BSD-3-Clause"), ("License", "something else")], "BSD-3-Clause"),
        ([("Classifier", "License :: OSI Approved :: MIT License"), ("License", "x")], "MIT"),
        ([("License", "Redistribution and use in source and\n binary forms, ...")], "BSD-2-Clause"),
        ([("License", "MIT License")], "MIT"),
        ([], ""),
    ],
)
def test_a_licence_is_found_wherever_metadata_says_it(headers: list[tuple[str, str]], said: str) -> None:
    assert licence(Made(*headers)) == said


def test_an_unknown_classifier_permits_nothing() -> None:
    unknown = Made(("Classifier", "License :: Other/Proprietary License"))
    assert not permitted(licence(unknown))


def test_dependencies_of_dependencies_are_looked_at() -> None:
    assert {"httpx", "httpcore", "h11"} <= set(closure(["httpx>=0.28"]))


def test_a_long_file_and_a_long_function_are_found() -> None:
    source = "def f(a, b, c, d, e, f, g, h, i):\n" + "    x = 1\n" * 400
    found = {(finding.place, finding.limit.unit, finding.count) for finding in check_sizes.measured("m.py", source)}
    assert found == {("m.py", "lines", 401), ("m.py::f", "lines", 401), ("m.py::f", "parameters", 9)}
    assert all(finding.refused for finding in check_sizes.measured("m.py", source))


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(check_docs, "ROOT", tmp_path)
    monkeypatch.setattr(check_docs, "PARTS", (Part("page.md", "numbers", lambda: "1 2 3"),))
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- generated: numbers -->\n1 2\n<!-- end -->\nafter\n")
    return path


def test_a_generated_part_that_is_out_of_step_is_named(page: Path) -> None:
    assert list(check_docs.stale(write=False)) == ["page.md: numbers is out of step with the code: make docs"]


def test_a_generated_part_is_written_and_nothing_else(page: Path) -> None:
    assert list(check_docs.stale(write=True)) == []
    assert page.read_text() == "before\n<!-- generated: numbers -->\n1 2 3\n<!-- end -->\nafter\n"
    assert list(check_docs.stale(write=False)) == []


def test_a_page_without_the_marks_is_an_error(page: Path) -> None:
    page.write_text("nothing here\n")
    with pytest.raises(ValueError, match="numbers"):
        list(check_docs.stale(write=True))


def test_a_link_that_leads_nowhere_is_named(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page.write_text("[there](page.md#part) [gone](gone.md) [out](https://example.org/x)\n")
    monkeypatch.setattr(check_docs, "files", lambda *patterns: [page])
    assert list(check_docs.broken_links()) == ["page.md: link to gone.md leads nowhere"]


def test_code_that_speaks_of_a_missing_page_is_named(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = page.with_name("code.py")
    (page.parent / "docs/decisions").mkdir(parents=True)
    (page.parent / "docs/decisions/0001-why.md").touch()
    source.write_text("# docs/decisions/0001 and https://x.example/docs/there and docs/gone.md\n")
    monkeypatch.setattr(check_docs, "files", lambda *patterns: [source])
    assert list(check_docs.broken_mentions()) == ["code.py: speaks of docs/gone.md, which is not there"]


def test_every_generated_part_can_be_written() -> None:
    assert all(part.write() for part in PARTS)


def test_a_pipe_in_a_cell_does_not_break_the_table() -> None:
    assert table(("a",), [("x|y",), (None,)]) == "| a |\n|---|\n| x\\|y |\n|  |"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("index = 'https://mirror." + "pypi.example/simple'", "the address of a package index"),
        ("key = 'sk-proj-" + "a1" * 20 + "'", "looks like a credential"),
        ("AKIA" + "A" * 16, "looks like a credential"),
    ],
)
def test_what_does_not_belong_into_the_repository_is_found(
    line: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file.txt").write_text(f"fine\n{line}\n")
    monkeypatch.setattr(check_tree, "ROOT", tmp_path)
    monkeypatch.setattr(check_tree, "files", lambda: [tmp_path / "file.txt"])
    assert list(check_tree.in_files()) == [f"file.txt:2: {fault}"]


def test_a_path_of_this_machine_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file.txt").write_text(f"cd {tmp_path}/there\n")
    monkeypatch.setattr(check_tree, "ROOT", tmp_path)
    monkeypatch.setattr(check_tree, "files", lambda: [tmp_path / "file.txt"])
    assert list(check_tree.in_files()) == ["file.txt:1: a path of this machine"]


def test_the_locks_hold_what_pyproject_asks_for() -> None:
    assert list(check_tree.in_locks()) == []


def test_a_lock_that_lags_behind_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["builder"]\n'
        '[project]\ndependencies = ["one>=2"]\noptional-dependencies = {dev = ["two"]}\n'
    )
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/runtime.txt").write_text("one==1.9 \\\n    --hash=sha256:00\n")
    (tmp_path / "requirements/dev.txt").write_text("one==2.1\ntwo==1\n")
    (tmp_path / "requirements/build.txt").write_text("--index-url https://example.org/simple\nbuilder==1\n")
    monkeypatch.setattr(check_tree, "ROOT", tmp_path)
    assert list(check_tree.in_locks()) == [
        "requirements/runtime.txt: pyproject.toml asks for one>=2, locked is 1.9: make lock",
        "requirements/build.txt: says where to download from",
        "requirements: tests would run with other versions than the service of one: make lock",
    ]


def test_a_file_that_python_runs_at_every_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a1_coverage.pth").touch()
    (tmp_path / "surprise.pth").write_text("import os")
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(tmp_path)])
    assert [fault.split()[0] for fault in check_tree.started_by_python()] == ["surprise.pth"]
