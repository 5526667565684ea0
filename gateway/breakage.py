"""What an exchange that broke means for money and for other routes, by the stage that it had reached. Pure."""

from __future__ import annotations

from normalization.errors import (
    BadUpstreamResponse,
    GenerationTimeout,
    ImagegateError,
    OutcomeUnknown,
    UpstreamAuth,
    UpstreamUnavailable,
)
from providers.base import Broken, Failed, Purpose, Stage


def broken_off(purpose: Purpose, broken: Broken) -> Failed:
    """The end of a submission or upload that broke: before the body was written whole, the provider holds no request,
    and another route may try; after it nobody knows."""
    if broken.fault == "tls":
        error: ImagegateError = UpstreamAuth("the provider's TLS certificate or address is wrong", detail=broken.detail)
        return Failed(error, refused=True, outcome="upstream_tls")
    if broken.stage < Stage.BODY_SENT or purpose == "upload":
        error = UpstreamUnavailable("the provider cannot be reached", detail=broken.detail)
        return Failed(error, refused=True, outcome=f"not_sent:{broken.fault}")
    return Failed(_unknown(broken), refused=False, outcome=f"unknown:{broken.fault}")


def _unknown(broken: Broken) -> ImagegateError:
    if broken.stage is Stage.REPLY_BEGUN:
        return BadUpstreamResponse("the provider's answer broke off; it may have been charged", detail=broken.detail)
    if broken.fault == "read_timeout":
        return GenerationTimeout(
            "the provider gave no answer in time; whether it made a picture is unknown", detail=broken.detail
        )
    return OutcomeUnknown(
        "the connection to the provider was lost after the request was sent; whether it made a picture is unknown",
        detail=broken.detail,
    )
