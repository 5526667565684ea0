"""The command line: what it prints, where, and with which exit code."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from gateway.cli import COMMANDS, main, version
from gateway.config import Settings
from normalization.errors import ConfigurationError, StorageFull

ROOT = Path(__file__).parents[2]
GOOD = """\
providers:
  drawn: {type: sketch}
models:
  picture: {aliases: ["pic[12]*", ünïcode], routes: [{provider: drawn, model: sketch}]}
"""
KEYS = ("ONEMIN_API_KEY", "APIFRAME_API_KEY", "MODELVERSE_API_KEY", "FLUX_WORKER_URL")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return str(path)


def run(*argv: str) -> int:
    """The exit code of a command, however it ends."""
    try:
        return main(argv)
    except SystemExit as end:
        return int(end.code or 0)


def spawned(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "gateway.cli", *argv],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name, command in COMMANDS.items():
        assert run(name, "--help") == 0
        assert command.summary[1:] in " ".join(capsys.readouterr().out.split())
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "imagegate: a command is missing: serve, "),
        (["sevre"], "imagegate: argument COMMAND: invalid choice: 'sevre'"),
        (["check", "--colour"], "imagegate: unrecognized arguments: --colour; see imagegate --help"),
        (["keys"], "imagegate keys: the following arguments are required: ACTION; see imagegate keys --help"),
        (["keys", "create"], "imagegate keys create: the following arguments are required: NAME; see imagegate keys"),
        (["serve", "--port", "65536"], "imagegate serve: argument --port: '65536' is no port; accepted: 0 to 65535"),
        (["serve", "--port", "http"], "imagegate serve: argument --port: 'http' is no port; accepted: 0 to 65535"),
        (
            ["serve", "--workers", "0"],
            "imagegate serve: argument --workers: '0' is no number of processes; accepted: 1",
        ),
        (
            ["serve", "--host", "0.0.0.0"],
            "--host: 0.0.0.0 can be reached from other machines, and no key is configured",
        ),
    ],
)
def test_wrong_usage_is_told_in_one_line(argv: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(said)
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", ["check", "models", "serve"])
def test_mistakes_of_a_configuration_are_told_by_file_line_and_key(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD + "server: {prot: 1}\nlimits: {zzz: 1}\n", encoding="utf-8")
    assert run(command, "--config", str(path)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f'{path}:5: server.prot: unknown key (did you mean "port"?); accepted: host, port')
    assert lines[1].startswith(f"{path}:6: limits.zzz: unknown key; accepted: ")


def test_check_shows_what_becomes_of_each_parameter_on_each_route(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "--config", config) == 0
    out = capsys.readouterr().out
    assert "drawn: sketch" in out
    assert re.search(r"prompt\W+(passthrough|renamed|converted)", out)
    assert "\x1b" not in out


def test_check_as_json_holds_the_same(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--config", config, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    route = found["models"][0]["routes"][0]
    assert (found["models"][0]["name"], route["provider"], route["type"], route["model"]) == (
        "picture",
        "drawn",
        "sketch",
        "sketch",
    )
    assert set(route["parameters"].values()) <= {"passthrough", "renamed", "converted", "emulated", "dropped"}
    assert {"size", "n", "seed", "output_format"} <= set(route["parameters"])
    assert found["warnings"] == []


def test_check_prints_warnings_beside_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"{GOOD}auth: {{mode: keys}}\n", encoding="utf-8")
    assert run("check", "--config", str(path)) == 0
    captured = capsys.readouterr()
    assert "warning: auth.keys: there is none, so every request for a picture is refused" in captured.err
    assert "warning" not in captured.out
    assert run("check", "--config", str(path), "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["warnings"]) == 1


def test_models_lists_names_and_routes_as_they_are_written(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "--config", config) == 0
    out = capsys.readouterr().out
    assert "default model: picture" in out
    assert "pic[12]*, ünïcode" in out
    assert "drawn: sketch" in out
    assert run("models", "--config", config, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "default_model": "picture",
        "models": [
            {
                "name": "picture",
                "aliases": ["pic[12]*", "ünïcode"],
                "routes": [{"provider": "drawn", "model": "sketch"}],
            }
        ],
    }


def test_without_a_file_the_models_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONEMIN_API_KEY", "k")
    assert run("models", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in found["models"]] == ["flux-2-max", "sketch"]
    assert found["default_model"] == "flux-2-max"


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_a_new_key_is_shown_once_with_what_the_configuration_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("keys", "create", "web: team") == 0
    out = capsys.readouterr().out
    key = out.splitlines()[0]
    assert re.fullmatch(r"ig_[A-Za-z0-9_-]{43}", key)
    assert out.count(key) == 1
    entry = yaml.safe_load(out[out.index("auth:") :])["auth"]["keys"][0]
    assert entry == {"name": "web: team", "key": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"}


@pytest.mark.parametrize("name", ["", " web", "web\n", "two\nlines", "\x1b[2J"])
def test_no_key_is_made_under_a_name_that_the_configuration_does_not_take(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("keys", "create", name) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith(
        "; accepted: at least one character, none of them a control character, no space at either end\n"
    )
    assert told.err.startswith("imagegate keys create: ")
    assert told.err.count("\n") == 1
    assert told.err.isascii()


def test_no_two_keys_are_alike(capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for _ in range(2):
        assert run("keys", "create", "a", "--json") == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["name"] == "a"
    assert found[0]["key"] != found[1]["key"]
    assert found[0]["sha256"] == f"sha256:{hashlib.sha256(found[0]['key'].encode()).hexdigest()}"


def test_the_version_names_the_interpreter_and_the_codecs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    names = [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [
        "imagegate",
        "python",
        "pillow",
        "libjpeg-turbo",
        "zlib",
        "zlib-ng",
        "libwebp",
        "libavif",
        "pillow-avif-plugin",
    ]


def test_a_checkout_that_was_never_installed_has_no_version() -> None:
    assert version.version("no-such-distribution-anywhere") == "not installed"


def test_the_version_needs_no_server_and_no_tables() -> None:
    code = "import sys, gateway.cli as c; c.main(['--version']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded & {"uvicorn", "starlette", "pydantic", "rich", "yaml", "httpx", "aiohttp"} == set()


def test_output_survives_a_plain_terminal_and_a_closed_pipe(config: str) -> None:
    done = spawned("models", "--config", config, PYTHONIOENCODING="ascii", NO_COLOR="1", TERM="dumb")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\xfcn\xefcode" in done.stdout
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "gateway.cli", "schema"], cwd=ROOT, stdout=closed, stderr=subprocess.PIPE, timeout=60
        )
    assert (ended.returncode, ended.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left on device", "/data"), 1, "imagegate: /data: No space left on device\n"),
        (StorageFull("the disk is full"), 1, "imagegate: the disk is full\n"),
        (ConfigurationError("one\ntwo"), 2, "one\ntwo\n"),
    ],
)
def test_expected_errors_end_in_a_line_and_a_code(
    error: BaseException,
    code: int,
    said: str,
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: object) -> Settings:
        raise error

    monkeypatch.setattr("gateway.cli.models.settings_of", fail)
    assert run("models", "--config", config) == code
    assert capsys.readouterr().err == said
