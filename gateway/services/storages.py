"""Which storage `storage.url` means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.config.buckets import BucketUrl
from gateway.config.model import Settings
from gateway.services.storage import Storage
from gateway.services.storage_file import FileStorage
from gateway.services.storage_memory import MemoryStorage
from gateway.services.storage_objects import ObjectStorage
from normalization.errors import ConfigurationError

if TYPE_CHECKING:
    from gateway.services.bucket import Bucket


async def open_storage(settings: Settings) -> Storage:
    """The storage of pictures, tried where it lies in a bucket. Raises ConfigurationError where that fails."""
    storage, data_dir, floor_bytes = settings.storage, settings.server.data_dir, settings.limits.disk_floor_bytes
    if storage.url == "memory":
        return MemoryStorage(storage.retention_seconds)
    if storage.bucket is None:
        return FileStorage(
            data_dir,
            retention_seconds=storage.retention_seconds,
            floor_bytes=floor_bytes,
            most_bytes=settings.limits.disk_bytes,
        )
    objects = ObjectStorage(
        open_bucket(storage.bucket), data_dir, retention_seconds=storage.retention_seconds, floor_bytes=floor_bytes
    )
    try:
        await objects.start()
    except BaseException:
        await objects.close()
        raise
    return objects


def open_bucket(url: BucketUrl) -> Bucket:
    """Raises ConfigurationError where the library is not installed, or the environment says nothing usable."""
    try:
        from gateway.services.bucket import Bucket
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "obstore":
            raise
        raise ConfigurationError(
            f"storage.url: {url}: the library for buckets is not installed; make setup EXTRAS=s3 installs it, or "
            "pip install 'imagegate[s3]'"
        ) from None
    return Bucket(url)
