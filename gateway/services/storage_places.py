"""Where a picture lies in a bucket, and until when: its name says both.

The key of a picture begins with the hour in which it goes: `pictures/2026-11-21T10/NAME`. So what is due is found by
listing a few folders, however much is kept. A name never changes; where a picture is to be kept for longer, a mark says
so, an empty object in the folder of the same hour: `kept/2026-11-21T10/NAME.until-TIME`.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.services.storage import FORMATS
from normalization.vocabulary import Format

PICTURES, KEPT = "pictures", "kept"

_NAME = re.compile(r"[0-9a-f]{32}-([0-9a-f]{8,9})\.([a-z]+)")
_MARK = re.compile(r"([^/]+)\.until-([0-9a-f]{8,9})")


@dataclass(frozen=True, slots=True)
class Place:
    """What a name says: `due` is when the picture goes, in epoch seconds."""

    name: str
    format: Format
    due: int

    @property
    def key(self) -> str:
        return f"{PICTURES}/{hour_of(self.due)}/{self.name}"

    def mark(self, due: int) -> str:
        """The name of the mark that keeps the picture until then."""
        return f"{self.name}.until-{due:x}"


def new_place(format: Format, due: int) -> Place:
    """A new picture's, with 128 random bits in its name."""
    return Place(f"{secrets.token_hex(16)}-{due:08x}.{format.extension}", format, due)


def place_of(name: str) -> Place | None:
    """What a picture's name says; None where the text is no name of ours."""
    found = _NAME.fullmatch(name)
    format = None if found is None else FORMATS.get(found[2])
    return None if found is None or format is None else Place(name, format, int(found[1], 16))


def mark_of(name: str) -> tuple[Place, int] | None:
    """The picture that a mark keeps, and until when; None where the text is no mark's name."""
    found = _MARK.fullmatch(name)
    place = None if found is None else place_of(found[1])
    return None if found is None or place is None else (place, int(found[2], 16))


def hour_of(due: float) -> str:
    """The folder of what goes in that hour, in UTC. Later ones sort later."""
    return f"{datetime.fromtimestamp(due, UTC):%Y-%m-%dT%H}"


def ours(key: str) -> str | None:
    """The name of the picture or mark that lies there; None where it is not one that we have put there."""
    name = key.rpartition("/")[2]
    return name if key_of(name) == key else None


def key_of(name: str) -> str | None:
    """The key of a picture or a mark; None where the text is no name of either."""
    marked = mark_of(name)
    if marked is not None:
        return f"{KEPT}/{hour_of(marked[0].due)}/{name}"
    place = place_of(name)
    return None if place is None else place.key
