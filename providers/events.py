"""Server-sent events as they come: html.spec.whatwg.org, "Server-sent events". Bytes in, the data of events out."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterator, Mapping

from providers.bodies import Gathering, TooLarge

CONTENT_TYPE = "text/event-stream"
DONE = b"[DONE]"
"""OpenAI's last event, which is no JSON and says nothing."""


Told = Callable[[bytes], None]


def streamed(headers: Mapping[str, str]) -> bool:
    """Whether a reply is a stream of events."""
    return headers.get("content-type", "").startswith(CONTENT_TYPE)


def unheard(_: bytes) -> None:
    """Nobody follows: the last event is all that counts."""


async def body_of(chunks: AsyncIterable[bytes], declared: int | None, most: int, told: Told | None) -> bytes:
    """A reply's body, of at most so many bytes; of a stream of events, each of which is `told`, the last one's data.
    Raises TooLarge."""
    if told is None:
        gathering = Gathering(declared, most)
        async for chunk in chunks:
            gathering.add(chunk)
        return gathering.body()
    events, last = Events(most), b""
    async for chunk in chunks:
        for data in events.add(chunk):
            told(data)
            last = data
    return last


class Events:
    """One stream. `most`: bytes that a single event may have; TooLarge is raised beyond."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._line = bytearray()
        self._data: list[bytes] = []
        self._held = 0

    def add(self, chunk: bytes) -> Iterator[bytes]:
        """The data of each event that is complete with this chunk, but for OpenAI's last."""
        self._held += len(chunk)
        if self._held > self._most:
            raise TooLarge
        begun = len(self._line)
        self._line += chunk
        # Only what is new can end the line: a picture of megabytes comes as one, in hundreds of chunks.
        end = self._line.find(b"\n", begun)
        while end >= 0:
            line = bytes(self._line[:end]).removesuffix(b"\r")
            del self._line[: end + 1]
            yield from self._read(line)
            end = self._line.find(b"\n")

    def _read(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line:
            data, self._data = b"\n".join(self._data), []
            self._held = len(self._line)
            if data and data != DONE:
                yield data
