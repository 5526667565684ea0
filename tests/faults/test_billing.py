"""The providers' books: true to the picture, on disk before the answer, and independent of whoever is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.billing import MICROS, Charge, Providers, providers

MARK = "mark-0123456789ab"
AUTH = {"authorization": "Bearer k", "x-api-key": "k"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Providers]:
    with providers(tmp_path) as found:
        yield found


def submit(house: Providers, kind: str, body: Any, **headers: str) -> httpx.Response:
    paths = {"openai": "/v1/images/generations", "apiframe": "/v2/images/generate", "flux_worker": "/v1/responses"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(house.origins[kind] + paths[kind], json=body, headers={**AUTH, **named}, timeout=20)


def pictures(n: int) -> dict[str, Any]:
    return {"model": "any-model", "prompt": f"a fox {MARK}", "size": "64x64", "n": n}


JOB = {"model": "flux-2-max", "prompt": f"a fox {MARK}"}


def test_each_charge_is_in_the_books_when_its_answer_comes(house: Providers) -> None:
    assert submit(house, "openai", pictures(2)).status_code == 200
    assert house.charges() == [Charge("openai", "openai-1", False, None, MARK, 2, 2 * MICROS)]
    assert submit(house, "openai", {**pictures(2), "n": 99}).status_code == 400
    assert len(house.charges()) == 1, "a refusal costs nothing"


def test_the_same_key_buys_once(house: Providers) -> None:
    first, again = (submit(house, "apiframe", JOB, idempotency_key="K").json() for _ in range(2))
    assert first["jobId"] == again["jobId"]
    assert house.charges() == [Charge("apiframe", "K", True, first["jobId"], MARK, 1, MICROS)]


def test_a_job_that_fails_is_paid_back(house: Providers) -> None:
    house.fail_next("apiframe", soft_fail=True)
    submit(house, "apiframe", JOB, idempotency_key="K")
    (charge,) = house.charges()
    assert (charge.submission, charge.refunded) == ("K", True)


@pytest.mark.parametrize(("knob", "made"), [("too_few", 1), ("too_many", 2)])
def test_what_is_billed_is_what_was_made_up_to_what_was_asked(knob: str, made: int, house: Providers) -> None:
    house.fail_next("openai", **{knob: True})
    submit(house, "openai", pictures(2))
    submit(house, "openai", pictures(2))
    assert [charge.pictures for charge in house.charges()] == [made, 2]


def test_work_that_is_free_is_in_the_books_too(house: Providers) -> None:
    body = {"model": "black-forest-labs/FLUX.2-dev", "input": f"a fox {MARK}"}
    assert submit(house, "flux_worker", body).status_code == 200
    (charge,) = house.charges()
    assert (charge.pictures, charge.micros) == (1, 0)


def test_the_process_is_another_one_and_ends_with_the_test(tmp_path: Path) -> None:
    with providers(tmp_path) as found:
        assert found.pid != os.getpid()
        os.kill(found.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(found.pid, 0)
