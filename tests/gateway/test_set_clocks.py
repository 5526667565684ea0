"""A system clock that is set makes leases of the living look old: what they work on stays theirs."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.resumption import Resumption
from gateway.services.bought import Bought


class Scene:
    """A scan, and how often it came so far as to take over what is left."""

    def __init__(self) -> None:
        self.takes = 0
        jobs, attempts = SimpleNamespace(draining=False), SimpleNamespace(take=self._take)
        services: Any = SimpleNamespace(jobs=jobs, state=SimpleNamespace(attempts=attempts))
        self.resumption = Resumption(services, lambda _, __: None)

    async def _take(self, now: float) -> list[Any]:
        self.takes += 1
        return []


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [86_400.0, -86_400.0, 31.0])
async def test_right_after_the_clock_was_set_nothing_is_taken_over(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, told = Scene(), time.time
    await scene.resumption.scan()
    monkeypatch.setattr(time, "time", lambda: told() + seconds)
    await scene.resumption.scan()
    assert scene.takes == 1
    await scene.resumption.scan()
    assert scene.takes == 2


@pytest.mark.anyio
async def test_a_clock_that_is_put_right_by_a_little_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, told = Scene(), time.time
    monkeypatch.setattr(time, "time", lambda: told() + 1.0)
    await scene.resumption.scan()
    assert scene.takes == 1


def test_a_job_is_bought_by_the_first_submission_that_is_answered_with_it() -> None:
    bought = Bought(most=2)
    assert bought.first("p", "job", "one")
    assert bought.first("p", "job", "one"), "looked at again"
    assert not bought.first("p", "job", "two")
    assert bought.first("q", "job", "two"), "another provider's"
    assert bought.first("p", "another", "three")
    assert bought.first("p", "job", "two"), "forgotten by now"
