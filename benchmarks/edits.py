"""What edits cost in memory, disk and time: many uploads at once, and one alone.

A load generator uploads the same pictures of 10 MB each, three PNGs and a JPEG, in many edits at the same time; a
provider reads whatever arrives to its end and keeps nothing. nginx as a reverse proxy, which like the gateway puts
uploads on disk and like no gateway looks at none, is the floor beside it; the other floor is the check that each
picture is whole, done here alone. One upload by itself shows what of it is held in memory. Linux only.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.conversions import photograph
from benchmarks.gateway import Goal
from benchmarks.processes import NotStarted, Server, cpu_between
from benchmarks.subjects import KEY, ROOT, Subject, free_port, make_answers, noise_of, start_imagegate, start_nginx
from benchmarks.weighing import Weighing, Weight
from normalization.pictures.intake import intake
from normalization.vocabulary import Held

MB = 1_000_000
EDIT_MB = 40
TREE_MOST = 600 * MB
KINDS = ("multipart", "json")
EDITS_PATH = "/v1/images/edits"
SUBJECTS = (
    Subject("nginx", start_nginx, path="/small" + EDITS_PATH),
    Subject("imagegate", start_imagegate, path=EDITS_PATH),
)


@dataclass(frozen=True, slots=True)
class Load:
    """What became of some edits: seconds of each that was answered, and what was said to the others."""

    seconds: Sequence[float]
    wrong: Sequence[str]
    whole: float
    """Seconds from the first byte to the last answer, the generator's start included."""
    cpu: float
    """Processor time of the gateway's processes, in seconds."""


@dataclass(slots=True)
class Measured:
    name: str
    loads: list[tuple[Load, Weight]] = field(default_factory=list)


def pictures(folder: Path) -> list[Path]:
    """Four pictures of about 10 MB: three the same PNG, and a JPEG."""
    png, jpeg = folder / "picture.png", folder / "picture.jpeg"
    noise_of(2460).save(png, "PNG", compress_level=1)
    photograph(3300).save(jpeg, "JPEG", quality=98, subsampling=0)
    return [png, png, png, jpeg]


class Bench:
    """The provider, and whatever is started before it."""

    def __init__(self, folder: Path, stack: ExitStack, model: str = "small") -> None:
        self.folder, self.stack = folder, stack
        self._folders = 0
        self.answer = make_answers(folder / "answers")[model]
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.taker", str(port), str(self.answer)]
        self.provider = f"http://127.0.0.1:{port}"
        environ = {"PYTHONPATH": str(ROOT)}
        taker = Server(command, f"{self.provider}/readyz", self.new_folder() / "log", environ=environ)
        stack.callback(taker.stop)

    def new_folder(self) -> Path:
        self._folders += 1
        path = self.folder / str(self._folders)
        path.mkdir()
        return path

    def load(
        self, subject: Subject, server: Server, address: str, connections: int, requests: int, said: Sequence[str]
    ) -> Load:
        """Put edits on a gateway. `said`: `multipart` or `json`, and the files of the pictures."""
        words = (address + subject.path, "small", KEY, str(connections), str(requests), *said)
        before, began = server.cpu_seconds(), time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "benchmarks.uploads", *words], cwd=ROOT, capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace")[-600:])
        found = json.loads(done.stdout)
        whole, cpu = time.perf_counter() - began, cpu_between(before, server.cpu_seconds())
        return Load(found["seconds"], found["wrong"], whole, cpu)

    def measured(
        self, subject: Subject, connections: int, requests: int, said: Sequence[str], small: Path
    ) -> tuple[Load, Weight]:
        """A load on a gateway that was started for it, and has served one small edit."""
        folder = self.new_folder()
        server, address = subject.start(folder, self.provider)
        try:
            self.load(subject, server, address, 1, 1, (said[0], str(small)))
            with Weighing(server) as weighing:
                load = self.load(subject, server, address, connections, requests, said)
        finally:
            server.stop()
        return load, weighing.weight


def check_milliseconds(files: Sequence[Path]) -> float:
    """Processor time of the check that these pictures are whole, and nothing else."""
    contents = [Held(file.read_bytes()) for file in files]
    began = time.process_time()
    for content in contents:
        intake(content)
    return 1000 * (time.process_time() - began)


