"""Notes of requests: they outlive a process that is killed, and count once."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from gateway.services.attempts import new_id
from gateway.services.ledger import Entry
from gateway.services.notebook import FOLDER, Notebook
from tests.gateway.test_cli_signals import CONFIG, serving


def an_entry(images: int = 1) -> Entry:
    return Entry(
        id=new_id(),
        request_id="req_1",
        generation_id="gen_1",
        key_name=None,
        model="m",
        endpoint="/v1/images/generations",
        provider="draw",
        status=200,
        code=None,
        images=images,
        megapixels=0.5,
        bytes_out=7,
        created=1.5,
        seconds=0.25,
    )


def files(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*"))


def test_what_a_process_left_is_read_by_the_next_as_it_was_noted(tmp_path: Path) -> None:
    gone, entries = Notebook(tmp_path), (an_entry(1), an_entry(2))
    for each in entries:
        gone.note(each)
    gone.close(entered=False)
    found = Notebook(tmp_path)
    [(path, left)] = found.left()
    assert left == entries
    found.drop(path)
    assert list(found.left()) == []
    assert files(tmp_path) == []


def test_notes_of_a_process_that_lives_are_its_own(tmp_path: Path) -> None:
    alive = Notebook(tmp_path)
    alive.note(an_entry())
    assert list(Notebook(tmp_path).left()) == []
    alive.close(entered=True)
    assert files(tmp_path) == []


def test_a_note_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    gone, entry = Notebook(tmp_path), an_entry()
    gone.note(an_entry())
    [path] = files(tmp_path)
    os.truncate(path, path.stat().st_size - 9)
    gone.note(entry)
    gone.close(entered=False)
    assert [left for _, left in Notebook(tmp_path).left()] == [(entry,)]


def test_two_files_are_kept_at_most(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path, page_bytes=700)
    entries = [an_entry(number) for number in range(20)]
    for each in entries:
        notebook.note(each)
    assert len(files(tmp_path)) == 2
    notebook.close(entered=False)
    left = [entry for _, found in Notebook(tmp_path).left() for entry in found]
    left.sort(key=lambda entry: entry.images)  # files of one millisecond come in any order
    assert left == entries[-len(left) :]
    assert len(left) > 2


def test_where_nothing_can_be_noted_that_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FOLDER).write_text("a file")
    notebook = Notebook(tmp_path)
    for _ in range(3):
        notebook.note(an_entry())
    assert len(caplog.records) == 1
    assert list(notebook.left()) == []


def test_a_request_that_was_answered_is_in_the_ledger_although_its_gateway_was_killed(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    more = "drawn: {routes: [{provider: draw, model: sketch}]}"
    config.write_text(CONFIG.format(data=tmp_path / "data", url="http://127.0.0.1:9/v1", more=more))
    body = {"prompt": "a fox", "model": "drawn", "size": "32x32", "n": 3}
    with serving(config) as gateway:
        for _ in range(3):
            answer = httpx.post(f"{gateway.base_url}/v1/images/generations", json=body, timeout=30)
            assert answer.status_code == 200
        gateway.process.kill()
        gateway.process.wait()
    for _ in range(2):
        with serving(config) as gateway:
            told = httpx.get(f"{gateway.base_url}/admin/usage", timeout=30).json()["totals"]
            assert (told["requests"], told["images"], told["errors"]) == (3, 9, 0)
