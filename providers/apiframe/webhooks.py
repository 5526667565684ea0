"""Who sent a webhook: apiframe signs each with a key that it derives from the API key.

Source: docs-v2.apiframe.ai, "Webhooks": X-Webhook-Signature is the HMAC-SHA256 of the raw body, the signing secret
"the SHA-256 hash of your API key". Whether the 32 bytes of that hash or its hexadecimal text is the key, the page
leaves open; apiframe's Node SDK (src/webhooks.ts) takes the bytes and hexadecimal signatures, `sha256=` before them
or not. Both keys are accepted, for nobody can make either without the API key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

from providers.replies import read_object

JOB_ID = re.compile(r"[\w:-][\w.:-]{0,199}", re.ASCII)
"""What may stand in a path: no slash, and not `..`."""

EVENTS = ("completed", "failed")
"""What the gateway asks to be told; progress is not worth a request."""

_SIGNATURE = re.compile(r"(?:sha256=)?([0-9a-f]{64})", re.IGNORECASE)


def signed(header: str, body: bytes, secret: str) -> bool:
    """Whether `header`, an X-Webhook-Signature, is that of the raw `body` by the holder of the API key `secret`."""
    found = _SIGNATURE.fullmatch(header.strip())
    if found is None:
        return False
    given = bytes.fromhex(found[1])
    digest = hashlib.sha256(secret.encode())
    proofs = [
        hmac.compare_digest(hmac.digest(key, body, "sha256"), given)
        for key in (digest.digest(), digest.hexdigest().encode())
    ]
    return any(proofs)


def job_of(body: bytes) -> str | None:
    """The job that a notice is about; None where it names none. Nothing else in it is believed."""
    said = (read_object(body) or {}).get("jobId")
    return said if isinstance(said, str) and JOB_ID.fullmatch(said) else None


def notice(headers: Mapping[str, str], body: bytes, secret: str) -> str | None:
    """The job that a webhook is about, the signature checked before anything is read; None = not theirs."""
    return job_of(body) if signed(headers.get("x-webhook-signature", ""), body, secret) else None
