"""Every way in which a provider refuses or fails, in each provider's own words, and the one public answer to it.

What a provider says of the gateway's own key, credit or address is never handed on as if it were about the client's.
Repeats are off here, so that each trouble is met once; `test_retrying` has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.journeys import SIMULATORS, Journey, journey_to, refusal


@dataclass(frozen=True)
class Told:
    """What the client is told. `waits` is the Retry-After, in seconds."""

    status: int
    type: str
    code: str
    should_retry: str | None
    waits: str | None = None


OPERATORS = Told(502, "upstream_error", "upstream_auth", "false")
CREDIT = Told(503, "upstream_error", "insufficient_provider_credit", "false")
REJECTED = Told(400, "invalid_request_error", "rejected_by_provider", None)
BUSY = Told(429, "rate_limit_error", "upstream_busy", "true", "7")
BUSY_FOR_A_WHILE = replace(BUSY, waits=None)
"""Where the provider does not say how long, the gateway does."""
UNKNOWN = Told(502, "upstream_error", "outcome_unknown", "false")
FAILED = Told(502, "upstream_error", "generation_failed", "false")
CONTENT = Told(400, "image_generation_user_error", "moderation_blocked", None)

WAIT = {"retry-after": "7"}

Situation = tuple[Mapping[str, Any], Told]
"""What the simulator does, and what the client is told of it."""

ANYWHERE: Mapping[str, Situation] = {
    "401 wrong key": ({"status": 401, "message": "Invalid API key"}, OPERATORS),
    "402 no credit": ({"status": 402, "message": "Insufficient credits"}, CREDIT),
    "403 forbidden": ({"status": 403, "message": "Access to this model is not allowed for this key"}, OPERATORS),
    "404 unknown model": ({"status": 404, "message": "The model does not exist"}, OPERATORS),
    "404 page of a proxy": ({"status": 404, "html": True}, OPERATORS),
    "413 too large": ({"status": 413, "message": "Request entity too large"}, REJECTED),
    "413 page of a proxy": ({"status": 413, "html": True}, REJECTED),
    "429 busy": ({"status": 429, "message": "Too many requests", "headers": WAIT}, BUSY),
    "429 page of a proxy": ({"status": 429, "html": True, "headers": WAIT}, BUSY_FOR_A_WHILE),
    "500 broken": ({"status": 500, "message": "Internal server error"}, UNKNOWN),
    "502 page of a proxy": ({"status": 502, "html": True}, UNKNOWN),
    "503 overloaded": ({"status": 503, "message": "Service unavailable", "headers": WAIT}, UNKNOWN),
    "503 page of a proxy": ({"status": 503, "html": True}, UNKNOWN),
}
"""In the words that public clients of most of them look for, or in those of whatever stands before them."""

OWN: Mapping[str, Mapping[str, Situation]] = {
    "flux_worker": {
        "404 unknown model": (
            {"status": 404, "message": "Unknown model 'x', currently serving ['black-forest-labs/FLUX.2-dev']."},
            OPERATORS,
        ),
        "422 invalid": ({"status": 422, "message": "Validation error: provider_options.image.steps"}, REJECTED),
        "429 busy": ({"status": 429, "message": "Queue is full", "headers": WAIT}, BUSY),
        # A worker's 503 says that nothing was begun.
        "503 overloaded": ({"status": 503, "message": "Model is loading", "headers": WAIT}, BUSY),
        "503 page of a proxy": ({"status": 503, "html": True}, BUSY_FOR_A_WHILE),
        "507 media store full": ({"status": 507, "message": "Media store is full"}, UNKNOWN),
        "prompt too long as a 500": ({"status": 500, "message": "Prompt is too long for the text encoder"}, REJECTED),
        "content": ({"status": 400, "message": "The prompt was flagged by the content filter"}, CONTENT),
        "success without a picture": ({"soft_fail": True}, FAILED),
    },
    "apiframe": {
        "409 key reused": ({"status": 409, "message": "Idempotency-Key was used for another request"}, UNKNOWN),
        "content at once": ({"status": 400, "message": "Prompt violates our content policy"}, CONTENT),
        "content in the job": ({"soft_fail": True, "message": "NSFW content detected"}, CONTENT),
        "job failed": ({"soft_fail": True, "message": "The model ran out of memory"}, FAILED),
        "job completed without a picture": (
            {"empty": True},
            Told(502, "upstream_error", "bad_upstream_image", "false"),
        ),
        "job lost": ({"on": "poll", "status": 401, "message": "Invalid API key"}, UNKNOWN),
    },
    "openai": {
        "401 wrong key": (
            {"status": 401, "message": "Incorrect API key provided: sk-abc", "code": "invalid_api_key"},
            OPERATORS,
        ),
        "403 unverified": (
            {"status": 403, "message": "Your organization must be verified to use the model `gpt-image-1`."},
            OPERATORS,
        ),
        "404 unknown model": (
            {"status": 404, "message": "The model `x` does not exist", "code": "model_not_found"},
            OPERATORS,
        ),
        "429 busy": (
            {"status": 429, "message": "Rate limit reached", "code": "rate_limit_exceeded", "headers": WAIT},
            BUSY,
        ),
        "429 no credit": (
            {
                "status": 429,
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "code": "insufficient_quota",
            },
            CREDIT,
        ),
        "400 hard limit": (
            {"status": 400, "message": "Billing hard limit has been reached", "code": "billing_hard_limit_reached"},
            CREDIT,
        ),
        "content": (
            {
                "status": 400,
                "message": "Your request was rejected by the safety system.",
                "code": "moderation_blocked",
            },
            CONTENT,
        ),
        "success that is an error": ({"soft_fail": True, "message": "oops", "code": "server_error"}, UNKNOWN),
        "success that is a refusal": ({"soft_fail": True, "message": "oops, steps", "code": "invalid_value"}, REJECTED),
        "success that blocks": ({"soft_fail": True, "message": "oops", "code": "content_policy_violation"}, CONTENT),
        "success without a picture": ({"empty": True}, FAILED),
    },
    "onemin": {
        "400 no credit": ({"status": 400, "message": "You do not have enough credits"}, CREDIT),
        "403 no credit": ({"status": 403, "message": "Insufficient credits for this feature"}, CREDIT),
        "content": ({"status": 400, "message": "Your prompt violates the content policy"}, CONTENT),
        "success that failed": ({"soft_fail": True, "message": "The model could not make it"}, FAILED),
        "success that was blocked": ({"soft_fail": True, "message": "flagged as NSFW"}, CONTENT),
        "success without a picture": (
            {"empty": True},
            Told(502, "upstream_error", "bad_upstream_image", "false"),
        ),
    },
    "modelverse": {
        "content": (
            {"status": 400, "message": "The input is not allowed", "code": "content_policy_violation"},
            CONTENT,
        ),
        "content in Chinese": (
            {"status": 400, "message": "输入内容包含敏感信息", "code": "invalid_parameter"},
            CONTENT,
        ),
        "400 no credit in Chinese": ({"status": 400, "message": "账户余额不足"}, CREDIT),
        "success that is an error": ({"soft_fail": True, "message": "oops", "code": "internal_error"}, UNKNOWN),
        "success that is busy": (
            {"soft_fail": True, "message": "slow down", "code": "rate_limit_exceeded"},
            BUSY_FOR_A_WHILE,
        ),
        "success that blocks": ({"soft_fail": True, "message": "oops", "code": "content_policy_violation"}, CONTENT),
        "success without credit": ({"soft_fail": True, "message": "oops", "code": "insufficient_balance"}, CREDIT),
        "success without a picture": ({"empty": True}, FAILED),
    },
}
"""What a provider says otherwise, or what only it does."""

SITUATIONS: Mapping[str, Mapping[str, Situation]] = {kind: {**ANYWHERE, **OWN[kind]} for kind in SIMULATORS}
TABLE = [(kind, situation) for kind, situations in SITUATIONS.items() for situation in situations]


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Journey]]:
    with ExitStack() as stack:
        yield {
            kind: stack.enter_context(journey_to(kind, tmp_path_factory.mktemp(kind), {"limits": {"retries": 0}}))
            for kind in SIMULATORS
        }


@pytest.mark.parametrize(("kind", "situation"), TABLE, ids=[" ".join(case) for case in TABLE])
def test_each_trouble_of_each_provider_has_one_public_answer(
    kind: str, situation: str, journeys: Mapping[str, Journey]
) -> None:
    knobs, told = SITUATIONS[kind][situation]
    journey = journeys[kind]
    journey.simulator.reset()
    journey.simulator.fail_next(**knobs)
    # Where the answer says that a retry cannot help, the official client makes none; else it would only wait here.
    error = refusal(journey, retries=0 if told.should_retry == "true" else 2)
    body = error.body
    assert isinstance(body, dict)
    headers = error.response.headers
    waits = headers.get("retry-after")
    assert Told(error.status_code, body["type"], body["code"], headers.get("x-should-retry"), waits) == (
        told if told.waits is not None or told.should_retry != "true" else replace(told, waits=waits)
    )
    assert body["param"] is None
    assert (waits is not None) is (told.should_retry == "true"), "how long to wait is said where waiting helps"
    assert error.status_code not in (401, 403), "the client's own key is not what is wrong"
    # Of an invalid request a worker of the operator's own is quoted; no other provider is, and not for anything else.
    if kind != "flux_worker" or told != REJECTED:
        assert str(knobs.get("message", "one moment please")) not in error.response.text
    assert len(journey.simulator.submissions) == 1


@pytest.mark.parametrize("knobs", [{"status": 404}, {"status": 429}, {"status": 500}, {"status": 503}, {"html": True}])
def test_a_look_at_a_job_that_goes_wrong_is_repeated_until_the_job_ends(
    knobs: dict[str, Any], journeys: Mapping[str, Journey]
) -> None:
    journey = journeys["apiframe"]
    journey.simulator.reset()
    journey.simulator.fail_next(on="poll", times=2, **knobs)
    answer = journey.generate(size="256x256", response_format="b64_json")
    assert len(journey.pictures(answer)) == 1
    assert len(journey.simulator.submissions) == 1


def test_the_table_has_every_situation_for_every_provider() -> None:
    for kind, situations in SITUATIONS.items():
        named = " ".join(situations)
        for word in ("401", "402", "403", "404", "413", "429", "500", "502", "503", "content"):
            assert word in named, (kind, word)
        assert any(knobs.get("soft_fail") for knobs, _ in situations.values()), "a success that is a failure"
