"""Reading a kept picture back, from a file of its own or from its place in a pack."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.services.storage import CHUNK_BYTES
from normalization.errors import OperatorError, StateUnavailable, StorageFull
from normalization.vocabulary import Format

T = TypeVar("T")

READ_BYTES = 4 * CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class FileStored:
    """`Stored` in a file, `offset` bytes from its start. Nothing is open until `chunks` is iterated."""

    name: str
    format: Format
    created: float
    size: int
    path: Path
    pool: ThreadPoolExecutor
    offset: int = 0

    async def chunks(self, start: int = 0) -> AsyncGenerator[bytes, None]:
        run = asyncio.get_running_loop().run_in_executor
        opening = run(self.pool, os.open, self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            file = await asyncio.shield(opening)
        except OSError as error:
            raise translated(error) from error
        except BaseException:  # the reader has left, and the thread opens the file all the same
            opening.add_done_callback(_unread)
            raise
        try:
            for position in range(start, self.size, READ_BYTES):
                wanted = min(READ_BYTES, self.size - position)
                block = await run(self.pool, os.pread, file, wanted, self.offset + position)
                if len(block) != wanted:
                    raise StateUnavailable("a stored picture was cut short", detail=str(self.path))
                for part in range(0, wanted, CHUNK_BYTES):
                    yield block[part : part + CHUNK_BYTES]
        except OSError as error:
            raise translated(error) from error
        finally:
            os.close(file)


async def in_thread(pool: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
    """What `work` comes to, in a thread. Raises StorageFull or StateUnavailable where the disk fails."""
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
    except OSError as error:
        raise translated(error) from error


def _unread(opening: asyncio.Future[int]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())


def translated(error: OSError) -> OperatorError:
    """What a failure of the disk is to the client and the operator."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull("the gateway's disk is full; try again later", detail=str(error))
    return StateUnavailable("the gateway's store of pictures cannot be used now", detail=str(error))
