"""What is noted of a request while it is served: for the ledger, the metrics and the log.

`Front` opens an account for each request; whoever learns something writes it in; once the last byte is out, those who
keep accounts are given it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

UNKNOWN = "unknown"

LEFT = 499
"""The status of a request whose client left before it had one (nginx's own word for that)."""


@dataclass(slots=True)
class Account:
    """One request."""

    request_id: str
    method: str
    path: str
    endpoint: str = UNKNOWN
    """The route's template, such as /v1/images/generations."""
    known: bool = False
    """Who asks has been made out; `key_name` tells the name of the key, None where none is asked for."""
    key_name: str | None = None
    generates: bool = False
    """It asks for pictures that would be made: no dry run, and nothing that only reads."""
    model: str = UNKNOWN
    """The configured model's name: never what a client wrote."""
    resolved: str = UNKNOWN
    """As `model`; where a provider's own id was asked for that no model names, that, as PROVIDER/ID."""
    provider: str | None = None
    generation_id: str | None = None
    images: int = 0
    megapixels: float = 0.0
    degraded: tuple[tuple[str, str], ...] = ()
    """Parameters that were not served precisely as asked, each with its behavior."""
    code: str | None = None
    """The error's code."""
    status: int = LEFT
    """The answer's; of a stream that told a failure, the one that the failure would have had without it."""
    bytes_out: int = 0
    created: float = field(default_factory=time.time)
    """Epoch seconds."""
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def left(self) -> None:
        """The client has gone before its answer was written."""
        self.status, self.images, self.megapixels = LEFT, 0, 0.0


Kept = Callable[[Account], None]
"""Is given each account once its request is over. It is quick, and raises nothing."""


def account(request: Request) -> Account:
    """The account of a request."""
    found: Account = request.state.account
    return found
