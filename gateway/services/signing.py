"""Signed, expiring names of hosted pictures, in the manner of presigned object-store URLs.

The signature is HMAC-SHA256, cut to 128 bits, over the key's own id, the picture's name and the time it expires.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from normalization.errors import ConfigurationError, StateUnavailable

MOST_SECONDS = 604_800
"""A week, as with AWS: a link that lives longer is a file that is public."""
FURTHEST_SECONDS = MOST_SECONDS + 60
"""A clock may be behind that of the process that has just signed."""
KEY_FILE = "signing.key"
SIGNATURE_BYTES = 16

# Only what `sign` writes: Python's int() would also take spaces, signs and other scripts' digits.
_EXPIRES = re.compile(r"[1-9][0-9]{0,11}")
_KEY_FILE_TEXT = re.compile(rb"[0-9a-f]{64}\n?")


class Signer:
    """Signs with the first of `keys` and believes each of them, so that a key can be replaced while its links live.

    `ttl`: seconds that a link is good for, 1 to a week. Raises ConfigurationError for another one, or without a key.
    """

    def __init__(self, keys: Sequence[bytes], ttl: float) -> None:
        if not keys or not all(keys):
            raise ConfigurationError("storage.signing_key: a key is needed to sign pictures' URLs")
        if not 1 <= ttl <= MOST_SECONDS:
            raise ConfigurationError(f"storage.url_ttl_seconds: {ttl:g} is not between 1 and {MOST_SECONDS} (a week)")
        # The key's id is signed with the rest: two keys never vouch for the same text.
        self._keys = tuple((key, hashlib.sha256(b"id:" + key).digest()[:4]) for key in keys)
        self._ttl = int(ttl)

    def sign(self, name: str, now: float, seconds: float | None = None) -> str:
        """The query, "exp=...&sig=...", under which the picture can be had until `now` (epoch seconds) and so many
        `seconds` (None = ttl)."""
        expires = str(int(now) + (self._ttl if seconds is None else min(int(seconds), MOST_SECONDS)))
        key, key_id = self._keys[0]
        return f"exp={expires}&sig={_signature(key, key_id, name, expires).decode()}"

    def verify(self, name: str, exp: str, sig: str, now: float) -> bool:
        """Whether one of the keys signed exactly this, and it has not expired at `now` (epoch seconds).

        Every key is tried whatever the others say, and compared in constant time.
        """
        given = sig.encode("utf-8", "replace")
        genuine = False
        for key, key_id in self._keys:
            genuine |= hmac.compare_digest(_signature(key, key_id, name, exp), given)
        # A time further away than any link may live was signed by an earlier, more generous configuration.
        return genuine and _EXPIRES.fullmatch(exp) is not None and now < int(exp) <= now + FURTHEST_SECONDS


def _signature(key: bytes, key_id: bytes, name: str, expires: str) -> bytes:
    # NUL parts the fields: neither a name nor a number that is accepted has one.
    text = b"\0".join((key_id, name.encode("utf-8", "replace"), expires.encode("utf-8", "replace")))
    return base64.urlsafe_b64encode(hmac.digest(key, text, "sha256")[:SIGNATURE_BYTES]).rstrip(b"=")


def key_from_text(text: str) -> bytes:
    """The signing key that a configuration's `signing_key` stands for."""
    return hashlib.sha256(text.encode()).digest()


def load_or_make_key(data_dir: Path) -> bytes:
    """The key in `data_dir`/signing.key, made at the first start (mode 0600). Processes that start together get the
    same one.

    Raises StateUnavailable when it cannot be read or made, ConfigurationError when something else is in the file.
    """
    path = data_dir / KEY_FILE
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        text = path.read_bytes()
    except OSError as error:
        raise StateUnavailable(f"the signing key {path} cannot be read or made: {error.strerror}") from error
    if not _KEY_FILE_TEXT.fullmatch(text):
        raise ConfigurationError(
            f"{path}: not a signing key (64 hexadecimal digits); delete it and a new one is made, "
            "which ends the URLs of pictures given out so far"
        )
    return bytes.fromhex(text.decode())


def _make_key(path: Path) -> None:
    """Make the file whole under another name first, then link it: nobody ever reads half of it, and the first wins."""
    draft = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(draft, flags, 0o600), "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:  # another process was first
        return
    finally:
        draft.unlink(missing_ok=True)
