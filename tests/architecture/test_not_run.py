"""The rule that nothing is left out in silence: skipped tests, and the programs that some tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import test_needs
from scripts.test_needs import NEEDS, how_to_get, missing, named_in, used_by

pytest_plugins = ["pytester"]

SKIPPING = """
import pytest

def test_that_runs():
    pass

@pytest.mark.skipif(True, reason="no such program here")
def test_that_is_left_out():
    pass

@pytest.mark.xfail(reason="known")
def test_that_fails_as_expected():
    assert False
"""


@pytest.fixture
def other_suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    root = Path(__file__).parents[2]
    pytester.makeconftest((root / "tests/conftest.py").read_text(encoding="utf-8"))
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.delenv("CI", raising=False)
    return pytester


def test_a_skipped_test_fails_the_run_in_ci(other_suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    other_suite.makepyfile(SKIPPING)
    monkeypatch.setenv("CI", "true")
    result = other_suite.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1, xfailed=1)
    result.stdout.fnmatch_lines(["*not run, which in CI is a failure: no such program here*"])


def test_a_skipped_test_is_only_reported_elsewhere(other_suite: pytest.Pytester) -> None:
    other_suite.makepyfile(SKIPPING)
    other_suite.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1, skipped=1, xfailed=1)


def test_a_file_that_skips_itself_fails_the_run_in_ci(
    other_suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_suite.makepyfile("import pytest\npytest.importorskip('no_such_module_anywhere')\n")
    monkeypatch.setenv("CI", "true")
    assert other_suite.runpytest_subprocess("-p", "no:cacheprovider").ret != 0


def test_a_test_that_needs_a_missing_program_says_how_to_get_it(
    other_suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NEEDS, "nginx", test_needs.Need(("no-such-program",), ("nginx-light",)))
    assert missing(["nginx"]) == ["nginx"]
    assert "apt-get install nginx-light" in how_to_get("nginx")


def test_a_client_that_is_not_installed_is_missing_until_its_last_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_needs, "ROOT", tmp_path)
    monkeypatch.setitem(NEEDS, "client-openai-1", test_needs.Client("there/.installed"))
    (tmp_path / "there").mkdir()
    assert missing(["client-openai-1"]) == ["client-openai-1"]
    assert "`make clients`" in how_to_get("client-openai-1")
    (tmp_path / "there/.installed").touch()
    assert missing(["client-openai-1"]) == []


def test_needs_are_read_out_of_the_tests_themselves(tmp_path: Path) -> None:
    source = 'import pytest\n@pytest.mark.needs("redis-server", "nginx")\ndef test_x(): ...\n'
    (tmp_path / "test_one.py").write_text(source)
    assert used_by(tmp_path) == ["nginx", "redis-server"]
    assert list(named_in("x = 1")) == []


def test_an_unknown_need_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="ghostscript"):
        missing(["ghostscript"])


def test_apt_is_left_alone_when_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEGATE_NO_APT", "1")
    assert not test_needs.may_install()
