"""What refusals and failures mean, by status, by words and by code, and what of them is kept for whom."""

from __future__ import annotations

import json
from typing import Any

import pytest

from normalization.errors import (
    BadUpstreamResponse,
    ImagegateError,
    InsufficientProviderCredit,
    ModerationBlocked,
    OutcomeUnknown,
    RejectedByProvider,
    UpstreamAuth,
    UpstreamBusy,
    UpstreamUnavailable,
)
from providers.base import Failed, Traits, WireReply
from providers.failures import DETAIL_MOST, complaint_of, failure, redacted

PAID = Traits()


def failed(status: int, body: Any = b"", *, traits: Traits = PAID, **headers: str) -> Failed:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return failure(
        WireReply(status, content, {name.replace("_", "-"): value for name, value in headers.items()}), traits
    )


@pytest.mark.parametrize(
    ("status", "error", "outcome", "refused"),
    [
        (400, RejectedByProvider, "rejected_by_provider", True),
        (422, RejectedByProvider, "rejected_by_provider", True),
        (413, RejectedByProvider, "rejected_by_provider", True),
        (415, RejectedByProvider, "rejected_by_provider", True),
        (401, UpstreamAuth, "upstream_auth", True),
        (403, UpstreamAuth, "upstream_auth", True),
        (402, InsufficientProviderCredit, "insufficient_provider_credit", True),
        (404, UpstreamAuth, "upstream_config", True),
        (405, UpstreamAuth, "upstream_config", True),
        (429, UpstreamBusy, "upstream_busy", True),
        (408, OutcomeUnknown, "outcome_unknown", False),
        (409, OutcomeUnknown, "outcome_unknown", False),
        (500, OutcomeUnknown, "outcome_unknown", False),
        (502, OutcomeUnknown, "outcome_unknown", False),
        (503, OutcomeUnknown, "outcome_unknown", False),
        (504, OutcomeUnknown, "outcome_unknown", False),
        (529, OutcomeUnknown, "outcome_unknown", False),
        (301, BadUpstreamResponse, "bad_upstream_response", False),
        (100, BadUpstreamResponse, "bad_upstream_response", False),
    ],
)
def test_a_bare_status_has_one_meaning(status: int, error: type[ImagegateError], outcome: str, refused: bool) -> None:
    found = failed(status)
    assert (type(found.error), found.outcome, found.refused) == (error, outcome, refused)
    assert found.error.charge == "none" or not refused


def test_a_503_is_a_refusal_only_where_the_provider_means_it_so() -> None:
    found = failed(503, traits=Traits(s503_means_refused=True), retry_after="7")
    assert (type(found.error), found.refused, found.error.retry_after) == (UpstreamUnavailable, True, 7.0)


def test_where_nothing_is_charged_a_failure_never_bars_another_route() -> None:
    assert failed(500, traits=Traits(billable=False)).refused is True


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"retry_after": "2.5"}, 2.5), ({"retry_after_ms": "1500"}, 1.5), ({}, None)]
)
def test_the_wait_that_a_busy_provider_asks_for_is_kept(headers: dict[str, str], seconds: float | None) -> None:
    assert failed(429, traits=PAID, **headers).error.retry_after == seconds


@pytest.mark.parametrize(
    "said",
    [
        "Your request was rejected as a result of our safety system.",
        "Your request was rejected by the safety system",
        "The prompt violates our content policy",
        "This content may violate our usage policies.",
        "Provider returned an error: content policy violation",
        "NSFW content detected",
        "The generated image was flagged",
        "prompt blocked by moderation",
        "Request failed moderation",
        "The input contains sensitive content",
        "输入包含敏感内容",
    ],
)
def test_content_is_recognised_by_its_words(said: str) -> None:
    for status in (400, 403):
        found = failed(status, {"error": {"message": said, "code": None}})
        assert (type(found.error), found.outcome, found.refused) == (ModerationBlocked, "moderation_blocked", True)


@pytest.mark.parametrize(
    "said",
    [
        "safety_tolerance must be between 1 and 6",
        "enable_safety_checker is not supported",
        "Invalid value for 'moderation': must be low or auto",
        "Unknown parameter: 'moderation'.",
        "white balance must be a number",
    ],
)
def test_a_parameter_about_safety_or_balance_is_still_a_parameter(said: str) -> None:
    assert isinstance(failed(400, {"error": {"message": said}}).error, RejectedByProvider)


