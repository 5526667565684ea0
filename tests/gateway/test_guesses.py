"""Wrong keys: who tries too many is not listened to, and nobody else feels it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.services import guesses
from gateway.services.guesses import Guesses
from normalization.errors import RateLimitExceeded
from tests.raw import PROVIDED
from tests.served import served, settings_of


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_after_so_many_wrong_keys_an_address_waits_a_minute_from_the_first(clock: Clock) -> None:
    found = Guesses(3, 100, clock=clock)
    for _ in range(3):
        found.check("a", "x")
        found.failed("a")
        clock.now += 10
    with pytest.raises(RateLimitExceeded, match="3 wrong API keys") as refused:
        found.check("a", "right, for all that is known")
    assert refused.value.retry_after == 30
    found.check("b", "x")
    clock.now += 30
    found.check("a", "x")
    found.failed("a")
    with pytest.raises(RateLimitExceeded):
        found.check("a", "x")


def test_what_was_right_from_there_goes_on(clock: Clock) -> None:
    found = Guesses(1, 100, clock=clock)
    found.proved("a", "right")
    found.failed("a")
    found.check("a", "right")
    for address, digest in (("a", "other"), ("a", "")):
        with pytest.raises(RateLimitExceeded):
            found.check(address, digest)
    found.failed("b")
    with pytest.raises(RateLimitExceeded):
        found.check("b", "right")


def test_wrong_keys_far_apart_are_forgiven(clock: Clock) -> None:
    found = Guesses(2, 100, clock=clock)
    for _ in range(50):
        found.check("a", "x")
        found.failed("a")
        clock.now += 31


def test_many_in_all_are_slowed_down_wherever_they_come_from(clock: Clock) -> None:
    found = Guesses(20, 50, clock=clock)
    for number in range(49):
        found.failed(f"address {number}")
    assert found.pause == 0
    found.failed("another")
    assert found.pause == guesses.PAUSE_SECONDS
    clock.now += 60
    assert found.pause == 0


def test_addresses_without_number_take_no_memory_without_end(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "REMEMBERED_MOST", 100)
    found = Guesses(2, 100, clock=clock)
    for number in range(1000):
        found.failed(f"address {number}")
        found.proved(f"address {number}", "right")
    assert (len(found._wrong), len(found._right)) == (100, 100)


KEYED = {
    **PROVIDED,
    "auth": {"keys": [{"name": "one", "key": "ig_one"}, {"name": "two", "key": "ig_two"}]},
    "limits": {"auth_failures_per_minute": 3},
    "server": {"trusted_proxies": ["127.0.0.0/8"]},
}


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    with served(settings_of(tmp_path, KEYED)) as url:
        yield url


def asked(base: str, key: str | None, client: str = "203.0.113.1") -> httpx.Response:
    headers = {"x-forwarded-for": client} | ({} if key is None else {"authorization": f"Bearer {key}"})
    return httpx.get(f"{base}/models", headers=headers)


def test_the_door_stays_shut_for_who_tried_too_often_and_open_for_others(base: str) -> None:
    assert asked(base, "ig_one").status_code == 200
    assert [asked(base, f"wrong {number}").status_code for number in range(5)] == [401, 401, 401, 429, 429]
    refused = asked(base, "ig_two")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-should-retry"] == "true"
    assert asked(base, "ig_one").status_code == 200
    assert asked(base, "ig_two", client="203.0.113.2").status_code == 200
    assert (
        httpx.post(f"{base}/images/generations", json={}, headers={"x-forwarded-for": "203.0.113.1"}).status_code == 401
    )


def test_a_header_of_the_clients_own_before_the_proxys_buys_no_more_guesses(base: str) -> None:
    def guess(number: int) -> int:
        lines = [("x-forwarded-for", f"203.0.113.{number}"), ("x-forwarded-for", "198.51.100.7")]
        return httpx.get(f"{base}/models", headers=[*lines, ("authorization", f"Bearer wrong {number}")]).status_code

    assert [guess(number) for number in range(5)] == [401, 401, 401, 429, 429]


def test_no_key_is_no_guess(base: str) -> None:
    assert {asked(base, None).status_code for _ in range(6)} == {401}
    assert asked(base, "ig_one").status_code == 200
