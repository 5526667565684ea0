"""The sans-IO protocol: an adapter builds a request value and reads a reply value; one driver performs all I/O.

An adapter never waits, retries, decodes pictures, reads the environment or imports an HTTP library. It ends at
`Reply`; what that means for money and for other routes is decided in the gateway.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from normalization.errors import ImagegateError
from normalization.plan import Call
from normalization.rules import Profile
from normalization.vocabulary import Picture

Purpose = Literal["submit", "upload", "poll"]
"""What an exchange is for. Only `submit` can buy a picture; the others are safe to repeat."""


@dataclass(frozen=True, slots=True)
class Inline:
    """Stands in a JSON body where a picture goes as text: base64, as a data: URI or `bare`."""

    picture: Picture
    bare: bool = False

    @property
    def prefix(self) -> str:
        return "" if self.bare else f"data:{self.picture.format.media_type};base64,"


@dataclass(frozen=True, slots=True)
class Hosted:
    """Stands in a JSON body where a picture goes as a URL that the provider fetches: the gateway hosts it, signed and
    for long enough to wait in a queue, and puts the URL in its place just before the request is sent."""

    picture: Picture


@dataclass(frozen=True, slots=True)
class FilePart:
    """One picture as a file of a multipart body."""

    name: str
    filename: str
    picture: Picture

    @property
    def content_type(self) -> str:
        return self.picture.format.media_type


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request. `path` is relative to the provider's base URL; `headers` come on top of the adapter's own.

    At most one of `json` (in which `Inline` and `Hosted` may stand for pictures) and `form` (fields and files, sent as
    multipart).
    """

    method: Literal["GET", "POST"]
    path: str
    json: Mapping[str, Any] | None = None
    form: tuple[tuple[str, str] | FilePart, ...] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    purpose: Purpose = "submit"
    carry: tuple[str, ...] = ()
    """What the adapter must still know when it reads the answer, such as the keys of earlier uploads; never sent."""
    then: WireRequest | None = None
    """The submission that an upload makes way for, as a dry run shows it: a picture stands where its key will."""
    events: bool = False
    """The answer may come as server-sent events: each is handed on as it comes, and the reply's body is the data of
    the last one."""


@dataclass(frozen=True, slots=True)
class Work:
    """A picture that is made here, in the codec pool, instead of on a wire. `function` is "module:name" of a pure
    function that takes `arguments` as keywords and returns the bytes of one picture file."""

    function: str
    arguments: Mapping[str, Any]


class Stage(enum.IntEnum):
    """How far an exchange got; what can have been bought follows from it (docs/decisions/0005)."""

    CONNECTING = 0
    """No byte of the request was written."""
    HEADERS_SENT = 1
    """The body was not completely written: the peer cannot hold a whole request."""
    BODY_SENT = 2
    """The peer may hold the whole request."""
    REPLY_BEGUN = 3
    COMPLETE = 4


@dataclass(frozen=True, slots=True)
class WireReply:
    """A complete HTTP answer. Header names are lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    weight: object = field(default=None, repr=False, compare=False)
    """What the transport's `room` gave: it goes along with the body and with what is made of it."""


Fault = Literal[
    "dns", "refused", "tls", "connect_timeout", "reset", "closed", "read_timeout", "too_large", "encoding", "protocol"
]


@dataclass(frozen=True, slots=True)
class Shown:
    """How far a picture is that its provider still works on: number `index` of its call, counted from 0."""

    index: int
    step: int
    steps: int
    picture: bytes | None = None
    """What it looks like by now, small, in whatever format."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at one address of a provider tells. `then`: what is to be asked there too."""

    ready: bool
    then: WireRequest | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """An exchange that gave no complete answer. `detail` is for the operator's log alone."""

    stage: Stage
    fault: Fault
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One picture as the provider hands it over: its bytes, or the address to fetch it from once."""

    data: bytes | None = None
    url: str | None = None
    """Absolute, or relative to the provider's base URL."""
    seed: int | None = None
    """The seed that the provider says it used, where it says so."""
    revised_prompt: str | None = None
    repair: str | None = None
    """What about the handing over was not as the provider's own pages say, and was put right, in words."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Not there yet: send `next` after `after` seconds (None: as the polling settings say). `job` is the provider's
    id of work it has accepted, and must be on record before anything else is done; None after an upload, which buys
    nothing."""

    next: WireRequest
    job: str | None
    after: float | None = None
    progress: float | None = None
    """0..1 where the provider tells."""


