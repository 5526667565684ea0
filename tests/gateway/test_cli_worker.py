"""`imagegate worker` as far as it goes without torch: what is wrong with its words, and what is missing, is said."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.cli import worker as command
from providers.flux_worker.worker import folders
from providers.flux_worker.worker.options import Options


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """As if torch were there; what would be served."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    served: list[Any] = []

    def one(args: Any, index: int) -> int:
        served.append((args, command._serving(args), command._options(args)))
        return 0

    monkeypatch.setattr(command, "EXTRA", ())
    monkeypatch.setattr(command, "_one", one)
    monkeypatch.setattr(folders, "recognise", lambda model: None)
    return served


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "no model_index.json"),
        ("/not-there", "there is no folder"),
        ("/not-there --download", "there is no folder"),
        ("/file", "is a file"),
    ],
)
def test_a_wrong_folder_is_told_before_anything_listens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(command, "EXTRA", ())
    (tmp_path / "file").touch()
    assert main(["worker", "--port", "0", "--model", *f"{tmp_path}{words}".split()]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert "--model" in told.err
    assert told.out == ""


def test_what_is_to_be_fetched_is_looked_at_once_it_is_there(
    installed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "recognise", lambda model: pytest.fail("it was looked for"))
    assert main(["worker", "--model", "owner/name", "--download"]) == 0
    assert len(installed) == 1


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed here")
def test_without_its_extra_it_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--model", "x"]) == 2
    said = capsys.readouterr().err
    assert "make worker" in said
    assert said.count("\n") == 1


def test_its_help_loads_neither_torch_nor_a_server() -> None:
    program = (
        "import sys, contextlib\nfrom gateway.cli import main\nwith contextlib.suppress(SystemExit): "
        "main(['worker', '--help'])\nprint(sorted({'torch', 'starlette', 'uvicorn', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.rstrip().endswith("[]")
    assert "--validation-status" in done.stdout


def test_what_is_said_is_what_is_served(installed: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_KEY", "k-1")
    words = "--model /models/klein --name klein --host 0.0.0.0 --api-key-env WORKER_KEY --sizes 1024x1024,512x768"
    assert main(["worker", *words.split(), "--batch", "8", "--queue", "3", "--validation-status", "400",
                 "--fast-threshold", "0.5", "--embeddings", "0"]) == 0  # fmt: skip
    ((_, serving, options),) = installed
    assert (serving.name, serving.key, serving.bounds.validation_status) == ("klein", "k-1", 400)
    assert options == Options(
        "/models/klein", sizes=((1024, 1024), (512, 768)), batch_most=8, waiting_most=3, fast_threshold=0.5,
        embeddings_mib=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--host 0.0.0.0", "--api-key-env"),
        ("--host worker.example", "--open"),
        ("--api-key-env NOT_THERE", "NOT_THERE"),
        ("--offload --compile", "offload"),
    ],
)
def test_words_that_do_not_go_together_are_refused(
    installed: list[Any], capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    assert main(["worker", "--model", "x", *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert installed == []


def test_an_open_worker_is_one_by_its_own_word(installed: list[Any]) -> None:
    assert main(["worker", "--model", "x", "--host", "0.0.0.0", "--open"]) == 0
    assert installed[0][1].key is None


@pytest.mark.parametrize(
    "words",
    ["--sizes 100x100", "--sizes 1024", "--port 70000", "--batch 0", "--drain-seconds x", "--fast-threshold 1.5"],
)
def test_words_that_mean_nothing_are_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["worker", "--model", "x", *words.split()])
    assert ended.value.code == 2
    assert "accepted" in capsys.readouterr().err or "seconds" in words


def test_each_of_several_gpus_is_one_and_not_the_cpu(
    installed: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    driver = tmp_path / "nvidiactl"
    monkeypatch.setattr(command, "DRIVER", str(driver))
    words = ["--model", "x", "--gpus", "2"]
    assert command._options(parser.parse_args(words)).device is None
    driver.touch()
    assert command._options(parser.parse_args(words)).device == "cuda"
    assert command._options(parser.parse_args([*words, "--device", "cpu"])).device == "cpu"
    assert command._options(parser.parse_args(["--model", "x"])).device is None


@pytest.mark.parametrize(("words", "offline"), [((), "1"), (("--download",), "0")])
def test_no_library_asks_a_network_unless_it_may(installed: list[Any], words: tuple[str, ...], offline: str) -> None:
    assert main(["worker", "--model", "x", *words]) == 0
    assert os.environ["HF_HUB_OFFLINE"] == offline
