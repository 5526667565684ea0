"""The log: one JSON object a line, or words where a person looks on. What `logging` is told anywhere comes here.

Lines are written by a thread of their own: a log that nobody reads must not stop a gateway. What cannot be written is
dropped, and said once there is room again.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import threading
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name

from gateway.config.logs import Logs
from gateway.telemetry.redaction import REDACTOR

LINES_MOST: Final = 10_000
"""Lines that wait to be written."""
LINES_AT_ONCE: Final = 100
GATHER_SECONDS: Final = 0.01
"""Between two writes: a thread that wakes for each line costs a busy event loop more than the lines do."""
WHOLE_BYTES: Final = 4096
"""What a pipe takes as a whole (PIPE_BUF on Linux)."""
FLUSH_SECONDS: Final = 2.0
"""How long the end of the process waits for them."""

LIBRARIES: Final = ("aiohttp", "asyncio", "httpcore", "httpx", "multipart", "urllib3", "uvicorn", "opentelemetry")
"""What others have to say is heard when it is a warning."""

Event = MutableMapping[str, Any]


class Written(logging.Handler):
    """Writes formatted records to a stream, from a thread of its own."""

    def __init__(self, stream: TextIO, lines_most: int = LINES_MOST) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lines_most = lines_most
        self._dropped = 0
        self._closing = threading.Event()
        # A daemon: who does not read the log must not keep the process alive either.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines.qsize() >= self._lines_most:
            self._dropped += 1
            return
        try:
            self._lines.put(self.format(record))
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """The usual way quotes the record as it came, secrets included."""
        self._lines.put(f"a record of {record.name} could not be written")

    def close(self) -> None:
        super().close()
        self._closing.set()
        self._lines.put(None)
        self._thread.join(FLUSH_SECONDS)

    def _run(self) -> None:
        line = self._lines.get()
        while line is not None:
            waiting = [self._lines.get() for _ in range(min(self._lines.qsize(), LINES_AT_ONCE))]
            lines = [line, *(each for each in waiting if each is not None)]
            for text in _together(lines):
                self._write(text)
            if dropped := self._dropped:
                self._dropped -= dropped
                lost = {"level": "warning", "event": "lines were lost", "lines": dropped}
                self._write(f"{orjson.dumps(lost).decode()}\n")
            if None in waiting:
                return
            self._closing.wait(GATHER_SECONDS)
            line = self._lines.get()

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody is there to be told
            self._stream.write(text)
            self._stream.flush()


def _together(lines: list[str]) -> Iterator[str]:
    """Lines in as few writes as can be: other processes write to the same pipe, which keeps short writes whole."""
    text, size = "", 0
    for line in lines:
        length = len(line) + 1 if line.isascii() else len(line.encode(errors="replace")) + 1
        if text and size + length > WHOLE_BYTES:
            yield text
            text, size = "", 0
        text, size = f"{text}{line}\n", size + length
    yield text


@contextlib.contextmanager
def logging_to(stream: TextIO, logs: Logs) -> Iterator[None]:
    """Have everything that is logged written there for as long as the block lasts."""
    handler = Written(stream)
    handler.setFormatter(_formatter(logs, terminal=stream.isatty()))
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in (None, "imagegate", *LIBRARIES)}
    level = logging.getLevelNamesMapping()[logs.level.upper()]
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("imagegate").setLevel(level)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        for known, was in before.items():
            logging.getLogger(known).setLevel(was)


def _formatter(logs: Logs, *, terminal: bool) -> logging.Formatter:
    if logs.format == "json" or (logs.format == "auto" and not terminal):
        return Objects()
    return ProcessorFormatter(
        foreign_pre_chain=[
            merge_contextvars,
            ExtraAdder(),
            add_log_level,
            add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        ],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redacted,
            _for_people,
            structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback),
        ],
    )


class Objects(logging.Formatter):
    """A record as one JSON object: what structlog's processors make of it, in half the time. Every request has one."""

    def format(self, record: logging.LogRecord) -> str:
        event: Event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        event.update(get_contextvars())
        for name, value in record.__dict__.items():
            if name not in _STANDARD:
                event[name] = value
        if record.stack_info:
            event["stack_info"] = record.stack_info
        if record.exc_info:
            event["exc_info"] = record.exc_info
            event = dict(structlog.processors.format_exc_info(None, "", event))
        return orjson.dumps(_redacted(None, "", event), option=orjson.OPT_NON_STR_KEYS).decode()


def _redacted(logger: object, method: str, event: Event) -> Event:
    return {
        name: value if name in _OURS else REDACTOR.scrubbed(value)
        for name, value in event.items()
        if name not in _NOISE and value is not None
    }


_OURS: Final = frozenset({"time", "level", "request_id", "generation_id", "attempt_id"})
"""Made here, of nothing that anybody else wrote."""
_NOISE: Final = frozenset({"asctime", "color_message", "message", "taskName"})
_STANDARD: Final = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"time", "level", "logger"}
"""What every record has; the rest is what was said with it."""


def _for_people(logger: object, method: str, event: Event) -> Event:
    """What structlog's renderer for people looks for under names of its own. What steers a terminal is spelled out: a
    provider's words may hold it."""
    event["timestamp"] = event.pop("time")
    for name in ("event", "exception"):
        if isinstance(event.get(name), str):
            event[name] = _STEERING.sub(lambda found: repr(found[0])[1:-1], event[name])
    return event


_STEERING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but for the ends of lines and tabs, and what turns the direction of text."""
