"""What a provider writes where the address of its picture belongs."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.finishing import Finisher
from normalization.errors import BadUpstreamImage
from normalization.pictures import FinishOptions
from providers.fetch import FetchPolicy
from providers.transport import Target

NOBODY: Any = None


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["http://[", "//[x", "http://a]b/", "http://\N{ACCOUNT OF}.example/x"])
async def test_what_is_no_address_is_a_picture_that_cannot_be_used_and_no_bug_of_ours(url: str) -> None:
    finisher = Finisher(NOBODY, NOBODY, FinishOptions(), FetchPolicy())
    with pytest.raises(BadUpstreamImage) as unusable:
        await finisher.fetch(url, Target("https://api.example/v1"), deadline=float("inf"))
    assert unusable.value.detail == "its address is none"
