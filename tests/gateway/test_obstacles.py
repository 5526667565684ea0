"""A request that no route of its model can serve, and what of it the refusal names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.editing import PHOTO, uri
from tests.journeys import journey_to


@pytest.mark.parametrize(("path", "more"), [("generations", {}), ("edits", {"image": uri(PHOTO)})])
def test_a_prompt_too_long_for_every_route_is_refused_by_its_name(
    tmp_path: Path, path: str, more: dict[str, Any]
) -> None:
    with journey_to("apiframe", tmp_path) as journey:
        asked = {"model": "m", "prompt": "x" * 2001, **more}
        answer = httpx.post(f"{journey.base_url}/images/{path}", json=asked, timeout=60)
        assert journey.simulator.submissions == []
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_value", "prompt")
    assert "at most 2000 characters" in error["message"]
