"""How long a reply asks to wait before the next try. Pure, so that adapters can read it too."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite

SECONDS_MOST = 86_400.0
"""Whoever asks for longer than a day does not mean it, or is broken for today."""


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a reply asks to wait, never negative; None where it says nothing readable. `now` is time.time().

    RFC 9110 section 10.2.3 has seconds or an HTTP date; `retry-after-ms` is Azure OpenAI's finer twin of it, which
    OpenAI's own client libraries read first. Header names are lower case.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    said = headers.get("retry-after", "")
    seconds = _number(said)
    if seconds is not None:
        return _bounded(seconds)
    with contextlib.suppress(ValueError, OverflowError):  # the latter for a year or an hour of twenty digits
        date = parsedate_to_datetime(said)
        return _bounded((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
    return None


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), SECONDS_MOST)


def _number(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        number = float(text)
        return number if isfinite(number) else None
    return None
