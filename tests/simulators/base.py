"""What every simulated provider has: a log of requests, counters, faults on demand, and the files of its results.

    with apiframe_simulator() as sim:
        sim.fail_next(status=429, headers={"retry-after": "1"})
        ...                                   # a gateway or an adapter talks to sim.base_url
        assert len(sim.submissions) == 2
        assert sim.billed == 1

A simulator is as strict as the provider's pages say and refuses what they do not allow, so that a wrong field fails a
test here and not a customer there.
"""

from __future__ import annotations

import base64
import secrets
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeVar

from tests.simulators.http import Answer, Received, answer_json, serving
from tests.simulators.pictures import NOT_A_PICTURE, Kept, bomb, other_form, picture

Kind = Literal["submit", "poll", "picture", "upload"]

CREDENTIALS = ("authorization", "api-key", "x-api-key")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with one request. Several may be combined; work is done and billed unless `status` refuses it."""

    on: Kind = "submit"
    status: int | None = None
    """Refuse with this status, in the provider's own envelope."""
    message: str = "simulated trouble"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the answer."""
    truncate: bool = False
    """The answer breaks off in the middle."""
    hang_up: bool = False
    """The connection is closed instead of an answer."""
    soft_fail: bool = False
    """A failure told with status 200, or by a job, with `message`."""
    bad_json: bool = False
    html: bool = False
    empty: bool = False
    """Success, and no picture."""
    wrong_format: bool = False
    wrong_size: bool = False
    too_few: bool = False
    too_many: bool = False
    not_a_picture: bool = False
    data_uri: bool = False
    bomb: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields beside those that the pages document."""


NO_FAULT = Fault()


@dataclass(frozen=True)
class Ordered:
    """What a request that was accepted orders: `count` pictures of these pixels, in one file format."""

    size: tuple[int, int]
    form: str = "png"
    count: int = 1
    quality: int | None = None
    seed: int | None = None
    subject: str = field(default="", compare=False)
    """Whatever the picture depends on besides its size and seed."""
    kept: Kept | None = None
    """What an edit shows of its first picture."""


