"""A gateway between the official client and providers that keep books, with a fault proxy before each of them.

with bench(folder) as house:
    house.proxies["openai"].next(DROPPED)
    ask = house.ask("openai", n=2)
    assert not check(house.evidence(ask))
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai

from normalization.pictures.sniff import PNG_SIGNATURE
from tests.faults.billing import FREE, KINDS, MICROS, Providers, providers
from tests.faults.checker import Ask, Evidence, read_journal
from tests.faults.proxy import Proxy, fault_proxy
from tests.journeys import SIMULATORS
from tests.served import served, settings_of

NOWHERE = "nowhere.invalid"
"""A host that no resolver knows."""
CONNECT_SECONDS = 0.6
"""How long a connection may take to come about."""
SLOW_SECONDS = 0.75
"""How long the models called `KIND-slow` wait for an answer."""
PATIENCE = 20.0
STORING_SECONDS = 1.0
"""How long a picture that is missing is waited for before it counts as lost."""
LOOK_SECONDS = 0.02


class Impatient(openai.OpenAI):
    """The official client with all of its own decisions about retries, but for the length of its pauses."""

    def _calculate_retry_timeout(self, *_: Any, **__: Any) -> float:
        return 0.0


def new_mark() -> str:
    return f"mark-{secrets.token_hex(6)}"


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether it came true within `seconds`: for what happens in another process, where no event can be set."""
    end, never = time.monotonic() + seconds, threading.Event()
    while not (now := holds()) and time.monotonic() < end:
        never.wait(LOOK_SECONDS)
    return now


def _route(kind: str, entry: str, **extra: Any) -> dict[str, Any]:
    named = {"provider": entry, "model": SIMULATORS[kind][1], **extra}
    return named if kind in FREE else {**named, "price": {"usd_per_image": MICROS / 1e6}}


def configuration(origins: Mapping[str, str], deaf: int = 0) -> dict[str, Any]:
    """A model of each kind by its name, and variants of it: -slow waits briefly, -pair has a second route, -tls, -dns
    and -deaf cannot be reached, the last at a port where nobody answers."""
    entries: dict[str, Any] = {}
    models: dict[str, Any] = {}
    for kind, origin in origins.items():
        port = origin.rpartition(":")[2]
        addresses = {
            kind: origin,
            f"{kind}-tls": f"https://127.0.0.1:{port}",
            f"{kind}-dns": f"http://{NOWHERE}:{port}",
            f"{kind}-deaf": f"http://127.0.0.1:{deaf or port}",
        }
        for name, address in addresses.items():
            entries[name] = {"type": SIMULATORS[kind][0], "base_url": address + KINDS[kind].base_path, "api_key": "k"}
            if kind == "apiframe":
                entries[name]["poll_seconds"] = {"first": 0.02, "factor": 1.0, "max": 0.02}
            models[name] = {"routes": [_route(kind, name)]}
        slow = _route(kind, kind, timeout_seconds=SLOW_SECONDS)
        other = "openai" if kind != "openai" else "modelverse"
        models[f"{kind}-slow"] = {"routes": [slow]}
        models[f"{kind}-pair"] = {"routes": [slow, _route(other, other)]}
    return {
        "auth": {"mode": "none"},
        "network": {"allow_private": ["127.0.0.0/8"]},
        "providers": entries,
        "models": models,
        # One cell must not slow down or shut off the next.
        "limits": {
            "connect_seconds": CONNECT_SECONDS,
            "retry_first_seconds": 0.01,
            "retry_most_seconds": 0.05,
            "retry_after_seconds": 0.05,
            "breaker_failures": 100_000,
            "breaker_calls": 100_000,
        },
    }


