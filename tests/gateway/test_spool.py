"""Spooled files: what is written is what is read, however it is read, and nothing of it outlives its use."""

from __future__ import annotations

import contextvars
import errno
import gc
import hashlib
import os
import pickle
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from gateway.services import spool as spooling
from gateway.services.spool import Spool, Spooled, View, keep, request_scope
from normalization.errors import OperatorError, StateUnavailable, StorageFull
from normalization.vocabulary import Held
from tests.gateway.spooled import on_linux, open_in

DATA = random.Random(3).randbytes(10_000)  # noqa: S311


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def filled(spool: Spool, data: bytes = DATA) -> Spooled:
    file = spool.new()
    file.write(data)
    return file


def test_what_is_written_is_what_is_read(spool: Spool) -> None:
    file = spool.new()
    assert (file.length, file.read(), list(file.slices(10))) == (0, b"", [])
    for at, kind in ((0, bytes), (4000, bytearray), (7000, memoryview)):
        file.write(kind(DATA[at : {0: 4000, 4000: 7000}.get(at)]))
    assert file.length == len(DATA)
    assert file.read() == DATA
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()


def test_slices_are_as_long_as_said_but_for_the_last(spool: Spool) -> None:
    file = filled(spool)
    for most in (1, 3000, 5000, len(DATA), len(DATA) + 1):
        slices = list(file.slices(most))
        assert b"".join(slices) == DATA
        assert {len(each) for each in slices[:-1]} <= {most}
        assert 0 < len(slices[-1]) <= most


def test_a_part_is_read_wherever_it_lies(spool: Spool) -> None:
    file = filled(spool)
    assert file.part(17, 4) == DATA[17:21]
    assert file.part(len(DATA), 0) == b""


@on_linux
def test_a_file_has_no_name_and_goes_with_its_last_reference(spool: Spool, tmp_path: Path) -> None:
    first, second = filled(spool), filled(spool)
    assert os.listdir(tmp_path / "spool") == []
    assert len(open_in(tmp_path)) == 2
    del first
    gc.collect()
    assert len(open_in(tmp_path)) == 1
    second.close()
    assert open_in(tmp_path) == []


def test_the_folder_is_ours_alone(spool: Spool, tmp_path: Path) -> None:
    spool.new()
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_a_closed_file_is_an_error_and_never_another_file(spool: Spool) -> None:
    file = filled(spool)
    file.close()
    file.close()
    others = [filled(spool, b"of somebody else") for _ in range(3)]
    with pytest.raises(StateUnavailable):
        file.read()
    with pytest.raises(StateUnavailable):
        next(file.slices(4))
    with pytest.raises(StateUnavailable):
        file.write(b"more")
    assert {other.read() for other in others} == {b"of somebody else"}


def test_a_pickled_file_is_its_bytes(spool: Spool) -> None:
    assert pickle.loads(pickle.dumps(filled(spool))) == Held(DATA)  # noqa: S301


def test_what_the_system_takes_or_gives_in_pieces_is_whole(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    write, read = os.pwrite, os.pread
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[:777], at))
    monkeypatch.setattr(os, "pread", lambda file, length, at: read(file, min(length, 333), at))
    assert filled(spool).read() == DATA


FULL = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG]


@pytest.mark.parametrize("code", [*FULL, errno.EIO])
def test_a_disk_that_cannot_take_more_is_told_apart_from_one_that_fails(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise OSError(code, os.strerror(code))

    file = filled(spool)
    expected: type[OperatorError] = StorageFull if code in FULL else StateUnavailable
    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(expected):
        file.write(b"more")
    monkeypatch.setattr(tempfile, "mkstemp", fail)
    with pytest.raises(expected):
        spool.new()
    assert file.read() == DATA


def test_a_disk_that_cannot_be_read_is_an_operators_error(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    file = filled(spool)
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(StateUnavailable, match="Input/output error"):
        file.read()


def test_a_file_that_was_cut_short_is_an_error(spool: Spool) -> None:
    with pytest.raises(StateUnavailable, match="shorter"):
        filled(spool).part(len(DATA) - 3, 4)


@pytest.fixture
def small_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "VIEW_BYTES", 64)


@pytest.mark.usefixtures("small_views")
def test_a_view_is_looked_through_as_bytes_are(spool: Spool) -> None:
    chance = random.Random(5)  # noqa: S311
    data = bytes(chance.choices(b'"\\ab', [1, 1, 40, 40], k=2000))
    view = filled(spool, data).view()
    assert len(view) == len(data)
    for _ in range(2000):
        start, end = chance.randrange(2100), chance.choice([None, chance.randrange(2100)])
        assert view[start:end] == data[start:end]
        assert view[:end] == data[:end]
        byte = bytes([chance.choice(b'"\\z')])
        assert view.find(byte, start) == data.find(byte, start)
        if end is not None:
            assert view.find(byte, start, end) == data.find(byte, start, end)


def test_a_view_of_nothing_holds_nothing(spool: Spool) -> None:
    view = spool.new().view()
    assert (len(view), view[0:5], view.find(b'"', 0)) == (0, b"", -1)


@pytest.mark.usefixtures("small_views")
def test_a_view_reads_each_part_once_while_it_goes_forward(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    read, parts = Spooled.part, []

    def counted(file: Spooled, start: int, length: int) -> bytes:
        parts.append((start, length))
        return read(file, start, length)

    view = View(filled(spool, b"a" * 255 + b"b"))
    monkeypatch.setattr(Spooled, "part", counted)
    assert view.find(b"b", 0) == 255
    assert view[200:230] == b"a" * 30
    assert parts == [(0, 64), (64, 64), (128, 64), (192, 64)]


@on_linux
def test_a_view_of_megabytes_is_held_in_part_only(spool: Spool) -> None:
    import tracemalloc

    view = filled(spool, bytes(12 << 20)).view()
    tracemalloc.start()
    try:
        assert view.find(b"x", 0) == -1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * spooling.VIEW_BYTES
    assert sys.getsizeof(view) < 1000


def test_what_a_request_brought_goes_with_it_also_what_comes_too_late(spool: Spool, tmp_path: Path) -> None:
    with request_scope():
        brought = filled(spool)
        late = contextvars.copy_context()
    assert open_in(tmp_path) == []
    with pytest.raises(StateUnavailable):
        brought.read()
    with pytest.raises(StateUnavailable):
        late.run(spool.new).write(b"nobody waits")
    assert open_in(tmp_path) == []


def test_what_work_began_with_outlives_the_request(spool: Spool, tmp_path: Path) -> None:
    with request_scope():
        kept = filled(spool)
        keep()
        more = contextvars.copy_context().run(spool.new)
    more.write(b"more")
    assert (kept.length > 0, more.read()) == (True, b"more")
    assert len(open_in(tmp_path)) == 2
    keep()  # outside of any request it means nothing
