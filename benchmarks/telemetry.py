"""What it costs to tell operators of a request: its metrics, its line of the log, a scrape.

python -m benchmarks.telemetry
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, cast

from gateway.api.account import Account
from gateway.api.front import _told
from gateway.config.logs import Logs
from gateway.outcome import AttemptRecord, CallResult, Delivered
from gateway.telemetry.context import of_request
from gateway.telemetry.exposition import Told, text
from gateway.telemetry.logs import logging_to
from gateway.telemetry.metrics import Metrics
from normalization.vocabulary import Format, Size

TIMES = 20_000


class _Named:
    """As much of an order and of a candidate as is counted by."""

    model, key_name, provider = "m", "team", "p"

    @property
    def plan(self) -> _Named:
        return self


def microseconds(do: Callable[[], object], times: int = TIMES) -> float:
    """Of one turn, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times // 5):
            do()
        best = min(best, (time.perf_counter() - began) / (times // 5))
    return best * 1_000_000


def main() -> None:
    metrics, named = Metrics(["m"]), cast("Any", _Named())
    account = Account(
        "req_0123456789abcdef0123456789abcdef", "POST", "/v1/images/generations", "/v1/images/generations"
    )
    account.model, account.provider, account.key_name, account.status = "m", "p", "team", 200
    account.generation_id, account.images, account.degraded = "gen_0123456789abcdef", 1, (("size", "converted"),)
    picture = Delivered(b"", Format.PNG, Size(64, 64))
    result = CallResult((0,), AttemptRecord("p", "x", "ok", 1.0), {0: picture}, charge="charged", cost_micros=1000)

    def counted() -> None:
        metrics.settled(named, named, result)
        metrics.converted(Format.PNG, Format.WEBP, 0.1)
        metrics.request(account)

    def logged() -> None:
        with of_request(account.request_id):
            _told(account)

    print(f"metrics of a request: {microseconds(counted):.1f} us")
    with open(os.devnull, "w") as nowhere, logging_to(nowhere, Logs(format="json")):
        print(f"its line of the log, rendered and scrubbed: {microseconds(logged):.1f} us")
        logging.getLogger("imagegate").setLevel(logging.WARNING)
        print(f"the same at level warning: {microseconds(logged):.1f} us")
    print(f"a scrape: {microseconds(lambda: text([Told.of(metrics.registry, ()).entry()], ''), 200):.0f} us")


if __name__ == "__main__":
    main()