@dataclass
class Bench:
    """The house under test, and everything that is known about it from outside."""

    base_url: str
    """Of the gateway, ending with /v1."""
    data_dir: Path
    providers: Providers
    proxies: Mapping[str, Proxy]
    front: Proxy
    """Between the client and the gateway, for those who ask through it."""
    _kept_before: Counter[bytes] = field(default_factory=Counter)
    _given: set[bytes] = field(default_factory=set)
    """Digests of pictures that clients have: the gateway keeps copies of them too."""

    def reset(self) -> None:
        """Forget all faults and all traffic seen; pictures kept so far count no more."""
        for proxy in (*self.proxies.values(), self.front):
            proxy.reset()
        self._kept_before = self._stored()

    def client(
        self, *, retries: int = openai.DEFAULT_MAX_RETRIES, timeout: float = 60, front: bool = False
    ) -> Impatient:
        base_url = f"{self.front.origin}/v1" if front else self.base_url
        return Impatient(base_url=base_url, api_key="any", max_retries=retries, timeout=timeout)

    def ask(
        self, model: str, *, n: int = 1, mark: str | None = None, client: Impatient | None = None, **extra: Any
    ) -> Ask:
        """One wish, through the official client with its own retries, and what came of it."""
        mark = mark or new_mark()
        with client or self.client() as speaking:
            try:
                raw = speaking.images.with_raw_response.generate(
                    prompt=f"a fox {mark}",
                    model=model,
                    n=n,
                    size="256x256",
                    response_format="b64_json",
                    user=mark,
                    extra_body=extra,
                )
            except openai.APIStatusError as error:
                body = error.body if isinstance(error.body, dict) else {}
                headers = error.response.headers
                return Ask(
                    mark,
                    n,
                    status=error.status_code,
                    type=body.get("type"),
                    code=body.get("code"),
                    should_retry=headers.get("x-should-retry"),
                    retry_after=headers.get("retry-after"),
                )
            except openai.APIConnectionError:
                return Ask(mark, n)
        pictures = raw.parse().data or []
        self._given |= {hashlib.sha256(base64.b64decode(each.b64_json or "")).digest() for each in pictures}
        return Ask(mark, n, delivered=len(pictures), status=200, failed=raw.headers.get("x-images-failed"))

    def evidence(self, *asks: Ask, settled: bool = True, crashed: bool = False, patience: float = PATIENCE) -> Evidence:
        """What is on record of these wishes; waits up to `patience` seconds until nothing of them is open, unless it is
        a look in between."""
        marks = {ask.mark for ask in asks}
        if settled:
            self.settle(*asks, seconds=patience)
            # A picture that nobody waits for is stored after its submission is settled.
            until(lambda: self._delivered(marks) <= sum(ask.delivered for ask in asks) + self._kept(), STORING_SECONDS)
        return Evidence(
            charges=[charge for charge in self.providers.charges() if charge.mark in marks],
            rows=[row for row in read_journal(self.data_dir) if row.mark in marks],
            asks=asks,
            exchanges=[each for proxy in self.proxies.values() for each in proxy.exchanges],
            kept=self._kept(),
            crashed=crashed,
            settled=settled,
        )

    def settle(self, *asks: Ask, seconds: float = PATIENCE) -> bool:
        """Whether every submission of these wishes came to an end on record."""
        marks = {ask.mark for ask in asks}
        return until(lambda: not any(row.open for row in read_journal(self.data_dir) if row.mark in marks), seconds)

    def _delivered(self, marks: set[str]) -> int:
        return sum(row.delivered or 0 for row in read_journal(self.data_dir) if row.mark in marks)

    def _kept(self) -> int:
        """Pictures that no client has."""
        new = self._stored() - self._kept_before
        return sum(count for digest, count in new.items() if digest not in self._given)

    def _stored(self) -> Counter[bytes]:
        """Digests of the pictures on disk, each in a file of its own or one behind the other in a pack."""
        found: Counter[bytes] = Counter()
        for path in (self.data_dir / "pictures").rglob("*"):
            if path.is_file() and (path.suffix == ".png" or path.parent.name == "packs"):
                parts = path.read_bytes().split(PNG_SIGNATURE)[1:]
                found.update(hashlib.sha256(PNG_SIGNATURE + part).digest() for part in parts)
        return found


@contextlib.contextmanager
def proxied(folder: Path) -> Iterator[tuple[Providers, dict[str, Proxy]]]:
    """The providers, and a proxy before each."""
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(providers(folder / "books"))
        proxies = {kind: stack.enter_context(fault_proxy(origin)) for kind, origin in running.origins.items()}
        yield running, proxies


@contextlib.contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """The whole house, the gateway in this process."""
    with contextlib.ExitStack() as stack:
        running, proxies = stack.enter_context(proxied(folder))
        config = configuration({kind: proxy.origin for kind, proxy in proxies.items()}, stack.enter_context(deaf()))
        base_url = stack.enter_context(served(settings_of(folder, config)))
        front = stack.enter_context(fault_proxy(base_url.removesuffix("/v1"), lambda method, _: "submit"))
        yield Bench(base_url, folder / "data", running, proxies, front)


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port at which connections are never answered: as many as the system lets wait there wait already."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0)).getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


@contextlib.contextmanager
def no_such_host() -> Iterator[None]:
    """No lookup leaves the machine: what is nowhere is unknown at once."""
    before = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **more: Any) -> Any:
        if host == NOWHERE:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return before(host, *args, **more)

    socket.getaddrinfo = lookup
    try:
        yield
    finally:
        socket.getaddrinfo = before
