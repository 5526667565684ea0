"""How long a reply asks to wait before the next try. Pure, so that adapters can read it too."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a reply asks to wait, never negative; None where it says nothing readable. `now` is time.time().

    RFC 9110 section 10.2.3 has seconds or an HTTP date; `retry-after-ms` is Azure OpenAI's finer twin of it, which
    OpenAI's own client libraries read first. Header names are lower case.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    said = headers.get("retry-after", "")
    seconds = _number(said)
    if seconds is not None:
        return max(0.0, seconds)
    with contextlib.suppress(ValueError):
        date = parsedate_to_datetime(said)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    return None


def _number(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        number = float(text)
        return number if isfinite(number) else None
    return None
