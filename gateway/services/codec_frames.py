"""What the gateway and a codec child say to each other, over two pipes.

A request is a pickle: the gateway is trusted. A reply is not, since the child has fed a stranger's bytes to C code:
it is JSON and raw bytes, and can become nothing but plain values and the few classes named here.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from normalization.pictures.finish import Finished
from normalization.pictures.header import Header
from normalization.vocabulary import Format, Size

MESSAGE_BYTES_MOST = 1 << 30
_LENGTH = struct.Struct("<Q")
_HEAD = struct.Struct("<I")

_CLASSES: dict[str, type[Any]] = {kind.__name__: kind for kind in (Finished, Header, Size)}
_CLASS, _BYTES, _FORMAT = "class", "bytes", "format"


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


def send(pipe: int, body: bytes) -> None:
    """Writes one message, whole. Raises `OSError` where nobody listens."""
    _write(pipe, _LENGTH.pack(len(body)))
    _write(pipe, body)


def receive(pipe: int, most: int = MESSAGE_BYTES_MOST) -> bytearray | None:
    """Reads one message; None where the other side has closed. Raises `ValueError` beyond `most` bytes."""
    head = _read(pipe, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > most:
        raise ValueError(f"a message of {length} bytes; at most {most} are accepted")
    return _read(pipe, length)


def write_job(job: Job) -> bytes:
    return pickle.dumps(job, protocol=5)


def read_job(body: bytearray) -> Job:
    """A request, in the child."""
    job = pickle.loads(body)  # noqa: S301  # written by the process that started this one
    if not isinstance(job, Job):
        raise TypeError(f"a request is a Job, not {type(job).__name__}")
    return job


def write_answer(answer: Answer) -> bytes:
    """A reply: the length of some JSON, the JSON, and the bytes that it points to, in order. Raises `TypeError` for a
    value that a reply cannot hold."""
    blobs: list[bytes] = []
    head = json.dumps({"kind": answer.kind, "value": _plain(answer.value, blobs)}).encode()
    return b"".join((_HEAD.pack(len(head)), head, *blobs))


def read_answer(body: bytearray) -> Answer:
    """A reply, in the gateway. Raises `ValueError` for anything but what `write_answer` writes."""
    try:
        (length,) = _HEAD.unpack_from(body)
        head = json.loads(body[_HEAD.size : _HEAD.size + length])
        return Answer(str(head["kind"]), _Blobs(body, _HEAD.size + length).valued(head["value"]))
    except (struct.error, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"a reply that cannot be read: {error!r}") from error


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
    """The bytes behind a reply's JSON, handed out in order."""

    def __init__(self, body: bytearray, at: int) -> None:
        self._body = memoryview(body)
        self._at = at

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
        at, self._at = self._at, self._at + length
        if not at <= self._at <= len(self._body):
            raise ValueError("a reply is shorter than it says")
        return bytes(self._body[at : self._at])


def _write(pipe: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(pipe, left) :]


def _read(pipe: int, length: int) -> bytearray | None:
    """Exactly so many bytes, None at the end of the file."""
    data = bytearray(length)
    left = memoryview(data)
    while left:
        got = os.readv(pipe, [left])
        if not got:
            return None
        left = left[got:]
    return data
