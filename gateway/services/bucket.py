"""A bucket of S3, Google Cloud Storage or Azure Blob Storage, by way of obstore; nothing else imports that.

Who we are, the region and the address come from the variables that the clouds' own tools read, as documented at
https://developmentseed.org/obstore/latest/authentication/. What failed without having done any harm is asked for again
by obstore, 503 SlowDown and lost connections among them; all that is put here has a random key, so that a put may be
repeated, too.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from gateway.config.buckets import BucketUrl
from normalization.errors import ConfigurationError, StateUnavailable

if TYPE_CHECKING:  # obstore has its types there alone
    from obstore.store import ClientConfig, RetryConfig

T = TypeVar("T")

PAGE = 1000
"""Objects that one request lists or deletes: the most that S3 allows."""
CONNECT_SECONDS = 5
TRY_SECONDS = 60
"""One exchange, its body included."""
RETRY: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
LOOK_SECONDS = 15.0
READ_SECONDS = 30.0
PUT_SECONDS = 75.0
"""The most that each may take, repeats included."""

ADDRESSES: Mapping[str, tuple[str, ...]] = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""Variables that name the service's address, where it is not the cloud's own."""
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_QUERY = re.compile(r"\?\S*")


@dataclass(frozen=True, slots=True)
class Found:
    """An object: `modified` in epoch seconds, `size` in bytes."""

    key: str
    size: int
    modified: float


class Bucket:
    """The objects under the URL's prefix. Each method raises StateUnavailable where the bucket cannot be reached or
    refuses; none takes longer than the bounds above."""

    def __init__(self, url: BucketUrl) -> None:
        """Raises ConfigurationError where the variables say nothing usable. Connects to nothing yet."""
        self.url = url
        try:
            self._store = _store(url)
        except (BaseError, ValueError, OSError) as error:
            raise ConfigurationError(f"storage.url: {url}: {reason(error)}") from error

    async def put(self, key: str, pieces: Sequence[memoryview], media_type: str) -> None:
        """Write an object in one request, without a copy of its bytes; it is there whole or not at all."""
        attributes = {"Content-Type": media_type}
        body: bytes | Sequence[memoryview] = pieces or b""
        await _asked(
            PUT_SECONDS,
            lambda: obstore.put_async(self._store, key, body, attributes=attributes, use_multipart=False),
        )

    async def head(self, key: str) -> Found | None:
        """The object of that key; None where there is none."""
        with _translated():
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    about = await obstore.head_async(self._store, key)
            except FileNotFoundError:
                return None
        return _found(about)

    async def get(self, key: str, start: int, length: int) -> memoryview:
        """Bytes of an object, fewer where it ends before."""
        got = await _asked(
            READ_SECONDS, lambda: obstore.get_range_async(self._store, key, start=start, end=start + length)
        )
        return memoryview(got)

    async def folders(self, under: str) -> list[str]:
        """The names of the folders right under a folder."""
        listed = await _asked(LOOK_SECONDS, lambda: obstore.list_with_delimiter_async(self._store, under))
        return [each.rpartition("/")[2] for each in listed["common_prefixes"]]

    async def objects(self, under: str) -> AsyncIterator[list[Found]]:
        """What lies under a folder, page by page."""
        pages = obstore.list(self._store, under, chunk_size=PAGE)
        while True:
            with _translated():
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        page = await anext(pages)
                except StopAsyncIteration:
                    return
            yield [_found(each) for each in page]

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; somebody else may do so at the same time."""
        for first in range(0, len(keys), PAGE):
            await self._delete(list(keys[first : first + PAGE]))

    async def _delete(self, keys: list[str]) -> None:
        with _translated():
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await obstore.delete_async(self._store, keys)
            except FileNotFoundError:  # outside S3 one that is gone already ends the batch
                if len(keys) > 1:
                    for key in keys:
                        await self._delete([key])


def _store(url: BucketUrl) -> S3Store | GCSStore | AzureStore:
    addresses = [os.environ.get(name, "") for name in ADDRESSES[url.cloud]]
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "timeout": timedelta(seconds=TRY_SECONDS),
        "allow_http": any(address.startswith("http://") for address in addresses),
    }
    prefix = url.prefix or None
    if url.cloud == "s3":
        return S3Store(url.bucket, prefix=prefix, client_options=client, retry_config=RETRY)
    if url.cloud == "gs":
        return GCSStore(url.bucket, prefix=prefix, client_options=client, retry_config=RETRY)
    return AzureStore(url.bucket, prefix=prefix, client_options=client, retry_config=RETRY)


async def _asked(seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
    with _translated():
        async with asyncio.timeout(seconds):
            return await ask()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError, TimeoutError) as error:
        raise StateUnavailable("the gateway's store of pictures cannot be reached now", detail=reason(error)) from error


def reason(error: Exception) -> str:
    """What went wrong, on one line, for the operator; without queries, which may hold a signature."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = str(error)
    line = _QUERY.sub("", text.partition("\n")[0].partition("<")[0]).rstrip(": ")
    code = _CODE.search(text)
    return line if code is None else f"{line} ({code[1]})"


def _found(about: obstore.ObjectMeta) -> Found:
    return Found(about["path"], about["size"], about["last_modified"].timestamp())
