"""Random bytes that come by the page are given out once, whoever asks."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from gateway.services.chance import SIZE, random_bytes


def test_no_two_are_alike_whichever_thread_asks() -> None:
    with ThreadPoolExecutor(4) as threads:
        found = [
            each for listed in threads.map(lambda _: [random_bytes() for _ in range(1000)], range(4)) for each in listed
        ]
    assert {len(each) for each in found} == {SIZE}
    assert len(set(found)) == len(found)


def test_a_child_gives_out_nothing_that_its_parent_does() -> None:
    random_bytes()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, b"".join(random_bytes() for _ in range(255)))
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    theirs = {told[at : at + SIZE] for at in range(0, len(told), SIZE)}
    assert len(theirs) == 255
    assert theirs.isdisjoint({random_bytes() for _ in range(255)})
