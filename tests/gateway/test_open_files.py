"""The limit on open files is as high as the system lets us, since many uploads at once take many files."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.open_files import ENOUGH, allow

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system has no such limit")

ROOT = Path(__file__).parents[2]
INFINITY = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "then"),
    [
        (1024, 4096, 4096),
        (1024, ENOUGH, ENOUGH),
        (1024, 1_000_000, ENOUGH),
        (1024, INFINITY, ENOUGH),
        (4096, 4096, None),
        (500_000, 1_000_000, None),
        (INFINITY, INFINITY, None),
    ],
)
def test_the_limit_goes_up_and_never_down(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, then: int | None
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: asked.append(both))
    allow()
    assert asked == ([] if then is None else [(then, hard)])


@pytest.mark.parametrize("error", [OSError, ValueError])
def test_a_system_that_refuses_is_left_alone(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 128))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    allow()


def test_a_process_gets_what_its_hard_limit_allows() -> None:
    program = (
        "import resource; from gateway.cli.open_files import allow; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256)); allow(); "
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert said.stdout.split() == ["256", "256"]


def test_serving_begins_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from gateway.cli import main, serve

    class Told(Exception):
        pass

    def told() -> None:
        raise Told

    monkeypatch.setattr(serve, "allow", told)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Told):
        main(["serve", "--port", "0"])
