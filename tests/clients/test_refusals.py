"""Refusals become the clients' own exceptions, and what cannot help is not tried again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.clients.doors import OPENAI, through
from tests.clients.speaking import LANGCHAIN, VERCEL, Call, Client, Spoken, speak
from tests.served import served, settings_of
from tests.simulators import openai_simulator
from tests.simulators.openai import OpenAISimulator

KEYS = [
    {"name": "plain", "key": "ig_plain"},
    {"name": "narrow", "key": "ig_narrow", "models": ["sketch"]},
    {"name": "slow", "key": "ig_slow", "requests_per_minute": 1},
]


def generate(key: str = "ig_plain", *, retries: int | None = None, **arguments: Any) -> Call:
    settings = {"api_key": key} | ({} if retries is None else {"max_retries": retries})
    given = {"model": "sketch", "prompt": "a red fox", "size": "64x48", **arguments}
    return Call("images.generate", given, settings=settings)


REFUSED = {
    "size": generate(size="0x48"),
    "n": generate(n=11),
    "quality": generate(quality="superb"),
    "prompt": generate(prompt=""),
    "wrong key": generate("ig_wrong"),
    "other model": generate("ig_narrow", model="other"),
    "no model": generate(model="no-such-model"),
    "first": generate("ig_slow", retries=0),
    "too soon": generate("ig_slow", retries=0),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAISimulator]:
    with openai_simulator() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("refusals")


def gateway(folder: Path, upstream: OpenAISimulator) -> Any:
    paid = {"type": "openai", "base_url": upstream.base_url, "api_key": "secret"}
    config = {
        "auth": {"keys": KEYS},
        "network": {"allow_private": ["127.0.0.0/8"]},
        "providers": {"draw": {"type": "sketch"}, "paid": paid},
        "models": {
            "sketch": {"routes": [{"provider": "draw", "model": "sketch"}]},
            "other": {"aliases": ["gpt-image-1"], "routes": [{"provider": "paid", "model": "any"}]},
        },
    }
    return served(settings_of(folder, config))


@pytest.fixture(scope="module", params=through("refusals", *OPENAI))
def refused(request: pytest.FixtureRequest, folder: Path, upstream: OpenAISimulator) -> Mapping[str, Spoken]:
    with gateway(folder, upstream) as base:
        return speak(request.param, base, REFUSED)


@pytest.mark.parametrize(
    ("name", "exception", "status", "code", "param"),
    [
        ("size", "BadRequestError", 400, "invalid_value", "size"),
        ("n", "BadRequestError", 400, "invalid_value", "n"),
        ("quality", "BadRequestError", 400, "invalid_value", "quality"),
        ("prompt", "BadRequestError", 400, "invalid_value", "prompt"),
        ("wrong key", "AuthenticationError", 401, "invalid_api_key", None),
        ("other model", "PermissionDeniedError", 403, "model_not_allowed", "model"),
        ("no model", "NotFoundError", 404, "model_not_found", "model"),
        ("too soon", "RateLimitError", 429, "rate_limit_exceeded", None),
    ],
)
def test_a_refusal_is_the_exception_that_the_library_has_for_it(
    refused: Mapping[str, Spoken], name: str, exception: str, status: int, code: str, param: str | None
) -> None:
    error = refused[name].error
    assert error is not None
    assert (error["class"], error["status"], error["code"], error["param"]) == (exception, status, code, param)
    assert error["request_id"].startswith("req_")
    assert error["type"]
    if param is not None:
        assert param in error["message"]


def test_the_first_request_within_a_rate_is_served(refused: Mapping[str, Spoken]) -> None:
    assert refused["first"].error is None


@pytest.fixture
def paid(upstream: OpenAISimulator) -> OpenAISimulator:
    upstream.reset()
    return upstream


@pytest.mark.parametrize("client", through("refusals", *OPENAI, LANGCHAIN))
@pytest.mark.parametrize(
    ("fault", "status", "code"), [(402, 503, "insufficient_provider_credit"), (500, 502, "outcome_unknown")]
)
def test_what_cannot_help_or_may_have_been_paid_is_not_asked_for_again(
    client: Client, fault: int, status: int, code: str, tmp_path: Path, paid: OpenAISimulator
) -> None:
    paid.fail_next(times=3, status=fault)
    with gateway(tmp_path, paid) as base:
        error = speak(client, base, {"only": generate(model="other")})["only"].error
    assert error is not None
    assert (error["class"], error["status"], error["code"]) == ("InternalServerError", status, code)
    assert len(paid.submissions) == 1
    assert paid.billed == 0


@pytest.mark.parametrize("client", through("refusals", *OPENAI, LANGCHAIN, VERCEL))
def test_a_busy_moment_is_waited_out_by_the_library(client: Client, tmp_path: Path, paid: OpenAISimulator) -> None:
    paid.fail_next(status=429, headers={"retry-after": "1"})
    with gateway(tmp_path, paid) as base:
        spoken = speak(client, base, {"only": generate(model="other")})["only"]
    assert spoken.error is None
    assert (len(paid.submissions), paid.billed) == (2, 1)
