"""When an exchange that is safe to repeat is worth repeating, and how long to wait before. Pure."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite

import tenacity

from providers.base import Broken, Fault, WireReply

_REPEATED_IN_VAIN: frozenset[Fault] = frozenset({"tls", "too_large", "encoding"})

_jitter = tenacity.wait_random_exponential(multiplier=0.4, max=5.0)


def worth_repeating(outcome: WireReply | Broken) -> bool:
    """Whether the same request may fare better later: it broke on the way, or the answer was 429 or 5xx."""
    match outcome:
        case Broken(fault=fault):
            return fault not in _REPEATED_IN_VAIN
        case WireReply(status=status):
            return status == 429 or status >= 500


def pause(state: tenacity.RetryCallState) -> float:
    """Seconds until the next try: what the reply asks for, and on top an exponential jitter of up to 5 seconds, so
    that many who were told the same do not all come back at once."""
    outcome = last(state)
    asked = retry_after(outcome.headers, time.time()) if isinstance(outcome, WireReply) else None
    return (asked or 0.0) + _jitter(state)


def last(state: tenacity.RetryCallState) -> WireReply | Broken | None:
    """The outcome of the latest try."""
    outcome: WireReply | Broken | None = state.outcome.result() if state.outcome else None
    return outcome


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
