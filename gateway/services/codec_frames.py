"""What the gateway and a codec child say to each other, over two pipes.

A request is a pickle: the gateway is trusted. A reply is not, since the child has fed a stranger's bytes to C code:
it is JSON and raw bytes, and can become nothing but plain values and the few classes named here. Pictures follow either
in raw bytes and in slices, so that the gateway never holds one twice, and one that lies in a file not at all.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from io import BytesIO
from itertools import chain
from typing import Any, BinaryIO

from normalization.pictures.finish import Finished
from normalization.pictures.header import Header
from normalization.vocabulary import Content, Format, Held, Size

MESSAGE_BYTES_MOST = 1 << 30
SLICE_BYTES = 1 << 18
PART_BYTES_LEAST = 1 << 16
"""From here on bytes are sent behind the request rather than copied into it."""
_LENGTH = struct.Struct("<Q")
_COUNT = struct.Struct("<I")
_HEAD = struct.Struct("<QI")

_CLASSES: dict[str, type[Any]] = {kind.__name__: kind for kind in (Finished, Header, Size)}
_CLASS, _BYTES, _FORMAT = "class", "bytes", "format"

Sink = Callable[[bytes], object]
"""Takes a picture's bytes in order, slice by slice."""


@dataclass(frozen=True, slots=True)
class Job:
    """One call: `function` is "module:name", `pixels` the size of the work, `seconds` the processor time and `memory`
    the bytes of address space that it may take."""

    function: str
    arguments: Mapping[str, Any]
    pixels: int
    seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a job. `kind`: `done`, and `value` is the result; `refused` or `cannot_encode`, and `value` is
    the code and message of a `BadPicture`; `broken`, and `value` is the text of a traceback."""

    kind: str
    value: Any


def write(pipe: int, piece: bytes) -> None:
    """Writes all of it. Raises `OSError` where nobody listens."""
    left = memoryview(piece)
    while left:
        left = left[os.write(pipe, left) :]


def write_job(job: Job) -> Iterator[bytes]:
    """A request, piece by piece. Raises at once what pickling raises; content is read only as its turn comes, and
    then raises what it does, or `ValueError` where it is not as long as it said."""
    body = BytesIO()
    pickler = _Pickler(body, protocol=5)
    pickler.dump(job)
    lengths = [part.length for part in pickler.parts]
    head = b"".join([_HEAD.pack(body.tell(), len(lengths)), *map(_LENGTH.pack, lengths), body.getbuffer()])
    parts = (_slices(part, length) for part, length in zip(pickler.parts, lengths, strict=True))
    return chain((head,), chain.from_iterable(parts))


def read_job(pipe: BinaryIO) -> Job | None:
    """A request, in the child; None where the gateway has gone."""
    try:
        length, count = _HEAD.unpack(_read(pipe, _HEAD.size))
        lengths = [_LENGTH.unpack(_read(pipe, _LENGTH.size))[0] for _ in range(count)]
        body = _read(pipe, length)
        unpickler = _Unpickler(BytesIO(body), [_read(pipe, each) for each in lengths])
    except EOFError:
        return None
    job = unpickler.load()
    if not isinstance(job, Job):
        raise TypeError(f"a request is a Job, not {type(job).__name__}")
    return job


def write_answer(answer: Answer) -> list[bytes]:
    """A reply in pieces: its length, the length of some JSON, the JSON, and the bytes that it points to, in order.
    Raises `TypeError` for a value that a reply cannot hold."""
    blobs: list[bytes] = []
    head = json.dumps({"kind": answer.kind, "value": _plain(answer.value, blobs)}).encode()
    length = _COUNT.size + len(head) + sum(map(len, blobs))
    return [_LENGTH.pack(length) + _COUNT.pack(len(head)) + head, *blobs]


def read_answer(pipe: BinaryIO, sink: Sink | None = None, most: int = MESSAGE_BYTES_MOST) -> Answer:
    """A reply, in the gateway. With a sink its bytes go there as they come, and are empty in the answer.

    Raises `EOFError` where it breaks off, `ValueError` for anything but what `write_answer` writes and beyond `most`
    bytes; what the sink raises goes through.
    """
    (length,) = _LENGTH.unpack(_read(pipe, _LENGTH.size))
    if not _COUNT.size <= length <= most:
        raise ValueError(f"a message of {length} bytes; at most {most} are accepted")
    (size,) = _COUNT.unpack(_read(pipe, _COUNT.size))
    left = length - _COUNT.size - size
    if left < 0:
        raise ValueError("a reply is shorter than it says")
    blobs = _Blobs(pipe, left, sink)
    try:
        head = json.loads(_read(pipe, size))
        answer = Answer(str(head["kind"]), blobs.valued(head["value"]))
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"a reply that cannot be read: {error!r}") from error
    if blobs.left:
        raise ValueError("a reply is longer than it says")
    return answer


class _Pickler(pickle.Pickler):
    """Leaves pictures out and remembers them in order."""

    def __init__(self, file: BytesIO, protocol: int) -> None:
        super().__init__(file, protocol)
        self.parts: list[Content] = []

    def persistent_id(self, value: Any) -> tuple[int, bool] | None:
        bare = isinstance(value, bytes)
        if len(value) < PART_BYTES_LEAST if bare else not hasattr(type(value), "slices"):
            return None
        self.parts.append(Held(value) if bare else value)
        return len(self.parts) - 1, bare


class _Unpickler(pickle.Unpickler):
    """Puts them back: bytes as they were, and whatever was content as content in memory."""

    def __init__(self, file: BytesIO, parts: list[bytes]) -> None:
        super().__init__(file)
        self._parts = parts

    def persistent_load(self, pid: tuple[int, bool]) -> bytes | Held:
        at, bare = pid
        return self._parts[at] if bare else Held(self._parts[at])


def _slices(content: Content, length: int) -> Iterator[bytes]:
    left = length
    for piece in content.slices(SLICE_BYTES):
        left -= len(piece)
        if left >= 0:
            yield piece
    if left:
        raise ValueError(f"content said to be of {length} bytes has {length - left}")


def _plain(value: Any, blobs: list[bytes]) -> Any:
    """The value as JSON; a mapping always says what it stands for, so that no result can be taken for a class."""
    if isinstance(value, bytes):
        blobs.append(value)
        return {_BYTES: len(value)}
    if isinstance(value, Format):
        return {_FORMAT: value.value}
    if type(value) in _CLASSES.values():
        said = [[field.name, _plain(getattr(value, field.name), blobs)] for field in fields(value)]
        return {_CLASS: type(value).__name__, "fields": said}
    if isinstance(value, list | tuple):
        return [_plain(part, blobs) for part in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a codec function may not answer with {type(value).__name__}")


class _Blobs:
    """The bytes behind a reply's JSON, handed out in order. `left` is how many there still are."""

    def __init__(self, pipe: BinaryIO, left: int, sink: Sink | None) -> None:
        self._pipe = pipe
        self._sink = sink
        self.left = left

    def valued(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return [self.valued(part) for part in plain]
        if not isinstance(plain, dict):
            return plain
        if _BYTES in plain:
            return self._next(plain[_BYTES])
        if _FORMAT in plain:
            return Format(plain[_FORMAT])
        return _CLASSES[plain[_CLASS]](**{name: self.valued(part) for name, part in plain["fields"]})

    def _next(self, length: int) -> bytes:
        if not 0 <= length <= self.left:
            raise ValueError("a reply is shorter than it says")
        self.left -= length
        if self._sink is None:
            return _read(self._pipe, length)
        for start in range(0, length, SLICE_BYTES):
            self._sink(_read(self._pipe, min(SLICE_BYTES, length - start)))
        return b""


def _read(pipe: BinaryIO, length: int) -> bytes:
    """Exactly so many bytes."""
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError("the other side has gone")
    return data
