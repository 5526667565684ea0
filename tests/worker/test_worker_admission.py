"""How many step together, by a device's memory; and whose turn it is."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
import torch

from providers.flux_worker.worker.admission import (
    WELL_FOR_ONE_MORE,
    Admission,
    NoMeter,
    is_fatal,
    is_out_of_memory,
)
from providers.flux_worker.worker.pieces import preview_steps


class Memory:
    """A device that has `left` bytes, and whose last work took `taken`."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.taken = 0
        self.cleared = 0

    def start(self) -> None:
        self.taken = 0

    def peak(self) -> int:
        return self.taken

    def free(self) -> int | None:
        return self.left

    def highest(self) -> int:
        return self.taken

    def clear(self) -> None:
        self.cleared += 1


def stepped(admission: Admission, memory: Memory, key: Hashable, count: int, taken: int) -> None:
    memory.start()
    memory.taken = taken
    admission.stepped(key, count)


def test_the_first_of_a_shape_steps_alone_and_tells_how_many_fit() -> None:
    memory = Memory(left=100)
    admission = Admission(8, memory)
    assert admission.most("large") == 1
    stepped(admission, memory, "large", 1, 30)
    assert admission.most("large") == 3
    assert admission.most("other") == 1
    memory.left = 20
    assert admission.most("large") == 1


def test_a_shape_counts_by_the_most_that_it_took() -> None:
    memory = Memory(left=100)
    admission = Admission(8, memory)
    stepped(admission, memory, "shape", 1, 10)
    stepped(admission, memory, "shape", 2, 40)
    stepped(admission, memory, "shape", 1, 5)
    assert admission.most("shape") == 5


def test_what_a_decoder_takes_is_kept_aside() -> None:
    memory = Memory(left=100)
    admission = Admission(8, memory)
    stepped(admission, memory, "shape", 1, 10)
    memory.start()
    memory.taken = 60
    admission.decoded()
    assert admission.most("shape") == 4


def test_a_device_that_does_not_tell_is_bounded_by_the_configuration() -> None:
    assert Admission(3, NoMeter()).most("anything") == 3


def test_what_did_not_fit_halves_the_bound_and_it_grows_back_one_by_one() -> None:
    memory = Memory(left=1 << 30)
    admission = Admission(4, memory)
    admission.exhausted(4)
    assert (admission.bound, memory.cleared) == (2, 1)
    for _ in range(WELL_FOR_ONE_MORE - 1):
        stepped(admission, memory, "shape", 2, 1)
    assert admission.bound == 2
    stepped(admission, memory, "shape", 1, 1)  # a smaller batch proves nothing
    assert admission.bound == 2
    stepped(admission, memory, "shape", 2, 1)
    assert admission.bound == 3
    admission.exhausted(1)
    assert admission.bound == 1


def test_one_alone_that_did_not_fit_halves_the_bound_too() -> None:
    admission = Admission(8, Memory(left=1 << 30))
    admission.exhausted(1)
    assert admission.bound == 4


@pytest.mark.parametrize(
    ("error", "memory", "fatal"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True, False),
        (MemoryError(), True, False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."), True, False),
        (torch.AcceleratorError("CUDA error: out of memory"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True, False),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False, True),
        (RuntimeError("shapes cannot be multiplied"), False, False),
    ],
)
def test_errors_are_told_apart(error: Exception, memory: bool, fatal: bool) -> None:
    assert (is_out_of_memory(error), is_fatal(error)) == (memory, fatal)


@pytest.mark.parametrize(
    ("steps", "wanted", "after"),
    [
        (4, 0, []),
        (4, 1, [2]),
        (4, 3, [1, 2, 3]),
        (4, 9, [1, 2, 3]),
        (28, 3, [7, 14, 21]),
        (1, 3, []),
        (50, 2, [17, 33]),
    ],
)
def test_previews_are_spread_over_the_steps(steps: int, wanted: int, after: list[int]) -> None:
    assert sorted(preview_steps(steps, wanted)) == after
