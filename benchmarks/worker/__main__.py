"""`python -m benchmarks.worker`, in the worker's environment: random weights of the real sizes on the GPU, stock
diffusers beside our engine, each as a multiple of the floor that the count of operations sets; `--self-test` on the
CPU."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import torch

from benchmarks.worker.measuring import EverySecond, Measured, engine_of, ours, stock
from benchmarks.worker.models import (
    ARCHITECTURES,
    PROMPT,
    Architecture,
    flop_of_a_step,
    make_family,
    make_pipeline,
    make_text,
)
from benchmarks.worker.selftest import self_test
from providers.flux_worker.worker.caching import FirstBlocks
from providers.flux_worker.worker.loading import float8, settle_thread
from providers.flux_worker.worker.options import Options
from providers.flux_worker.worker.work import Work

H200_TFLOPS = 790.0
"""bf16 matrix products of an H200 as measured at best by others; the floor is as good as this number."""


@dataclass(frozen=True, slots=True)
class Line:
    """One way of making pictures. seconds: of one picture, of several the share."""

    name: str
    seconds: float
    step_ms: float
    peak_gib: float


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.self_test:
        return 0 if self_test(options.repeats) else 1
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and "small" not in options.models:
        print("torch sees no GPU here; the real sizes need one. Try --self-test, or --models small", file=sys.stderr)
        return 2
    results = [
        line for name in options.models for size in options.sizes for line in _measured(name, size, device, options)
    ]
    if options.json:
        print(json.dumps(results))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__)
    real = [name for name in ARCHITECTURES if name != "small"]
    parser.add_argument("--models", nargs="+", choices=list(ARCHITECTURES), default=real)
    parser.add_argument("--sizes", nargs="+", type=int, default=[512, 1024], help="sides of square pictures")
    parser.add_argument("--batch", type=int, default=4, help="pictures at once, beside one")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="torch.compile the repeated blocks, for both")
    parser.add_argument("--attention", help="a backend of diffusers' dispatcher, for both")
    parser.add_argument("--float8", action="store_true", help="torchao float8, for both")
    parser.add_argument("--tflops", type=float, default=H200_TFLOPS, help="of the device; sets the floor")
    parser.add_argument("--json", action="store_true", help="one line of JSON at the end")
    parser.add_argument("--self-test", action="store_true", help="the engine's own cost, on the CPU, tiny weights")
    return parser


def _measured(name: str, size: int, device: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Stock first, then ours: alone, several at once, and with a fixed half of the steps skipped."""
    architecture = ARCHITECTURES[name]
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    work = Work(PROMPT, size, size, architecture.steps, 1, architecture.kind.default_guidance)
    floor = flop_of_a_step(architecture, work) / (options.tflops * 1e12)
    loaded = Options(name, compile=options.compile, quantisation="float8" if options.float8 else "none")
    settle = partial(settle_thread, loaded, torch.device(device))
    settle()  # for the stock pipeline, which is called in this thread
    pipe = _prepared(make_pipeline(architecture, device, dtype), options)
    text = make_text(architecture, device, dtype)
    lines = [_line("diffusers", lambda: [stock(pipe, work, text, device)], options.repeats, device)]
    engine = engine_of(make_family(architecture, pipe, text, device, FirstBlocks(0.0)), options.batch, settle)
    many = [replace(work, seed=seed) for seed in range(options.batch)]
    lines.append(_line("imagegate", lambda: ours(engine, [work]), options.repeats, device))
    lines.append(_line(f"imagegate, {options.batch} at once", lambda: ours(engine, many), options.repeats, device))
    engine.drain(0)
    fast = engine_of(make_family(architecture, pipe, text, device, EverySecond(1.0)), 1, settle)
    skipping = replace(work, quality="fast")
    skipped = "imagegate, every second step skipped"
    lines.append(_line(skipped, lambda: ours(fast, [skipping]), options.repeats, device))
    fast.drain(0)
    return _printed(name, size, architecture, floor, lines)


def _prepared(pipe: Any, options: argparse.Namespace) -> Any:
    """The same for both: they share the transformer."""
    if options.attention:
        pipe.transformer.set_attention_backend(options.attention)
    if options.float8:
        from torchao.quantization import quantize_

        quantize_(pipe.transformer, float8())
    if options.compile:
        pipe.transformer.compile_repeated_blocks(fullgraph=True)
    return pipe


def _line(name: str, once: Callable[[], list[Measured]], repeats: int, device: str) -> Line:
    for _ in range(2):
        once()  # compiles, and measures memory for the first time
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    runs: list[list[Measured]] = [once() for _ in range(repeats)]
    seconds = median(max(each.seconds for each in run) / len(run) for run in runs)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0
    return Line(name, seconds, median(each.step_ms for run in runs for each in run), peak)


def _printed(name: str, size: int, architecture: Architecture, floor: float, lines: list[Line]) -> list[dict[str, Any]]:
    print(f"{name} {size}x{size}, {architecture.steps} steps; floor {1000 * floor:.2f} ms a step")
    least = floor * architecture.steps
    results = []
    for line in lines:
        beside = line.seconds / lines[0].seconds
        print(
            f"  {line.name:38} {line.seconds:8.3f} s a picture, {line.step_ms:8.2f} ms between steps, "
            f"{line.seconds / least:6.2f} x floor, {beside:5.2f} x diffusers, peak {line.peak_gib:5.1f} GiB"
        )
        results.append(
            {
                "model": name, "size": size, "way": line.name, "seconds": line.seconds, "step_ms": line.step_ms,
                "floor_seconds": least, "over_diffusers": beside, "peak_gib": line.peak_gib,
            }
        )  # fmt: skip
    return results


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
