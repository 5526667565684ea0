"""How many pictures step together: by the memory that steps of their shape were seen to take."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Hashable
from typing import Protocol

import torch

from providers.flux_worker.worker.work import OutOfMemory

RESERVE = 0.03
"""Of the device's memory, kept free: what fragments, and what the driver takes."""

WELL_FOR_ONE_MORE = 64
"""Full batches in a row that went well before the bound, once lowered, grows by one."""

SHAPES_MOST = 256


class Meter(Protocol):
    """A device's memory. The engine's thread alone uses it."""

    def start(self) -> None:
        """A measurement begins."""
        ...

    def peak(self) -> int:
        """Bytes beyond those at the start, at their highest since."""
        ...

    def free(self) -> int | None:
        """Bytes that could be had now, less the reserve. None = not known: the configured bound alone counts."""
        ...

    def highest(self) -> int:
        """Bytes at their highest so far; 0 = not known."""
        ...

    def clear(self) -> None:
        """Give back what only a cache holds."""
        ...


class NoMeter:
    """A device that does not tell: the CPU."""

    def start(self) -> None:
        """Nothing is measured."""

    def peak(self) -> int:
        return 0

    def free(self) -> int | None:
        return None

    def highest(self) -> int:
        return 0

    def clear(self) -> None:
        gc.collect()


class CudaMeter:
    """A GPU, by torch's own count."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self._before = 0
        self._highest = 0

    def start(self) -> None:
        self.highest()
        torch.cuda.reset_peak_memory_stats(self.device)
        self._before = torch.cuda.memory_allocated(self.device)

    def peak(self) -> int:
        seen: int = torch.cuda.max_memory_allocated(self.device)
        return max(0, seen - self._before)

    def free(self) -> int | None:
        free, total = torch.cuda.mem_get_info(self.device)
        cached = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return int(free + cached - RESERVE * total)

    def highest(self) -> int:
        self._highest = max(self._highest, torch.cuda.max_memory_allocated(self.device))
        return self._highest

    def clear(self) -> None:
        gc.collect()
        torch.cuda.empty_cache()


class Admission:
    """At most `batch_most` together, and no more than fit. The engine's thread alone uses it."""

    def __init__(self, batch_most: int, meter: Meter) -> None:
        self.batch_most = batch_most
        self.bound = batch_most
        self.meter = meter
        self._each: OrderedDict[Hashable, int] = OrderedDict()
        self._aside = 0
        self._well = 0

    def most(self, key: Hashable) -> int:
        """Runs of this key to step together: one where none was measured yet, so that the first tells."""
        free = self.meter.free()
        if free is None:
            return self.bound
        if key not in self._each:
            return 1
        return max(1, min(self.bound, (free - self._aside) // max(1, self._each[key])))

    def stepped(self, key: Hashable, count: int) -> None:
        """A batch of so many went well; the meter was started before it."""
        self._each[key] = max(self._each.get(key, 0), self.meter.peak() // count)
        self._each.move_to_end(key)
        if len(self._each) > SHAPES_MOST:
            self._each.popitem(last=False)
        self._well = self._well + 1 if count >= self.bound else self._well
        if self.bound < self.batch_most and self._well >= WELL_FOR_ONE_MORE:
            self.bound, self._well = self.bound + 1, 0

    def decoded(self) -> None:
        """A picture was decoded; as much is kept aside for the next. The meter was started before it."""
        self._aside = max(self._aside, self.meter.peak())

    def exhausted(self, count: int) -> None:
        """A batch of so many did not fit: the next is half as large. One alone that did not fit says nothing of how
        many others would: the bound is halved all the same, but no more."""
        together = self.bound if count == 1 else min(self.bound, count)
        self.bound, self._well = max(1, together // 2), 0
        self.meter.clear()


NO_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
"""What the CPU's allocator says, the driver's own, and the libraries for matrices and convolutions."""


def is_out_of_memory(error: BaseException) -> bool:
    """Told by torch's own class, or by what is said where memory is taken past torch's allocator."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError, OutOfMemory)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in NO_MEMORY)


def is_fatal(error: BaseException) -> bool:
    """After these nothing works on the device any more, until the process starts anew."""
    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)
