"""Tests of a door that is not open yet are not collected, nor those of a client that does not go through it yet."""

from __future__ import annotations

from tests.clients.doors import OPENAI, THROUGH
from tests.clients.speaking import LANGCHAIN, VERCEL

collect_ignore = [f"test_{door}.py" for door, clients in THROUGH.items() if not set(OPENAI) & set(clients)]
collect_ignore += [
    f"test_{door}_by_{client.name}.py"
    for door, clients in THROUGH.items()
    for client in (VERCEL, LANGCHAIN)
    if client not in clients
]
