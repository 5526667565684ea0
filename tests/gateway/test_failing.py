"""Failure classes: read off what a provider said and how far the exchange got; and what they say of its health."""

from __future__ import annotations

import pytest

from gateway.failing import FailureClass, class_of, sign_of
from gateway.outcome import AttemptRecord, CallResult
from gateway.services.breakers import Sign
from normalization import errors
from providers.base import Broken, Failed, Stage

A, B, C, D, E = FailureClass


def said(error: errors.ImagegateError, *, refused: bool = False, outcome: str = "") -> Failed:
    return Failed(error, refused=refused, outcome=outcome or error.code)


@pytest.mark.parametrize(
    ("failed", "broken", "accepted", "expected"),
    [
        pytest.param(said(errors.UpstreamUnavailable("dns")), Broken(Stage.CONNECTING, "dns"), False, A, id="F01"),
        pytest.param(said(errors.UpstreamAuth("tls")), Broken(Stage.CONNECTING, "tls"), False, A, id="F03"),
        pytest.param(said(errors.UpstreamUnavailable("x")), Broken(Stage.HEADERS_SENT, "reset"), False, A, id="F05"),
        pytest.param(said(errors.GenerationTimeout("x")), Broken(Stage.BODY_SENT, "read_timeout"), False, C, id="F06"),
        pytest.param(said(errors.BadUpstreamResponse("x")), Broken(Stage.REPLY_BEGUN, "closed"), False, C, id="F08"),
        pytest.param(said(errors.BadUpstreamResponse("x")), None, False, C, id="F09"),
        pytest.param(said(errors.RejectedByProvider("x"), refused=True), None, False, B, id="F12"),
        pytest.param(said(errors.ModerationBlocked("x"), refused=True), None, False, B, id="F13"),
        pytest.param(said(errors.UpstreamAuth("x"), refused=True), None, False, B, id="F14"),
        pytest.param(said(errors.InsufficientProviderCredit("x"), refused=True), None, False, B, id="F15"),
        pytest.param(said(errors.UpstreamBusy("x"), refused=True), None, False, B, id="F19"),
        pytest.param(said(errors.UpstreamUnavailable("x"), refused=True), None, False, B, id="F21 declared"),
        pytest.param(said(errors.OutcomeUnknown("x")), None, False, C, id="F22"),
        pytest.param(said(errors.OutcomeUnknown("x"), refused=True), None, False, C, id="F22 at a worker"),
        pytest.param(said(errors.OutcomeUnknown("x"), outcome="job_lost"), None, True, D, id="F25"),
        pytest.param(said(errors.GenerationTimeout("x")), None, True, D, id="F26"),
        pytest.param(said(errors.ModerationBlocked("x"), refused=True), None, True, D, id="F27"),
        pytest.param(said(errors.GenerationFailed("x"), refused=True), None, True, D, id="F28"),
        pytest.param(said(errors.GenerationFailed("x")), None, False, D, id="F28 without a job"),
        pytest.param(said(errors.BadUpstreamImage("x")), None, True, E, id="F30"),
        pytest.param(said(errors.BadUpstreamImage("x")), None, False, E, id="F32"),
        pytest.param(
            said(errors.UpstreamUnavailable("x"), refused=True, outcome="worker_oom"), None, False, D, id="F38"
        ),
        pytest.param(said(errors.Overloaded("x"), refused=True), None, False, A, id="no turn in time"),
    ],
)
def test_the_class_says_how_far_the_work_may_have_come(
    failed: Failed, broken: Broken | None, accepted: bool, expected: FailureClass
) -> None:
    assert class_of(failed, broken=broken, sent=True, accepted=accepted) is expected


def test_an_upload_on_the_way_to_a_submission_is_nothing_sent() -> None:
    lost = Broken(Stage.BODY_SENT, "closed")
    assert class_of(said(errors.UpstreamUnavailable("x")), broken=lost, sent=False, accepted=False) is A


def ended(error: errors.ImagegateError | None, failure: FailureClass | None, outcome: str = "") -> CallResult:
    record = AttemptRecord("p", "m", outcome or (error.code if error else "ok"), 0.1)
    return CallResult((0,), record, error=error, failure=failure)


@pytest.mark.parametrize(
    ("result", "sign"),
    [
        pytest.param(ended(None, None), Sign.WELL, id="a picture"),
        pytest.param(ended(errors.UpstreamUnavailable("x"), A), Sign.LOCAL, id="F01 F02 F04 F05"),
        pytest.param(ended(errors.UpstreamAuth("x"), A, "upstream_tls"), Sign.LOCAL, id="F03"),
        pytest.param(ended(errors.GenerationTimeout("x"), C), Sign.UPSTREAM, id="F06"),
        pytest.param(ended(errors.BadUpstreamResponse("x"), C), Sign.UPSTREAM, id="F09"),
        pytest.param(ended(errors.RejectedByProvider("x"), B), Sign.WELL, id="F12: the request's fault"),
        pytest.param(ended(errors.ModerationBlocked("x"), B), Sign.WELL, id="F13: the request's fault"),
        pytest.param(ended(errors.UpstreamAuth("x"), B), Sign.DENIED, id="F14"),
        pytest.param(ended(errors.InsufficientProviderCredit("x"), B), Sign.CREDIT, id="F15"),
        pytest.param(ended(errors.UpstreamAuth("x"), B, "upstream_config"), None, id="F17: the configuration's fault"),
        pytest.param(ended(errors.UpstreamBusy("x"), B), None, id="F19: busy is not ill"),
        pytest.param(ended(errors.UpstreamUnavailable("x"), B), Sign.UPSTREAM, id="F21"),
        pytest.param(ended(errors.OutcomeUnknown("x"), C), Sign.UPSTREAM, id="F22"),
        pytest.param(ended(errors.GenerationTimeout("x"), D), Sign.UPSTREAM, id="F26"),
        pytest.param(ended(errors.GenerationFailed("x"), D), None, id="F28"),
        pytest.param(ended(errors.BadUpstreamImage("x"), E), None, id="F32"),
        pytest.param(ended(errors.UpstreamUnavailable("x"), D, "worker_oom"), None, id="F38: this request's size"),
        pytest.param(ended(errors.Overloaded("x"), A), None, id="our own queue"),
        pytest.param(ended(errors.StorageFull("x"), A), None, id="our own disk"),
    ],
)
def test_what_an_end_says_of_the_providers_health(result: CallResult, sign: Sign | None) -> None:
    assert sign_of(result) is sign
