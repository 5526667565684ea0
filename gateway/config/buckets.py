"""`storage.url` where pictures lie in a bucket: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX.

Nothing secret stands in it, and no address: who we are and where the service is comes from the variables that the
clouds' own tools read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from gateway.config.fields import refused

Cloud = Literal["s3", "gs", "az"]

CLOUDS = ("s3://", "gs://", "az://")
PREFIX_MOST = 400
"""Characters; a key has 1024 bytes, and what we add is short."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_FOLDER = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._=+-]+")
_ACCEPTED = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"


@dataclass(frozen=True, slots=True)
class BucketUrl:
    """A place for pictures: the bucket (Azure: the container), and the prefix of all keys in it, "" for none."""

    cloud: Cloud
    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.cloud}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


def bucket_url(url: str) -> BucketUrl | None:
    """The place that a URL names; None where it is no bucket's. Raises what a validator raises where it is spoilt."""
    if not url.startswith(CLOUDS):
        return None
    cloud, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise refused("there is no bucket in it", _ACCEPTED)
    if not _BUCKET.fullmatch(bucket):
        raise refused(
            "its bucket has no bucket's name", "3 to 222 of a-z, 0-9, dot, hyphen and underscore, after the scheme"
        )
    prefix = prefix.removesuffix("/")
    if prefix and (len(prefix) > PREFIX_MOST or not all(_FOLDER.fullmatch(each) for each in prefix.split("/"))):
        raise refused(
            "its prefix cannot be part of a key",
            f"at most {PREFIX_MOST} of A-Z, a-z, 0-9 and . _ = + -, in folders with one slash between",
        )
    return BucketUrl(cast("Cloud", cloud), bucket, prefix)
