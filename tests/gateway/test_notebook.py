"""Notes of requests: they outlive a process that is killed, and count once."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from gateway.api.account import Account
from gateway.bookkeeping import Bookkeeper
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
        while sum(file.read_bytes().count(b"{") for file in files(tmp_path / "data")) < 3:
            time.sleep(0.01)  # a client has its answer a moment before that is noted, and nothing tells it
        gateway.process.kill()
        gateway.process.wait()
    for _ in range(2):
        with serving(config) as gateway:
            told = httpx.get(f"{gateway.base_url}/admin/usage", timeout=30).json()["totals"]
            assert (told["requests"], told["images"], told["errors"]) == (3, 9, 0)


class Entered:
    """A ledger, and what it has."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.entries: list[Entry] = []
        self.failure = failure

    async def enter(self, entry: Entry) -> None:
        if self.failure is not None:
            raise self.failure
        self.entries.append(entry)


@pytest.mark.anyio
@pytest.mark.parametrize("written", [True, False])
async def test_notes_are_let_go_of_only_when_all_of_them_are_on_record(*, tmp_path: Path, written: bool) -> None:
    before = Notebook(tmp_path)
    before.note(an_entry())
    before.close(entered=False)
    ledger, notebook = Entered(), Notebook(tmp_path)

    async def on_record() -> bool:
        return written

    await Bookkeeper(cast("Any", ledger), notebook).catch_up(on_record)
    assert len(ledger.entries) == 1
    assert len(files(tmp_path)) == (0 if written else 1)


@pytest.mark.anyio
async def test_an_entry_that_fails_unexpectedly_is_said_and_lets_the_rest_be_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    books = Bookkeeper(cast("Any", Entered(TypeError("a value that is no JSON"))), Notebook(tmp_path))
    books.keep(Account("req_1", "POST", "/v1/images/generations", known=True, generates=True))
    await books.close()
    assert "a request could not be entered" in caplog.text
