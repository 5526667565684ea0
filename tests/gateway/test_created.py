"""`created` is ours: providers write seconds, milliseconds and ISO dates under names of their own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.journeys import SIMULATORS, journey_to


@pytest.mark.parametrize("kind", list(SIMULATORS))
def test_an_answer_was_created_in_whole_seconds_of_our_own_clock(kind: str, tmp_path: Path) -> None:
    with journey_to(kind, tmp_path) as journey:
        before = int(time.time())
        created = journey.generate(size="256x256", response_format="b64_json").created
        assert isinstance(created, int)
        assert before <= created <= time.time()
