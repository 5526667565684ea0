"""Which client goes through which door of the gateway in the tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.clients.speaking import LANGCHAIN, OPENAI_1, OPENAI_3, OPENAI_JS, VERCEL, Client

OPENAI = (OPENAI_3, OPENAI_1, OPENAI_JS)
NOBODY: tuple[Client, ...] = ()

THROUGH: Mapping[str, tuple[Client, ...]] = {
    "generate": (*OPENAI, VERCEL, LANGCHAIN),
    "refusals": (*OPENAI, VERCEL, LANGCHAIN),
    "models": OPENAI,
    "edit": (*OPENAI, VERCEL),
    "generate_stream": OPENAI,
    "edit_stream": OPENAI,
    "responses": (*OPENAI, VERCEL, LANGCHAIN),
}
"""Door to clients. What is not listed is not collected: `test_<door>.py` for OpenAI's clients,
`test_<door>_by_<client>.py` for the others."""

MARKS = {
    OPENAI_3: (),
    OPENAI_1: (pytest.mark.needs("client-openai-1"),),
    OPENAI_JS: (pytest.mark.needs("clients-of-npm"),),
    VERCEL: (pytest.mark.needs("clients-of-npm"),),
    LANGCHAIN: (pytest.mark.needs("client-langchain"),),
}


def through(door: str, *clients: Client) -> list[Any]:
    """Parameters of a test or a fixture: those of `clients` that go through `door`."""
    return [pytest.param(client, id=client.name, marks=MARKS[client]) for client in clients if client in THROUGH[door]]