class Refused(Exception):
    """A request that the provider turns down; raised inside `generate`."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param


def require(condition: bool, message: str, *, status: int = 400, code: str | None = None, param: str = "") -> None:
    if not condition:
        raise Refused(status, message, code=code, param=param or None)


class Simulator(ABC):
    """Base of all simulated providers. A subclass says what a request is for and answers it."""

    name: ClassVar[str] = "simulator"
    base_path: ClassVar[str] = ""
    """What the configured base URL ends with."""

    def __init__(self, *, key: str | None = None) -> None:
        """`key`: the only credential accepted; None = any."""
        self.key = key
        self.origin = ""
        self.requests: list[Received] = []
        self.billed = 0
        """Pictures made and charged, refunds taken off."""
        self.faults: deque[Fault] = deque()
        self.made: list[tuple[tuple[int, int], str]] = []
        """Size and file format of every picture made, in order."""
        self.files: dict[str, bytes] = {}
        self.leaked: list[Received] = []
        """Requests for pictures that carried a credential, which a file host must never see."""

    @property
    def base_url(self) -> str:
        return self.origin + self.base_path

    @property
    def submissions(self) -> list[Received]:
        """The requests that ask for pictures, refused ones included."""
        return [each for each in self.requests if self.kind(each) == "submit"]

    @property
    def work(self) -> list[Received]:
        """All requests but looks at the provider itself, which cost nothing and come when a gateway likes."""
        return [each for each in self.requests if each.method != "GET" or self.kind(each) is not None]

    def fail_next(self, *, times: int = 1, **knobs: Any) -> None:
        """Let the next `times` requests of the kind `on` meet a `Fault` of these knobs; several calls queue up."""
        self.faults.extend([Fault(**knobs)] * times)

    def reset(self) -> None:
        self.requests.clear()
        self.faults.clear()
        self.leaked.clear()
        self.made.clear()
        self.files.clear()
        self.billed = 0

    @abstractmethod
    def kind(self, received: Received) -> Kind | None:
        """What a request is for; None = anything else."""

    @abstractmethod
    def authorised(self, received: Received) -> bool: ...

    @abstractmethod
    def ordered(self, body: Any) -> Ordered:
        """What a submission's JSON orders, where the model's page allows every value in it. Raises Refused."""

    @abstractmethod
    def generate(self, received: Received, fault: Fault) -> Answer:
        """Answer a submission. Raises Refused."""

    def poll(self, received: Received, fault: Fault) -> Answer:
        raise Refused(404, "not found")

    def other(self, received: Received) -> Answer:
        raise Refused(404, "not found")

    @abstractmethod
    def refusal(self, refused: Refused) -> Any:
        """The provider's envelope of an error."""

    async def handle(self, received: Received) -> Answer:
        if received.path == "/__sim/stats":
            return answer_json(
                {"requests": len(self.requests), "submissions": len(self.submissions), "billed": self.billed}
            )
        if received.path == "/__sim/faults" and received.method == "POST":
            return self._order(received)
        self.requests.append(received)
        kind = self.kind(received)
        fault = self._fault(kind)
        answer = self._answer(received, kind, fault)
        if fault.bad_json:
            answer = Answer(answer.status, b'{"half an answer": ', answer.headers)
        if fault.html:
            answer = Answer(
                answer.status, b"<html><body>one moment please</body></html>", {"content-type": "text/html"}
            )
        return Answer(
            answer.status, answer.body, answer.headers, fault.delay, truncate=fault.truncate, hang_up=fault.hang_up
        )

    def _answer(self, received: Received, kind: Kind | None, fault: Fault) -> Answer:
        try:
            if fault.status is not None:
                raise Refused(fault.status, fault.message, code=fault.code)
            if kind == "picture":
                return self._file(received)
            require(self.authorised(received), "Invalid API key", status=401, code="invalid_api_key")
            if kind == "submit":
                return self.generate(received, fault)
            return self.poll(received, fault) if kind == "poll" else self.other(received)
        except Refused as refused:
            return answer_json(self.refusal(refused), refused.status, fault.headers)

    def _fault(self, kind: Kind | None) -> Fault:
        for fault in self.faults:
            if fault.on == kind:
                self.faults.remove(fault)
                return fault
        return NO_FAULT

    def _order(self, received: Received) -> Answer:
        """Faults over HTTP, for whoever plays with a demo: the knobs as JSON."""
        knobs = received.json
        if not isinstance(knobs, dict) or not set(knobs) <= {each.name for each in fields(Fault)} | {"times"}:
            return answer_json({"accepted": ["times", *(each.name for each in fields(Fault))]}, 400)
        self.fail_next(**knobs)
        return answer_json({"queued": len(self.faults)})

    def bearer(self, received: Received) -> bool:
        scheme, _, key = received.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and self.matches(key)

    def matches(self, key: str) -> bool:
        return bool(key) if self.key is None else key == self.key

    def make(
        self,
        subject: str,
        size: tuple[int, int],
        fault: Fault,
        *,
        seed: int | None,
        count: int = 1,
        form: str = "png",
        quality: int | None = None,
        kept: Kept | None = None,
    ) -> list[bytes]:
        """The files of `count` pictures. With a seed they are the same each time; picture k of a batch is drawn from
        the batch's noise, so that it is not the picture of seed + k."""
        width, height = size
        if fault.wrong_size:
            width, height = max(1, width // 2), max(1, height // 2 + 1)
        if fault.wrong_format:
            form, quality = other_form(form), None
        count += fault.too_many - fault.too_few
        if fault.empty:
            count = 0
        noise = secrets.token_hex(8) if seed is None else str(seed)
        made = [picture(f"{subject}|{noise}|{k}", width, height, form, quality, kept) for k in range(count)]
        if fault.not_a_picture:
            made = [NOT_A_PICTURE] * count
        if fault.bomb:
            made = [bomb()] * count
        self.billed += count
        self.made += [((width, height), form)] * count
        return made

    def make_ordered(self, ordered: Ordered, fault: Fault) -> list[bytes]:
        """The files of what a request orders."""
        return self.make(
            f"{ordered.subject}|{ordered.size}",
            ordered.size,
            fault,
            seed=ordered.seed,
            count=ordered.count,
            form=ordered.form,
            quality=ordered.quality,
            kept=ordered.kept,
        )

    def publish(self, data: bytes, prefix: str = "/files/") -> str:
        """The address of a file, with no extension to be trusted."""
        path = f"{prefix}{secrets.token_hex(8)}"
        self.files[path] = data
        return self.origin + path

    def _file(self, received: Received) -> Answer:
        if any(name in received.headers for name in CREDENTIALS):
            self.leaked.append(received)
        data = self.files.get(received.path)
        if data is None:
            return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", {"content-type": "application/xml"})
        return Answer(200, data, {"content-type": "application/octet-stream"})


def encoded(data: bytes, *, data_uri: bool = False) -> str:
    text = base64.b64encode(data).decode()
    return f"data:image/png;base64,{text}" if data_uri else text


Simulated = TypeVar("Simulated", bound=Simulator)


@contextmanager
def running(simulator: Simulated, port: int = 0) -> Iterator[Simulated]:
    """The simulator, served as long as the block runs."""
    with serving(simulator.handle, port) as origin:
        simulator.origin = origin
        yield simulator
