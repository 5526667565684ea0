"""When an exchange that is safe to repeat is worth repeating, and how long to wait before. Pure."""

from __future__ import annotations

import time

import tenacity

from providers.base import Broken, Fault, WireReply
from providers.waits import retry_after as retry_after

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
