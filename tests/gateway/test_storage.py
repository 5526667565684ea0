"""Storage: what has a name is whole, private and gone in time; what is no name of ours leads nowhere."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.services.storage import CHUNK_BYTES, Storage, Stored, Usage, format_of, new_name
from gateway.services.storage_file import FileStorage
from gateway.services.storage_memory import MemoryStorage
from normalization.errors import OperatorError, StateUnavailable, StorageFull
from normalization.vocabulary import Format
from tests.gateway.buckets import environment, objects, s3_server

pytestmark = pytest.mark.anyio

DAY = 86_400.0
NOW = 1_760_000_000.0

Make = Callable[[Path], Storage]
FORMS: dict[str, Make] = {
    "file": lambda path: FileStorage(path, retention_seconds=DAY, floor_bytes=0),
    "memory": lambda path: MemoryStorage(DAY, clock=lambda: NOW),
    "s3": lambda path: objects(path, f"contract/{path.name}", retention_seconds=DAY, clock=lambda: NOW),
    # Google's client, before a server of S3: both speak the same XML here.
    "gs": lambda path: objects(path, f"google/{path.name}", cloud="gs", retention_seconds=DAY, clock=lambda: NOW),
}
every = pytest.mark.parametrize("make", FORMS, indirect=True)

NOT_NAMES = [
    "",
    "0" * 32,
    "0" * 31 + ".png",
    "0" * 33 + ".png",
    "0" * 32 + ".svg",
    "0" * 32 + ".PNG",
    "0" * 32 + ".jpeg",
    "0" * 32 + ".png\n",
    "0" * 32 + ".png.part",
    "A" * 32 + ".png",
    "\N{ARABIC-INDIC DIGIT ZERO}" * 32 + ".png",
    "../" + "0" * 32 + ".png",
    "..%2f" + "0" * 32 + ".png",
    "/etc/passwd",
    "..\\" + "0" * 32 + ".png",
    "0" * 32 + ".png\0",
    "0" * 32 + ".png::$DATA",
]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    if request.param in ("s3", "gs"):
        for name, value in environment(request.getfixturevalue("s3")).items():
            monkeypatch.setenv(name, value)
    return FORMS[request.param]


@asynccontextmanager
async def closing(storage: Storage) -> AsyncIterator[Storage]:
    try:
        yield storage
    finally:
        await storage.close()


async def read(stored: Stored | None, start: int = 0) -> bytes:
    assert stored is not None
    return b"".join([chunk async for chunk in stored.chunks(start)])


def file_of(tmp_path: Path, name: str) -> Path:
    return tmp_path / "pictures" / name[:2] / name


def files_under(path: Path) -> list[Path]:
    return [each for each in path.rglob("*") if not each.is_dir()]


def test_names_are_128_random_bits_and_the_formats_extension() -> None:
    assert {new_name(format).partition(".")[2] for format in Format} == {"png", "jpg", "gif", "webp", "avif"}
    assert all(format_of(new_name(format)) is format for format in Format)
    assert len({new_name(Format.PNG) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("text", NOT_NAMES)
@every
async def test_no_other_text_reaches_a_file(make: Make, text: str, tmp_path: Path) -> None:
    (tmp_path / ("0" * 32 + ".png")).write_bytes(b"outside")
    async with closing(make(tmp_path)) as storage:
        assert format_of(text) is None
        assert await storage.open(text) is None


@every
async def test_a_picture_comes_back_as_it_was_put(make: Make, tmp_path: Path) -> None:
    data = os.urandom(5 * CHUNK_BYTES + 7)
    async with closing(make(tmp_path)) as storage:
        name = await storage.put(data, Format.JPEG)
        stored = await storage.open(name)
        assert stored is not None
        assert (stored.name, stored.size, stored.format) == (name, len(data), Format.JPEG)
        chunks = [chunk async for chunk in stored.chunks()]
        assert max(map(len, chunks)) <= CHUNK_BYTES
        assert b"".join(chunks) == data
        assert await read(stored, start=CHUNK_BYTES + 3) == data[CHUNK_BYTES + 3 :]
        assert await read(stored, start=len(data)) == b""


@every
async def test_pieces_are_kept_in_their_order(make: Make, tmp_path: Path) -> None:
    async with closing(make(tmp_path)) as storage:
        name = await storage.put([b"one ", memoryview(b"two "), b"", bytearray(b"three")], Format.PNG)
        assert await read(await storage.open(name)) == b"one two three"
        assert await storage.usage() == Usage(1, 13)


@every
async def test_what_was_never_put_is_not_there(make: Make, tmp_path: Path) -> None:
    async with closing(make(tmp_path)) as storage:
        assert await storage.open(new_name(Format.PNG)) is None
        assert await storage.usage() == Usage(0, 0)
        assert await storage.sweep(NOW) == 0


@every
async def test_a_picture_is_swept_after_its_retention_and_not_before(make: Make, tmp_path: Path) -> None:
    async with closing(make(tmp_path)) as storage:
        name = await storage.put(b"picture", Format.WEBP)
        if isinstance(storage, FileStorage):
            os.utime(file_of(tmp_path, name), (NOW, NOW))
        assert await storage.sweep(NOW + DAY) == 0
        assert await storage.open(name) is not None
        assert await storage.sweep(NOW + DAY + 1) == 1
        assert await storage.open(name) is None
        assert await storage.usage() == Usage(0, 0)


@every
async def test_what_is_deleted_is_gone_at_once_and_nothing_else_with_it(make: Make, tmp_path: Path) -> None:
    async with closing(make(tmp_path)) as storage:
        names = [await storage.put(each, Format.PNG) for each in (b"stays", b"goes")]
        await storage.delete(names[1])
        for absent in (names[1], new_name(Format.PNG), "../../etc/passwd", ""):
            await storage.delete(absent)
        assert await storage.open(names[1]) is None
        assert await read(await storage.open(names[0])) == b"stays"
        assert await storage.usage() == Usage(1, 5)


@every
async def test_a_working_store_is_ready(make: Make, tmp_path: Path) -> None:
    async with closing(make(tmp_path)) as storage:
        await storage.check()
        free = await storage.free_bytes()
        assert free is None or free > 0


async def test_memory_drops_what_was_unused_for_longest(tmp_path: Path) -> None:
    storage = MemoryStorage(DAY, most_bytes=30)
    first, second, third = [await storage.put(b"x" * 10, Format.PNG) for _ in range(3)]
    kept = await storage.open(first)
    fourth = await storage.put(b"y" * 10, Format.PNG)
    assert [await storage.open(name) is not None for name in (first, second, third, fourth)] == [
        True,
        False,
        True,
        True,
    ]
    assert await storage.usage() == Usage(3, 30)
    assert await storage.free_bytes() == 0
    await storage.put(b"z" * 30, Format.PNG)
    assert await read(kept) == b"x" * 10


async def test_memory_refuses_what_it_could_never_hold() -> None:
    storage = MemoryStorage(DAY, most_bytes=30)
    kept = await storage.put(b"x" * 30, Format.PNG)
    with pytest.raises(StorageFull, match="31 bytes"):
        await storage.put(b"x" * 31, Format.PNG)
    assert await storage.open(kept) is not None


async def test_files_are_private_and_synced_before_they_get_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    fsync = os.fsync

    def watched(file: int) -> None:
        is_picture = stat.S_ISREG(os.fstat(file).st_mode)
        if is_picture:
            synced.append(not any(format_of(path.name) for path in files_under(tmp_path)))
        fsync(file)

    monkeypatch.setattr(os, "fsync", watched)
    async with closing(FileStorage(tmp_path / "data", retention_seconds=DAY, floor_bytes=0)) as storage:
        name = await storage.put(b"picture", Format.PNG)
    path = file_of(tmp_path / "data", name)
    assert synced == [True]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


async def test_below_the_floor_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = namedtuple("space", "total used free")
    free = [1100]
    monkeypatch.setattr("shutil.disk_usage", lambda _: space(0, 0, free[0]))
    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=1000)) as storage:
        await storage.put(b"x" * 100, Format.PNG)
        assert await storage.free_bytes() == 100
        with pytest.raises(StorageFull) as full:
            await storage.put(b"x" * 101, Format.PNG)
        assert full.value.status == 503
        free[0] = 999
        assert await storage.free_bytes() == 0
        with pytest.raises(StorageFull):
            await storage.check()
        assert len(files_under(tmp_path)) == 1


@pytest.mark.parametrize(
    ("number", "error"), [("ENOSPC", StorageFull), ("EDQUOT", StorageFull), ("EIO", StateUnavailable)]
)
async def test_a_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str, error: type[OperatorError]
) -> None:
    import errno

    def fail(_: int) -> None:
        code = getattr(errno, number)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", lambda file: fail(file) if stat.S_ISREG(os.fstat(file).st_mode) else None)
    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=0)) as storage:
        with pytest.raises(error):
            await storage.put(b"picture", Format.PNG)
    assert files_under(tmp_path) == []


async def test_a_store_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file where the folder should be")
    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=0)) as storage:
        with pytest.raises(StateUnavailable):
            await storage.check()
        with pytest.raises(StateUnavailable):
            await storage.put(b"picture", Format.PNG)


async def test_a_link_or_a_folder_with_a_pictures_name_is_not_served(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=0)) as storage:
        await storage.check()
        link, folder = (file_of(tmp_path, new_name(Format.PNG)) for _ in range(2))
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(secret)
        folder.mkdir(parents=True)
        assert await storage.open(link.name) is None
        assert await storage.open(folder.name) is None


async def test_a_link_put_in_a_pictures_place_after_it_was_opened_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret!")
    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=0)) as storage:
        name = await storage.put(b"picture", Format.PNG)
        stored = await storage.open(name)
        file_of(tmp_path, name).unlink()
        file_of(tmp_path, name).symlink_to(secret)
        with pytest.raises(StateUnavailable):
            await read(stored)


async def test_a_picture_that_shrank_is_an_error_not_a_short_answer(tmp_path: Path) -> None:
    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=0)) as storage:
        name = await storage.put(b"picture", Format.PNG)
        stored = await storage.open(name)
        os.truncate(file_of(tmp_path, name), 3)
        with pytest.raises(StateUnavailable):
            await read(stored)


async def test_what_a_crash_left_half_written_is_swept_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=0)) as storage:
        await storage.check()
        old, new = (file_of(tmp_path, f"{new_name(Format.PNG)}.part") for _ in range(2))
        foreign = tmp_path / "pictures" / "00" / "notes.txt"
        for path, written in ((old, NOW - 7200), (new, NOW - 60), (foreign, 0.0)):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"half")
            os.utime(path, (written, written))
        assert await storage.usage() == Usage(0, 0)
        assert await storage.sweep(NOW) == 1
        assert (old.exists(), new.exists(), foreign.exists()) == (False, True, True)


async def test_beyond_the_cap_the_oldest_are_swept(tmp_path: Path) -> None:
    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=0, most_bytes=25)) as storage:
        names = [await storage.put(b"x" * 10, Format.PNG) for _ in range(4)]
        for age, name in enumerate(names):
            os.utime(file_of(tmp_path, name), (NOW - age, NOW - age))
        assert await storage.sweep(NOW) == 2
        assert [await storage.open(name) is not None for name in names] == [True, True, False, False]


async def test_many_at_once_are_all_kept(tmp_path: Path) -> None:
    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=0)) as storage:
        pictures = [os.urandom(1000) for _ in range(40)]
        names = await asyncio.gather(*(storage.put(each, Format.AVIF) for each in pictures))
        assert [await read(await storage.open(name)) for name in names] == pictures
        assert await storage.usage() == Usage(40, 40_000)


async def test_a_reader_that_leaves_early_keeps_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    open_file = os.open

    def watched(path: Path, flags: int, mode: int = 0o777) -> int:
        opened.append(open_file(path, flags, mode))
        return opened[-1]

    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=0)) as storage:
        stored = await storage.open(await storage.put(os.urandom(3 * CHUNK_BYTES), Format.PNG))
        assert stored is not None
        monkeypatch.setattr(os, "open", watched)
        chunks = stored.chunks()
        await anext(chunks)
        await chunks.aclose()
        [file] = opened
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)


async def test_a_reader_that_leaves_while_its_file_is_opened_keeps_none_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    opening, go_on = threading.Event(), threading.Event()
    open_file = os.open

    def slow(path: Path, flags: int, mode: int = 0o777) -> int:
        opening.set()
        assert go_on.wait(15)
        opened.append(open_file(path, flags, mode))
        return opened[-1]

    async with closing(FileStorage(tmp_path, retention_seconds=DAY, floor_bytes=0)) as storage:
        stored = await storage.open(await storage.put(b"a picture", Format.PNG))
        assert stored is not None
        monkeypatch.setattr(os, "open", slow)
        reader = asyncio.ensure_future(anext(stored.chunks()))
        await asyncio.to_thread(opening.wait, 15)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        go_on.set()
        while not opened:  # noqa: ASYNC110  (nothing tells)
            await asyncio.sleep(0)
        monkeypatch.undo()
        async with asyncio.timeout(15):
            while is_open(opened[0]):  # noqa: ASYNC110  (nothing tells)
                await asyncio.sleep(0)


def is_open(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:
        return False
    return True