def test_a_code_of_content_counts_whatever_the_status() -> None:
    for status in (200, 400, 500):
        assert isinstance(failed(status, {"error": {"code": "content_policy_violation"}}).error, ModerationBlocked)


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (400, "You don't have enough credits", InsufficientProviderCredit),
        (403, "account balance is insufficient", InsufficientProviderCredit),
        (400, "Budget has been exceeded! Current cost: 1.0, Max budget: 0.5", InsufficientProviderCredit),
        (403, "余额不足", InsufficientProviderCredit),
        (429, "insufficient balance", InsufficientProviderCredit),
        (429, "Quota exceeded for requests per minute", UpstreamBusy),
        (429, "Rate limit reached", UpstreamBusy),
        (500, "could not read the quota", OutcomeUnknown),
    ],
)
def test_an_empty_account_is_recognised_by_its_words(status: int, said: str, error: type[ImagegateError]) -> None:
    assert isinstance(failed(status, {"message": said}).error, error)


@pytest.mark.parametrize(
    ("body", "said", "param"),
    [
        ({"error": {"message": "no", "param": "size", "code": "x"}}, "no", "size"),
        ({"error": "no"}, "no", None),
        ({"detail": "no"}, "no", None),
        ({"detail": [{"loc": ["body", "provider_options", "image", "width"], "msg": "no"}]}, "no", "width"),
        ({"errors": [{"msg": "no"}]}, "no", None),
        ({"errors": [{"message": "no"}]}, "no", None),
        ({"message": "no"}, "no", None),
        ({"msg": "no"}, "no", None),
        ({"errorData": {"message": "no"}}, "no", None),
        (b"no", "no", None),
        (b"<html>no</html>", "", None),
        (b"\xff\xfe", "��", None),
        ([1, 2], "[1, 2]", None),
        ({"error": {"message": {"deep": 1}}}, "", None),
        ({"detail": [None]}, "", None),
        ({}, "", None),
    ],
)
def test_a_complaint_is_found_in_every_envelope(body: Any, said: str, param: str | None) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = complaint_of(WireReply(400, content))
    assert (found.said, found.param) == (said, param)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("Invalid value: 'size'", "size"),
        ("num_inference_steps must be at most 50", "steps"),
        ("`guidance_scale` and 'seed' are wrong", "guidance and seed"),
        ("the size and style of your prompt", None),
        ("unknown field x_y_z", None),
    ],
)
def test_only_our_own_parameters_are_named_to_the_client(said: str, named: str | None) -> None:
    message = failed(400, {"error": {"message": said}}).error.message
    hint = "" if named is None else f"; it seems to be about {named}"
    assert message == f"the provider refused the request as invalid{hint}"


SECRETS = [
    "Incorrect API key provided: sk-abc*********def. You can find your key at https://platform.openai.com/keys",
    "Authorization: Bearer hunter2hunter2",
    "invalid token=abc-1234-xyz",
    "see https://user:pass@internal.example/path?sig=1",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
    "got iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk instead",
    "afk_0a1b2c3d4e5f6a7b8c9d",
]


@pytest.mark.parametrize("said", SECRETS)
def test_keys_addresses_and_pictures_are_taken_out_of_the_log(said: str) -> None:
    detail = failed(400, {"error": {"message": said}}).error.detail
    for secret in ("sk-abc", "hunter2", "abc-1234", "user:pass", "sig=1", "iVBORw0", "afk_0a1b", "platform.openai.com"):
        assert secret not in detail


@pytest.mark.parametrize("said", SECRETS)
def test_nothing_that_a_provider_wrote_reaches_the_client(said: str) -> None:
    for status in (200, 400, 401, 402, 404, 429, 500):
        found = failed(status, {"error": {"message": said}})
        assert not set(said.split()) & {word for word in str(found.error).split() if len(word) > 12}


def test_an_operator_can_still_read_what_was_wrong() -> None:
    said = "model black-forest-labs/flux-kontext-max is not available in your region, the key is fine"
    assert redacted(said) == said


def test_a_log_line_is_one_line_of_bounded_length() -> None:
    detail = failed(500, {"error": {"message": "line one\nline two " + "word " * 10_000}}).error.detail
    assert "\n" not in detail
    assert len(detail) <= DETAIL_MOST + len("HTTP 500 ")
