"""Reading a request in one line, for tests: a fox is asked for, and whatever else a test says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from normalization.errors import CallerError
from normalization.reading import Reading, read
from normalization.vocabulary import ImageRequest, Operation

PROVIDERS = frozenset({"apiframe", "gpu"})


def reading(
    body: Mapping[str, Any] | None = None, /, *, defaults: Mapping[str, Any] | None = None, **said: Any
) -> Reading:
    whole = {"prompt": "a fox", **(body or {}), **said}
    return read(whole, default_model="house", providers=PROVIDERS, defaults=defaults)


def request(
    body: Mapping[str, Any] | None = None, /, *, defaults: Mapping[str, Any] | None = None, **said: Any
) -> ImageRequest:
    return reading(body, defaults=defaults, **said).request


def image(**options: Any) -> dict[str, Any]:
    return {"provider_options": {"image": options}}


def refused(
    kind: type[CallerError], param: str, *words: str, operation: Operation = "generate", body: Mapping[str, Any]
) -> CallerError:
    with pytest.raises(kind) as error:
        read({"prompt": "a fox", **body}, default_model="house", providers=PROVIDERS, operation=operation)
    assert error.value.param == param
    for word in words:
        assert word in error.value.message
    return error.value
