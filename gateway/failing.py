"""What a call came to where it brought no picture: the class of the failure decides what may be done about it. Pure.

A not sent    the provider never held the whole request        the same provider may be asked again, then another
B refused     it said no before any work                       where it is only busy, again; then another
C maybe       it held the request, and gave no answer to trust never again where that could buy a second picture
D accepted    it took the work, and did not finish it          never again, unless it says that it charged nothing
E result      the picture was made, and cannot be used         never again
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from gateway.services.breakers import Sign
from normalization.errors import (
    BadUpstreamImage,
    BadUpstreamResponse,
    CallerError,
    GenerationTimeout,
    InsufficientProviderCredit,
    OperatorError,
    OutcomeUnknown,
    ResultUnavailable,
    UpstreamAuth,
    UpstreamUnavailable,
)
from providers.base import Broken, Failed, Stage

if TYPE_CHECKING:
    from gateway.outcome import CallResult

UNKNOWN = (OutcomeUnknown, BadUpstreamResponse, GenerationTimeout)
"""Errors after which nobody knows whether the provider did the work."""

OUT_OF_MEMORY = "worker_oom"
"""The fine word of a worker that took the work and ran out of memory."""


class FailureClass(enum.Enum):
    """How far the work may have come."""

    NOT_SENT = "A"
    REFUSED = "B"
    MAYBE = "C"
    ACCEPTED = "D"
    RESULT = "E"


def class_of(failed: Failed, *, broken: Broken | None, sent: bool, accepted: bool) -> FailureClass:
    """The class of a failure. `broken`: the last exchange where it gave no answer; `sent`: a submission went out, not
    only uploads on the way to one; `accepted`: the provider had told the id of a job."""
    if isinstance(failed.error, BadUpstreamImage | ResultUnavailable):
        return FailureClass.RESULT
    if accepted:
        return FailureClass.ACCEPTED
    if isinstance(failed.error, OperatorError) or (broken is not None and (broken.stage < Stage.BODY_SENT or not sent)):
        return FailureClass.NOT_SENT
    if isinstance(failed.error, UNKNOWN):
        return FailureClass.MAYBE
    if failed.refused and failed.error.charge == "none" and failed.outcome != OUT_OF_MEMORY:
        return FailureClass.REFUSED
    return FailureClass.ACCEPTED


def sign_of(result: CallResult) -> Sign | None:
    """What the end of a call says of the provider's health; None = nothing."""
    error, failure = result.error, result.failure
    if error is None or result.pictures:
        return Sign.WELL
    if isinstance(error, OperatorError):
        return None
    if failure is FailureClass.NOT_SENT:
        return Sign.LOCAL
    if isinstance(error, InsufficientProviderCredit):
        return Sign.CREDIT
    if isinstance(error, UpstreamAuth):
        return Sign.DENIED if result.record.outcome == "upstream_auth" else None
    if isinstance(error, UpstreamUnavailable):
        return Sign.UPSTREAM if failure is FailureClass.REFUSED else None
    if isinstance(error, UNKNOWN):
        return Sign.UPSTREAM
    return Sign.WELL if isinstance(error, CallerError) else None
