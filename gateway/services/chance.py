"""Random bytes for names and ids, asked of the system by the page.

Each question to the system lets go of Python's lock, and under load another thread takes it: three ids a request cost
more than everything else about them.
"""

from __future__ import annotations

import os
from typing import Final

SIZE: Final = 16
"""128 bits: nobody guesses them, and no two are alike."""
_PAGE: Final = 256 * SIZE

_left: list[bytes] = []


def random_bytes() -> bytes:
    """16 bytes of the system's randomness, given out once. For any thread; not for keys that must last."""
    try:
        return _left.pop()
    except IndexError:
        page = os.urandom(_PAGE)
        _left.extend(page[at : at + SIZE] for at in range(SIZE, _PAGE, SIZE))
        return page[:SIZE]


# A child must not give out what its parent does.
os.register_at_fork(after_in_child=_left.clear)
