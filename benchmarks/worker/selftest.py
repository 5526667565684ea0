"""The engine's own cost, on the CPU over tiny weights: where a step is cheapest, what is around it weighs most."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import diffusers
import torch

from benchmarks.worker.measuring import engine_of, ours, stock
from providers.flux_worker.worker.caching import FirstBlocks
from providers.flux_worker.worker.embeddings import Embeddings
from providers.flux_worker.worker.families import load_family
from providers.flux_worker.worker.folders import recognise
from providers.flux_worker.worker.work import Work
from tests.worker import tiny

OVERHEAD_MOST = 1.10
"""Of one request, over the stock pipeline."""

TOGETHER_MOST = 1.05
"""Of eight of a shape at once, over the same eight one after another: no slower, but for what a clock cannot tell. On
one thread of a CPU there is nothing to gain."""

AT_ONCE = 8


def self_test(repeats: int) -> bool:
    """Print both ratios, and whether they hold."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "klein"
        tiny.build("klein", path)
        pipe = diffusers.DiffusionPipeline.from_pretrained(path, dtype=torch.float32)
        pipe.set_progress_bar_config(disable=True)
        family = load_family(pipe, recognise(str(path)).kind, "cpu", Embeddings(1 << 28), FirstBlocks(0.0))
    engine = engine_of(family, AT_ONCE)
    work = Work("warm-up", 256, 256, 4, 1, 1.0)
    prompts = (f"prompt {place}" for place in range(10_000))  # a new one each time: neither finds one encoded

    def alone() -> float:
        return ours(engine, [replace(work, prompt=next(prompts))])[0].seconds

    def plain() -> float:
        return stock(pipe, replace(work, prompt=next(prompts)), None, "cpu").seconds

    def together() -> float:
        works = [replace(work, prompt=next(prompts)) for _ in range(AT_ONCE)]
        return max(each.seconds for each in ours(engine, works))

    def in_turn() -> float:
        return sum(alone() for _ in range(AT_ONCE))

    held = [
        _compare("one request, over the stock pipeline", alone, plain, repeats, OVERHEAD_MOST),
        _compare(f"{AT_ONCE} at once, over one after another", together, in_turn, repeats, TOGETHER_MOST),
    ]
    engine.drain(0)
    return all(held)


def _compare(name: str, one: Callable[[], float], other: Callable[[], float], repeats: int, most: float) -> bool:
    """Turn by turn, so that whatever else the machine does meets both; of each the best, which it met the least."""
    one(), other()
    pairs = [(one(), other()) for _ in range(repeats)]
    first, second = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
    ratio = first / second
    verdict = "holds" if ratio <= most else "DOES NOT HOLD"
    print(f"{name}: {1000 * first:.0f} ms to {1000 * second:.0f} ms, {ratio:.2f} (at most {most:.2f}): {verdict}")
    return ratio <= most
