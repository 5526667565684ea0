"""What it costs to decide: planning one request for each profile, and knowing every provider at all.

The floor of planning is reading and writing the request's body as JSON; that of knowing the providers is an interpreter
that starts and does nothing. Both are measured in turn with what they are the floor of.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import orjson

from benchmarks.gateway import Goal
from normalization.planner import plan
from normalization.reading import read
from normalization.rules import Profile
from providers.base import Options
from providers.registry import PROVIDERS

BODY = {
    "prompt": "a red fox in the snow",
    "size": "1000x777",
    "n": 3,
    "seed": 7,
    "output_format": "webp",
    "quality": "high",
    "guidance": 3.5,
    "negative_prompt": "fog",
}
PLANNING_MOST = 150e-6
IMPORT_MOST = 0.1
REPEATS = 200


def profiles() -> list[Profile]:
    """Every profile that makes pictures from a prompt."""
    adapters = [adapter(Options(name="p")) for adapter in PROVIDERS.values()]
    found = [adapter.profile(model) for adapter in adapters for model in adapter.known_models]
    return [profile for profile in found if "generate" in profile.operations]


def spent(work: Callable[[], object]) -> float:
    """Seconds of CPU that one run of it takes, of many."""
    work()
    before = time.process_time()
    for _ in range(REPEATS):
        work()
    return (time.process_time() - before) / REPEATS


def started(program: str) -> float:
    """Seconds until an interpreter that ran it has ended."""
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - before


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks planning", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args(arguments).rounds
    request = read(BODY, default_model="m").request
    known = profiles()
    planning = [spent(lambda profile=profile: plan(request, profile, name="p")) for profile in known]  # type: ignore[misc]
    written = orjson.dumps(BODY)
    floor = spent(lambda: orjson.dumps(orjson.loads(written)))
    mean = statistics.mean(planning)
    print(f"planning, {len(known)} profiles: {mean * 1e6:.0f} us on average, {max(planning) * 1e6:.0f} at most")
    print(f"  beside reading and writing the body as JSON: {mean / floor:.0f}x")
    pairs = [(started("pass"), started("import providers.registry")) for _ in range(rounds)]
    bare, full = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"knowing every provider: {(full - bare) * 1000:.0f} ms beside {bare * 1000:.0f} ms of a bare start")
    goals = [
        Goal("planning one request, CPU on average", mean * 1e6, PLANNING_MOST * 1e6, " us"),
        Goal("import of all providers", (full - bare) * 1000, IMPORT_MOST * 1000, " ms"),
    ]
    for goal in goals:
        print(goal.line())
    return 0
