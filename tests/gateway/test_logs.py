"""The log: one JSON object a line, about one request each, that never stops the gateway."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.config.logs import Logs
from gateway.telemetry.context import of_attempt, of_request
from gateway.telemetry.logs import Written, logging_to
from tests.gateway.together import until


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextmanager
def lines(**said: Any) -> Iterator[list[dict[str, Any]]]:
    """The records of the block, after it."""
    stream, found = io.StringIO(), list[dict[str, Any]]()
    with logging_to(stream, Logs(**said)):
        yield found
    found.extend(json.loads(line) for line in stream.getvalue().splitlines())


def test_a_record_is_one_json_object_with_the_request_that_it_is_about() -> None:
    with lines() as found:
        with of_request("req_1"), of_attempt("att_1"):
            logging.getLogger("imagegate.somewhere").warning("it took %d s", 3, extra={"seconds": 3.0, "absent": None})
        logging.getLogger("imagegate.somewhere").info("another")
    first, second = found
    assert list(first)[:4] == ["time", "level", "logger", "event"]
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "warning",
        "logger": "imagegate.somewhere",
        "event": "it took 3 s",
        "request_id": "req_1",
        "attempt_id": "att_1",
        "seconds": 3.0,
    }
    assert "request_id" not in second


def test_what_a_stranger_says_steers_no_terminal() -> None:
    stream = io.StringIO()
    hostile = "\x1b[2J\x1b]0;title\x07 \x9b31m \u202egnp.exe\r"
    with logging_to(stream, Logs(format="text")):
        log = logging.getLogger("imagegate.somewhere")
        log.warning("attempt failed: %s", hostile, extra={"path": hostile})
        log.error("not reloaded:\nfirst mistake\n\tsecond mistake \u00e9\u00a0\U0001f600")
        try:
            raise RuntimeError(hostile)
        except RuntimeError:
            log.exception("unexpected")
    written = stream.getvalue()
    assert not set("\x1b\x07\x9b\u202e\r") & set(written)
    assert written.count(r"\x1b[2J") == 3
    assert "not reloaded:\nfirst mistake\n\tsecond mistake \u00e9\u00a0\U0001f600" in written


def test_a_traceback_stays_in_its_line() -> None:
    with lines() as found:
        try:
            raise RuntimeError("a\nbug")
        except RuntimeError:
            logging.getLogger("imagegate").exception("unexpected")
    (record,) = found
    assert record["event"] == "unexpected"
    assert "RuntimeError: a\nbug" in record["exception"]


@pytest.mark.parametrize(
    ("level", "heard"),
    [("debug", ["d", "i", "w", "e"]), ("info", ["i", "w", "e"]), ("warning", ["w", "e"]), ("error", ["e"])],
)
def test_less_than_the_level_is_not_logged(level: str, heard: list[str]) -> None:
    with lines(level=level) as found:
        log = logging.getLogger("imagegate.x")
        for tell in (log.debug, log.info, log.warning, log.error):
            tell(tell.__name__[0])
    assert [record["event"] for record in found] == heard


def test_libraries_are_heard_when_they_warn_and_not_before() -> None:
    with lines(level="debug") as found:
        for name in ("httpx", "aiohttp.client", "uvicorn.error", "asyncio"):
            logging.getLogger(name).info("GET https://user:pass@example.com/?sig=abc")
            logging.getLogger(name).warning("careful")
    assert [record["event"] for record in found] == ["careful"] * 4


def test_people_at_a_terminal_get_words() -> None:
    stream = Terminal()
    with logging_to(stream, Logs()):
        logging.getLogger("imagegate").warning("careful", extra={"request_id": "req_1"})
    assert "careful" in stream.getvalue()
    assert "{" not in stream.getvalue()
    forced = Terminal()
    with logging_to(forced, Logs(format="json")):
        logging.getLogger("imagegate").warning("careful")
    assert json.loads(forced.getvalue())["event"] == "careful"


def test_what_json_does_not_know_is_told_in_words() -> None:
    with lines() as found:
        logging.getLogger("imagegate").info("x", extra={"a": {1, 2}, "b": b"abc", "c": object, "d": {"e": (1, None)}})
    (record,) = found
    assert record["b"] == "3 bytes"
    assert record["d"] == {"e": [1, None]}


def test_logging_is_as_it_was_afterwards() -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, logging.getLogger("uvicorn").level)
    with lines(level="debug"):
        assert logging.getLogger("imagegate").level == logging.DEBUG
    assert (list(root.handlers), root.level, logging.getLogger("uvicorn").level) == before


def test_a_log_that_nobody_reads_stops_nobody_and_what_was_lost_is_said() -> None:
    reading, writing = os.pipe()
    with open(writing, "w") as stream:
        handler = Written(stream, lines_most=10)
        handler.setFormatter(logging.Formatter("%(message)s"))
        record = logging.LogRecord("x", logging.INFO, "", 0, "y" * 1000, None, None)
        for _ in range(1000):  # far more than a pipe and the queue hold; each comes back at once
            handler.emit(record)
        read: list[str] = []

        def drain() -> None:
            with open(reading) as lines:
                read.extend(lines)

        reader = threading.Thread(target=drain)
        reader.start()
        until("the loss is told", lambda: any("lines were lost" in line for line in read) or told(handler, record))
        handler.close()
    reader.join()
    (lost,) = [json.loads(line) for line in read if "lines were lost" in line]
    assert lost["lines"] + sum(line.startswith("yyy") for line in read) >= 1000


def told(handler: Written, record: logging.LogRecord) -> bool:
    """Whether what was dropped has been written down."""
    return handler._dropped == 0


def test_lines_that_wait_are_written_together_but_in_writes_that_a_pipe_keeps_whole() -> None:
    class Writes(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            first.set()
            held.wait(10)
            return len(text)

    writes: list[str] = []
    first, held = threading.Event(), threading.Event()
    handler = Written(Writes())
    handler.setFormatter(logging.Formatter("%(message)s"))
    lengths = (10, 3000, 1000, 200, 5000, 1, 1)
    for length in lengths:
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "y" * length, None, None))
        first.wait(10)  # the thread is busy with the first line while the others gather
    held.set()
    handler.close()
    assert [len(line) for line in "".join(writes).splitlines()] == list(lengths)
    assert [len(text) for text in writes] == [11, 4002, 201, 5001, 4]
