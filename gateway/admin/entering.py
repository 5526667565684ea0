"""What the other processes have done and not written down yet: entered before the operator is told of it."""

from __future__ import annotations

from typing import Any, Final

from gateway.container import Services
from normalization.errors import OperatorError

ENTER: Final = "enter"
"""The inquiry by which a process has the others write down what they know."""


async def entered(services: Services) -> None:
    """Return once they have; those that do not answer in time are not waited for."""
    await services.sharing.survey(ENTER)


def answer_entering(services: Services) -> None:
    """Write down what this process knows when another one asks."""

    async def enter(_: Any) -> bool | None:
        try:
            await services.state.attempts.ping()
        except OperatorError:  # it stays in mind, and is told of at /admin/health
            return None
        return True

    services.sharing.answer(ENTER, enter)
