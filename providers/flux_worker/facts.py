"""What an address of a worker has told of itself: whether it is this repository's, and what its models can do.

Source: this repository's `providers/flux_worker/worker/server.py`. MAX has neither `/ready` nor our header.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.base import Seen, WireReply, WireRequest
from providers.flux_worker.words import WORKER_HEADER
from providers.replies import mapping, read_object, sequence, text

READY = "/ready"
MODELS = "/v1/models"


@dataclass(frozen=True, slots=True)
class Facts:
    """What one model of our worker can do."""

    modes: frozenset[str]
    references_most: int
    guided: bool
    negative: bool
    abilities: frozenset[str] = frozenset()
    """What it can do beyond MAX's wire, in its own words."""
    secondary: bool = False
    """A second prompt, for the second text encoder, means something."""

    @property
    def masks(self) -> bool:
        return bool(self.modes & {"inpaint", "fill"})


@dataclass(slots=True)
class Known:
    """By address: the facts of each model of it; None = it is no worker of ours. `changes` counts what was new."""

    addresses: dict[str, Mapping[str, Facts] | None] = field(default_factory=dict)
    changes: int = 0

    def of(self, model: str) -> Facts | None:
        """The model's facts, where every address that has told anything is a worker of ours; of addresses that differ,
        those of the first."""
        told = list(self.addresses.values())
        if None in told:
            return None
        return next((models[model] for models in told if models and model in models), None)

    def seen(self, address: str, reply: WireReply, sent: WireRequest) -> Seen:
        ours = WORKER_HEADER in reply.headers
        if sent.path == MODELS:
            if ours and reply.status == 200:
                self._note(address, _models(reply.body))
            return Seen(ours and reply.status == 200)
        if not ours:
            # MAX answers 404: the server is up, and that is all it tells. An error of a proxy's says nothing at all.
            if reply.status < 500:
                self._note(address, None)
            return Seen(reply.status < 500)
        if reply.status != 200:
            return Seen(False)
        return Seen(True, WireRequest("GET", MODELS, purpose="poll") if not self.addresses.get(address) else None)

    def keep(self, addresses: Collection[str]) -> None:
        """Forget addresses that there are no more: whoever took the place of one may be another worker."""
        gone = [address for address in self.addresses if address not in addresses]
        for address in gone:
            del self.addresses[address]
        self.changes += bool(gone)

    def _note(self, address: str, told: Mapping[str, Facts] | None) -> None:
        if address not in self.addresses or self.addresses[address] != told:
            self.addresses[address] = told
            self.changes += 1


def _models(body: bytes) -> Mapping[str, Facts]:
    found = {}
    for entry in sequence((read_object(body) or {}).get("data")):
        told, name = mapping(mapping(entry).get("imagegate")), text(mapping(entry).get("id"))
        if name is not None and told:
            found[name] = _facts(told)
    return found


def _facts(told: Mapping[str, Any]) -> Facts:
    most = told.get("references_most")
    return Facts(
        modes=frozenset(mode for mode in sequence(told.get("modes")) if isinstance(mode, str)),
        references_most=most if isinstance(most, int) and most > 0 else 0,
        guided=told.get("guided") is not False,
        negative=told.get("negative") is not False,
        secondary=(text(told.get("family")) or "").startswith("FLUX.1"),
        abilities=frozenset(ability for ability in sequence(told.get("abilities")) if isinstance(ability, str)),
    )