@dataclass(frozen=True, slots=True)
class Done:
    """The pictures, in the provider's order, and token counts where it gives them (OpenAI's `usage`)."""

    artifacts: tuple[Artifact, ...]
    usage: Mapping[str, Any] | None = None
    cost_micros: int | None = None
    """What the provider says it charged, in micro-dollars."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No picture. `refused`: the provider definitely did no work for this submission, so another route may try.
    `outcome` is the fine word for the attempt's record, such as `worker_oom`."""

    error: ImagegateError
    refused: bool
    outcome: str


Reply = Pending | Done | Failed


@dataclass(frozen=True, slots=True)
class Traits:
    """What a provider can prove, which decides what may be repeated. The defaults are the pessimistic ones."""

    idempotent_submit: bool = False
    """The same attempt id never makes two jobs."""
    lookup_by_ref: bool = False
    refund_on_fail: bool = False
    s503_means_refused: bool = False
    cancel: bool = False
    url_ttl: int = 0
    """Seconds that a result's URL lives; 0 = fetch at once."""
    rps: float | None = None
    """Requests per second that the provider tolerates, polls counted."""
    billable: bool = True
    """A submission costs money."""
    polled: bool = False
    any_model: bool = False
    """Nobody can list its models: whatever it is asked for may be one."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a provider's entry in the configuration says to its adapter, beyond address and key."""

    name: str = ""
    """The configured provider's name."""
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    extras: Literal["forward", "drop"] | None = None
    edits: Literal["multipart", "json"] = "multipart"
    profile: Literal["gpt-image", "generic"] | None = None
    webhook_url: str | None = None
    """Where the provider may tell that a job has ended; None = it is not asked to."""


@runtime_checkable
class Notifying(Protocol):
    """What an adapter has besides whose provider can tell that a job has ended."""

    def notice(self, headers: Mapping[str, str], body: bytes, secret: str) -> str | None:
        """The job that a webhook is about, once its signature over the raw `body` is proven to be made with `secret`,
        the provider's API key; None where it is not, or names no job. Header names are looked up in lower case."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """What an adapter has besides whose provider works on jobs that outlive us."""

    def resume(self, job: str) -> WireRequest:
        """The look at a job that was accepted earlier, maybe by a process that is gone. Its purpose is "poll"."""
        ...


@runtime_checkable
class Probing(Protocol):
    """What an adapter has besides whose provider answers something that costs nothing: whether it is well again is
    found out by that, and not by buying a picture."""

    def probe(self) -> WireRequest:
        """A request that buys nothing. Its purpose is "poll". A 2xx means that the provider is well, a 401 or 403 that
        it refuses our key; a 404 means nothing, where not every server of the kind has it."""
        ...


@runtime_checkable
class Observed(Protocol):
    """What an adapter has besides whose provider's addresses tell, at no cost, whether they take work and what they
    can do. It remembers that: its profiles may change with it."""

    knows: int
    """Grows whenever a profile may have changed."""

    def look(self) -> WireRequest:
        """A request that buys nothing. Its purpose is "poll"."""
        ...

    def seen(self, address: str, reply: WireReply, sent: WireRequest) -> Seen:
        """What an address answered to `look`, or to what a look asked for then. Never raises on bad input."""
        ...

    def keep(self, addresses: Collection[str]) -> None:
        """Forget what other addresses than these have told: there are none any more."""
        ...


@runtime_checkable
class Showing(Protocol):
    """What an adapter has besides whose provider tells how far it is (`WireRequest.events`)."""

    def shown(self, event: bytes, call: Call) -> Shown | None:
        """What the data of an event means; None = nothing to show. Never raises on bad input."""
        ...


class Provider(Protocol):
    """One kind of upstream. Instances are cheap, hold only their `Options`, and know no secret until handed one."""

    type: ClassVar[str]
    base_url: ClassVar[str | None]
    """The provider's public address; None where the configuration must name one, "" where there is no wire."""
    traits: ClassVar[Traits]
    known_models: ClassVar[tuple[str, ...]]
    """Model ids with a profile of their own; any other id gets the generic one."""

    def __init__(self, options: Options) -> None: ...

    def profile(self, model: str, pictures: int = 0) -> Profile:
        """The profile of one model id of the provider's for a request with so many input pictures: 0 makes pictures
        from a prompt, 1 and more edit. Where the model cannot edit, a profile whose `operations` lack it."""
        ...

    def headers(self, secret: str | None) -> Mapping[str, str]:
        """The headers that authenticate to the provider, and to the provider alone."""
        ...

    def submit(self, call: Call, attempt: str) -> WireRequest | Work:
        """The first request of a submission. `attempt` is our id of it, unique and unguessable."""
        ...

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        """What the provider's answer to `sent` means. Never raises on bad input: that is `Failed`."""
        ...