def table(found: Sequence[Measured], edits: int, check: float) -> Iterator[str]:
    yield f"{edits} edits at once, each with 4 pictures of 10 MB; medians"
    words = f"{'answered':>9}{'seconds':>9}{'CPU ms/edit':>13}{'alone MB':>10}{'tree MB':>9}{'disk MB':>9}{'files':>7}"
    yield f"{'':<11}{words}"
    for each in found:
        load = [load for load, _ in each.loads]
        weight = [weight for _, weight in each.loads]
        yield (
            f"{each.name:<11}{min(len(one.seconds) for one in load):>9}"
            f"{statistics.median(one.whole for one in load):>9.1f}"
            f"{statistics.median(one.cpu for one in load) / edits * 1000:>13.0f}"
            f"{statistics.median(one.alone for one in weight) / MB:>10.0f}"
            f"{statistics.median(one.tree for one in weight) / MB:>9.0f}"
            f"{statistics.median(one.disk for one in weight) / MB:>9.0f}"
            f"{max(one.files for one in weight):>7}"
        )
        for wrong in {wrong for one in load for wrong in one.wrong}:
            yield f"  not answered: {wrong}"
    yield f"{'check':<11}{'':>18}{check:>13.0f}   (of the 4 pictures, alone: all of it is in the tree's)"


def goals(
    ours: Measured, floor: Measured | None, edits: int, check: float, alone: dict[str, list[Weight]], picture: int
) -> Iterator[Goal]:
    loads = [load for load, _ in ours.loads]
    weights = [weight for _, weight in ours.loads]
    yield Goal("edits not answered", max(edits - len(load.seconds) for load in loads), 0)
    yield Goal("gateway and codec processes: RSS", max(each.tree for each in weights) / MB, TREE_MOST / MB, " MB")
    yield Goal("open files more / edits", max(each.files for each in weights) / edits, 6)
    for kind, found in alone.items():
        grown = statistics.median(each.growth for each in found) / picture
        yield Goal(f"one upload as {kind}: growth / picture", grown, 1.5)
    bare = None
    if floor is not None:
        bare = statistics.median(load.cpu for load, _ in floor.loads) / edits * 1000
    cost = statistics.median(load.cpu for load in loads) / edits * 1000
    yield Goal("CPU / (nginx's + the check's)", None if bare is None else cost / (bare + check), 1.5)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks edits", description=__doc__)
    parser.add_argument("--edits", type=int, default=200, help="edits at once (default 200)")
    parser.add_argument("--rounds", type=int, default=1, help="times that they are put on each (default 1)")
    names = [subject.name for subject in SUBJECTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="what to measure (default: all)")
    parser.add_argument("--kind", choices=KINDS, default="multipart", help="how pictures travel (default multipart)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="imagegate-bench-") as name, ExitStack() as stack:
        room = shutil.disk_usage(name).free
        if room < 4 * options.edits * EDIT_MB * MB:
            print(f"{name} has {room / MB:.0f} MB free: too little for {options.edits} edits", file=sys.stderr)
            return 1
        folder = Path(name)
        files, small = pictures(folder), folder / "small.png"
        noise_of(64).save(small, "PNG")
        found = {subject.name: Measured(subject.name) for subject in SUBJECTS if subject.name in options.only}
        alone: dict[str, list[Weight]] = {kind: [] for kind in KINDS}
        try:
            bench = Bench(folder, stack)
            for _ in range(options.rounds):
                for subject in SUBJECTS:
                    if subject.name in found:
                        said = (options.kind, *map(str, files))
                        result = bench.measured(subject, options.edits, options.edits, said, small)
                        found[subject.name].loads.append(result)
            for kind in KINDS if "imagegate" in found else ():
                for _ in range(3):
                    alone[kind].append(bench.measured(SUBJECTS[-1], 1, 1, (kind, str(files[0])), small)[1])
        except NotStarted as reason:
            print(f"not measured: {reason}", file=sys.stderr)
            return 1
        check, picture = check_milliseconds(files), files[0].stat().st_size
    print("\n".join(table(list(found.values()), options.edits, check)))
    if "imagegate" in found:
        reached = goals(found["imagegate"], found.get("nginx"), options.edits, check, alone, picture)
        print("\n".join(goal.line() for goal in reached))
    return 0
