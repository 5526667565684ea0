"""Why a Redis server cannot be had, in words: a mistake in `state.url`, or an outage that may pass.

The library's own words hold addresses, and Redis' own can hold names: neither is repeated, but for the word that a
reply begins with (https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors).
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from asyncio import IncompleteReadError

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    InvalidResponse,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.services.redis.wire import Refused

_ERRNO = re.compile(r"\[Errno (\d+)\]")
_PASSED = {
    "NOAUTH": "it wants a password, and the URL has none",
    "WRONGPASS": "it does not accept the user name and the password",
    "NOPERM": "the user may not do what is needed",
}


def mistake(error: BaseException) -> str | None:
    """What is wrong in the URL of a server that answered with `error`; None where the URL may be right."""
    word = word_of(error)
    if isinstance(error, AuthenticationError) or word in _PASSED:
        return f"{word}: {_PASSED.get(word, _PASSED['WRONGPASS'])}"
    said = str(error)
    if isinstance(error, ResponseError) and ("DB index" in said or "SELECT is not allowed" in said):
        return f"{word}: it has no database of this number"
    if isinstance(error, InvalidResponse):
        return "what answers there does not speak Redis"
    return None


def outage(error: BaseException) -> str:
    """Why a server did not come to answer."""
    if isinstance(error, TimeoutError | RedisTimeoutError):
        return "it does not answer in time"
    if isinstance(error, BusyLoadingError):
        return "it is still loading its data"
    if isinstance(error, ResponseError | Refused):
        return f"it answers {word_of(error)}"
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, socket.gaierror):
        return "its host is not known"
    if isinstance(cause, ssl.SSLError):
        return "TLS could not be agreed on"
    if isinstance(cause, ConnectionRefusedError):
        return "nothing listens there"
    number = _ERRNO.search(str(cause))
    if number is not None:
        return os.strerror(int(number[1])).lower()
    if isinstance(cause, RedisError | IncompleteReadError | ConnectionError):
        return "it ends the connection without an answer"
    return type(cause).__name__


def word_of(error: BaseException) -> str:
    """The word that Redis' error began with."""
    if isinstance(error, Refused):
        return error.word
    word = getattr(error, "status_code", None)
    return word if isinstance(word, str) and word.isalpha() else "ERR"
