"""What a submission costs, and how its end stands on record."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from gateway.failing import FailureClass
from gateway.outcome import CallResult, Candidate
from gateway.resuming import Taken
from gateway.services.attempts import Settled, Settlement
from normalization.plan import Call
from normalization.pricing import components


class Charging:
    """What one call costs by its route's price. `taken`: another process submitted it, and planned what it costs."""

    def __init__(self, candidate: Candidate, call: Call, taken: Taken | None) -> None:
        self._candidate, self._call, self._taken = candidate, call, taken

    def cost(self, *, made: int | None = None) -> int | None:
        """Micro-dollars, None = nobody knows; by the picture, only as many as were `made`, where that is known."""
        call = self._call
        if made is None or made >= call.images:
            return self._whole
        return self._of(replace(call, places=call.places[:made], seeds=call.seeds[:made]))

    @cached_property
    def _whole(self) -> int | None:
        return self._of(self._call)

    def _of(self, call: Call) -> int | None:
        if self._taken is not None:
            return self._taken.cost_micros
        plan = self._candidate.plan
        parts = components(self._candidate.price, (call,), plan.yields or plan.finish.fit)
        return None if parts is None else sum(part.micros for part in parts)


def settlement_of(result: CallResult) -> Settlement:
    """A call's end, as it is recorded."""
    return Settlement(
        state=_state(result),
        outcome=result.record.outcome,
        charge=result.charge,
        cost_micros=result.cost_micros,
        images=len(result.pictures),
        seconds=result.record.seconds,
    )


def _state(result: CallResult) -> Settled:
    if result.error is None or result.pictures:
        return "done"
    match result.failure:
        case FailureClass.NOT_SENT:
            return "not_sent"
        case FailureClass.REFUSED:
            return "refused"
        case _:
            return "maybe" if result.charge == "unknown" else "failed"
