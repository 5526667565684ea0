"""The image and the systemd unit: what they install, as whom they run, and that their commands exist."""

from __future__ import annotations

import argparse
import re
import shlex
import tomllib
from fnmatch import fnmatchcase
from pathlib import PurePath

import pytest

from gateway.cli import COMMANDS
from scripts.files import ROOT, files
from tests.deploy.deployed import drained

DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
UNIT = (ROOT / "deploy/imagegate.service").read_text(encoding="utf-8")
PACKAGES = ("gateway", "providers", "normalization")


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.+)$", DOCKERFILE, re.MULTILINE)


def parsed(argv: list[str]) -> argparse.Namespace:
    """The arguments of a command as its own parser reads them; exits where it refuses."""
    parser = argparse.ArgumentParser()
    COMMANDS[argv[0]].load().add_arguments(parser)
    return parser.parse_args(argv[1:])


def test_every_wheel_is_held_against_its_hash_and_nothing_is_built_from_strangers_sources() -> None:
    installs = re.findall(r"install ([^;&\"]*)", DOCKERFILE)
    for words in installs:
        ours = "--no-index" in words and "/wheels/" in words
        folder = words.startswith("-d ")
        assert ours or folder or {"--require-hashes", "--only-binary", "--no-deps"} <= set(words.split()), words
    assert len(installs) == 4


def test_every_lock_that_the_image_takes_is_there_and_has_hashes() -> None:
    extras = re.search(r'ARG EXTRAS="([^"]*)"', DOCKERFILE)
    assert extras is not None
    assert extras[1].split() == ["s3", "otel"]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name in ("build", "runtime", *extras[1].split()):
        lock = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
        assert "--hash=sha256:" in lock
        assert name in ("build", "runtime") or name in declared


def test_the_image_is_pinned_runs_as_a_number_and_keeps_all_it_writes_in_one_volume() -> None:
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert instructions("FROM")[-1] == "${PYTHON_IMAGE}"
    assert instructions("USER") == ["10001:10001"]
    assert instructions("VOLUME") == ['["/var/lib/imagegate"]']
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert "PYTHONDONTWRITEBYTECODE=1" in DOCKERFILE


def test_the_image_holds_no_secret() -> None:
    given = [word for line in (*instructions("ENV"), *instructions("ARG")) for word in line.split()]
    assert not [word for word in given if re.search(r"key|secret|token|password", word, re.IGNORECASE)]


def test_what_goes_into_the_build_is_listed_and_nothing_else() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    taken = {line[1:] for line in ignore if line.startswith("!")}
    assert "*" in ignore
    copied = {word.rstrip("/") for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert copied == taken
    assert all((ROOT / name).exists() for name in taken)


def test_the_image_starts_a_command_that_exists_on_the_port_that_its_health_is_asked_at() -> None:
    assert instructions("ENTRYPOINT") == ['["imagegate"]']
    argv = re.findall(r'"([^"]+)"', instructions("CMD")[-1])
    args = parsed(argv)
    assert str(args.data_dir) == "/var/lib/imagegate"
    assert args.host == "0.0.0.0"
    port = args.port or 8000
    assert f"127.0.0.1:{port}/healthz" in DOCKERFILE
    assert instructions("EXPOSE") == [str(port)]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_of_a_package_is_in_its_wheel(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    left = [
        str(path.relative_to(ROOT))
        for path in files(f"{package}/")
        if path.suffix != ".py" and not any(fnmatchcase(path.name, PurePath(pattern).name) for pattern in patterns)
    ]
    assert not left


def test_the_unit_runs_commands_that_exist_and_waits_for_paid_work() -> None:
    for line in re.findall(r"^ExecStart(?:Pre)?=\S+/imagegate (.+)$", UNIT, re.MULTILINE):
        parsed(shlex.split(line))
    assert "KillMode=mixed" in UNIT
    stop = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert stop is not None
    assert int(stop[1]) > drained()


def test_the_unit_may_write_its_own_state_alone() -> None:
    for line in ("DynamicUser=yes", "ProtectSystem=strict", "StateDirectory=imagegate", "NoNewPrivileges=yes"):
        assert line in UNIT.splitlines()
    assert re.search(r"^CapabilityBoundingSet=$", UNIT, re.MULTILINE)
