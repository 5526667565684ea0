"""Rates: exactly what a key may ask for in any minute, and at once."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from gateway.services.rates import KeyRates
from normalization.errors import RateLimitExceeded

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Entry:
    name: str = "web"
    requests_per_minute: int | None = None
    images_per_minute: int | None = None
    max_concurrent: int | None = None


def limited_to(name: str, limit: int) -> Entry:
    entry = Entry()
    setattr(entry, name, limit)
    return entry


async def passes(rates: KeyRates, images: int = 1, key: str | None = "web") -> dict[str, str]:
    async with rates.admit(key, images) as admission:
        return dict(admission.headers)


async def refused(rates: KeyRates, images: int = 1) -> RateLimitExceeded:
    with pytest.raises(RateLimitExceeded) as found:
        await passes(rates, images)
    return found.value


async def test_in_any_minute_there_are_never_more_requests_than_allowed() -> None:
    clock = Clock()
    rates = KeyRates([Entry(requests_per_minute=3)], clock=clock)
    for at in (0, 10, 20):
        clock.now = 1000.0 + at
        await passes(rates)
    clock.now = 1030.5
    error = await refused(rates)
    assert error.retry_after == 29.5
    assert error.message == "this key may make 3 requests a minute; try again in 30 s"
    assert (error.status, error.code, error.should_retry) == (429, "rate_limit_exceeded", True)
    clock.now = 1059.9
    await refused(rates)
    clock.now = 1060.0
    await passes(rates)
    await refused(rates)
    clock.now = 1070.0
    await passes(rates)


async def test_what_was_refused_does_not_count() -> None:
    clock = Clock()
    rates = KeyRates([Entry(requests_per_minute=1, images_per_minute=5, max_concurrent=1)], clock=clock)
    await refused(rates, images=6)
    await passes(rates, images=5)
    for _ in range(10):
        await refused(rates)
    clock.now += 60
    await passes(rates, images=5)


async def test_pictures_are_counted_by_how_many_a_request_asks_for() -> None:
    clock = Clock()
    rates = KeyRates([Entry(images_per_minute=10)], clock=clock)
    await passes(rates, images=6)
    clock.now += 15
    await passes(rates, images=3)
    error = await refused(rates, images=2)
    assert error.message == (
        "this key may ask for 10 pictures a minute, this request asks for 2, and 1 are left; try again in 45 s"
    )
    assert error.retry_after == 45.0
    assert (await refused(rates, images=8)).retry_after == 60.0
    await passes(rates, images=1)
    clock.now += 45
    await passes(rates, images=6)


async def test_more_pictures_than_a_minute_allows_never_fit_and_nobody_is_told_to_wait() -> None:
    rates = KeyRates([Entry(requests_per_minute=1, images_per_minute=4)], clock=Clock())
    error = await refused(rates, images=5)
    assert error.message == "this key may ask for 4 pictures a minute; ask for fewer"
    assert (error.status, error.code, error.should_retry) == (429, "rate_limit_exceeded", False)
    assert error.retry_after is None
    await passes(rates, images=4)


async def test_more_than_a_share_allows_may_fit_later() -> None:
    rates = KeyRates([Entry(images_per_minute=4)], clock=Clock(), shares=True)
    error = await refused(rates, images=5)
    assert (error.should_retry, error.retry_after) == (True, 60.0)


async def test_only_so_many_at_once_and_a_place_is_free_when_a_request_ends() -> None:
    rates = KeyRates([Entry(max_concurrent=2)], clock=Clock())
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(rates.admit("web", 1))
        async with rates.admit("web", 1):
            error = await refused(rates)
            assert error.retry_after == 1.0
            assert error.message.startswith("this key may have 2 requests in progress")
        with pytest.raises(KeyError):
            async with rates.admit("web", 1):
                raise KeyError
        await passes(rates)
    async with rates.admit("web", 1), rates.admit("web", 1):
        await refused(rates)


async def test_keys_do_not_share_their_limits() -> None:
    rates = KeyRates([Entry("a", requests_per_minute=1), Entry("b", requests_per_minute=1)], clock=Clock())
    await passes(rates, key="a")
    await passes(rates, key="b")


@pytest.mark.parametrize("key", ["free", "unheard-of", None])
async def test_who_is_not_limited_is_neither_counted_nor_told(key: str | None) -> None:
    def never() -> float:
        raise AssertionError("the clock was read")

    rates = KeyRates([Entry("free")], clock=never)
    for _ in range(3):
        assert await passes(rates, images=1000, key=key) == {}
    assert await rates.headers(key) == {}


async def test_the_headers_tell_limit_rest_and_reset() -> None:
    clock = Clock()
    rates = KeyRates([Entry(requests_per_minute=2, images_per_minute=9)], clock=clock)
    assert await rates.headers("web") == headers(2, "0s")
    assert await passes(rates) == headers(1, "60s")
    clock.now += 48.2
    assert await rates.headers("web") == headers(1, "12s")
    assert await passes(rates) == headers(0, "60s")
    await refused(rates)
    clock.now += 11.8
    assert await rates.headers("web") == headers(1, "49s")


def headers(remaining: int, reset: str) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": str(remaining),
        "x-ratelimit-reset-requests": reset,
    }


async def test_a_key_limited_in_pictures_alone_has_no_request_headers() -> None:
    rates = KeyRates([Entry(images_per_minute=9)], clock=Clock())
    assert await passes(rates) == {}


async def test_a_new_configuration_does_not_forget_what_was_used() -> None:
    rates = KeyRates([Entry(requests_per_minute=2, max_concurrent=5)], clock=Clock())
    async with rates.admit("web", 1):
        rates.configure([Entry(requests_per_minute=3, max_concurrent=1)])
        assert (await refused(rates)).message.startswith("this key may have 1 requests in progress")
        rates.configure([Entry(requests_per_minute=1)])
        assert (await refused(rates)).message.startswith("this key may make 1 requests")
        assert (await rates.headers("web"))["x-ratelimit-remaining-requests"] == "0"
        rates.configure([])
        await passes(rates)


@pytest.mark.parametrize("limited", ["requests_per_minute", "images_per_minute"])
async def test_under_a_lowered_limit_one_is_told_to_wait_until_enough_is_forgotten(limited: str) -> None:
    clock = Clock()
    rates = KeyRates([limited_to(limited, 3)], clock=clock)
    for at in (0, 10, 20):
        clock.now = 1000.0 + at
        await passes(rates)
    rates.configure([limited_to(limited, 1)])
    clock.now = 1030.0
    error = await refused(rates)
    assert error.retry_after == 50
    clock.now += error.retry_after
    await passes(rates)
