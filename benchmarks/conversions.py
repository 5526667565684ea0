"""What a conversion costs against Pillow's defaults: `python -m benchmarks.conversions [--rounds N] [--side PIXELS]`.

For each format a picture that looks like a photograph to an encoder (gradients, edges, grain) goes from PNG bytes to
that format's bytes, once as `Image.open(...).save(...)` would have it and once as the gateway does. The two alternate
in one process, processor time is counted over all threads, and the ratio is that of the medians: above 1, the gateway
is cheaper. Bytes are given beside it, since speed can be bought with them.

The last lines are not conversions: the same format in and out, where Pillow decodes and encodes and the gateway reads
the container; and a conversion through the codec pool, the gateway's own process alone.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageChops, ImageDraw

from gateway.services.codecs import CodecPool
from normalization.pictures.finish import FinishOptions, finish
from normalization.plan import Finish
from normalization.vocabulary import Format

GOALS = {"png": 2.0, "webp": 1.6, "avif": 5.5, "gif": 4.5, "same format": 100.0}
OPTIONS = FinishOptions()


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: medians of processor time in milliseconds, and the bytes that came out."""

    name: str
    naive: float
    tuned: float
    naive_bytes: int
    tuned_bytes: int

    @property
    def ratio(self) -> float:
        return self.naive / self.tuned

    def __str__(self) -> str:
        goal = GOALS.get(self.name)
        verdict = "" if goal is None else f"  goal {goal:g}x {'met' if self.ratio >= goal else 'MISSED'}"
        size = self.tuned_bytes / self.naive_bytes
        return f"{self.name:<16}{self.naive:9.2f}{self.tuned:9.3f}{self.ratio:9.1f}x{size:8.0%}{verdict}"


def photograph(side: int) -> Image.Image:
    """Soft colours, some hard edges and grain, the same at each run."""
    dice = random.Random(7)
    coarse = Image.frombytes("RGB", (12, 12), dice.randbytes(12 * 12 * 3))
    picture = coarse.resize((side, side), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for _ in range(side // 8):
        x, y, radius = dice.randrange(side), dice.randrange(side), dice.randrange(4, side // 12)
        shade = tuple(dice.randrange(256) for _ in range(3))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=shade, width=dice.randrange(1, 6))
    grain = Image.frombytes("L", (side, side), dice.randbytes(side * side)).point([level // 24 for level in range(256)])
    return ImageChops.add(picture, Image.merge("RGB", (grain, grain, grain)), offset=-5)


def saved(image: Image.Image, kind: str) -> bytes:
    out = BytesIO()
    image.save(out, kind)
    return out.getvalue()


def naive(data: bytes, kind: Format) -> bytes:
    """What everybody writes first."""
    return saved(Image.open(BytesIO(data)), kind.name)


def spent() -> float:
    """Processor time of this process so far, all threads, in milliseconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return 1000 * (usage.ru_utime + usage.ru_stime)


def timed(work: Callable[[], bytes], repeats: int) -> tuple[float, int]:
    size = 0
    start = spent()
    for _ in range(repeats):
        size = len(work())
    return (spent() - start) / repeats, size


def compared(name: str, first: Callable[[], bytes], second: Callable[[], bytes], rounds: int, repeats: int = 1) -> Row:
    """The two, alternating; `repeats` of the second make one measurement where it is too short for the clock."""
    first(), second()
    pairs = []
    for _ in range(rounds):
        gc.collect()
        pairs.append((timed(first, 1), timed(second, repeats)))
    return Row(
        name,
        statistics.median(one for (one, _), _ in pairs),
        statistics.median(two for _, (two, _) in pairs),
        pairs[0][0][1],
        pairs[0][1][1],
    )


def conversions(png: bytes, rounds: int) -> list[Row]:
    rows = []
    for kind in (Format.PNG, Format.JPEG, Format.WEBP, Format.AVIF, Format.GIF):
        wanted = Finish(kind, force=True)
        rows.append(
            compared(
                kind.value,
                lambda kind=kind: naive(png, kind),  # type: ignore[misc]
                lambda wanted=wanted: finish(png, wanted, OPTIONS).data,  # type: ignore[misc]
                rounds,
            )
        )
    return rows


def passed(png: bytes, rounds: int) -> list[Row]:
    rows = []
    for kind in Format:
        data = png if kind is Format.PNG else naive(png, kind)
        row = compared(
            "same format" if kind is Format.PNG else f"{kind.value} as it is",
            lambda data=data, kind=kind: naive(data, kind),  # type: ignore[misc]
            lambda data=data, kind=kind: finish(data, Finish(kind), OPTIONS).data,  # type: ignore[misc]
            rounds,
            repeats=1000,
        )
        rows.append(row)
    return rows


async def in_the_pool(png: bytes, rounds: int) -> str:
    """What a conversion in a child costs the gateway's own process, and how long it takes."""
    pool = CodecPool()
    wanted = Finish(Format.JPEG)
    await pool.finish(png, wanted, OPTIONS)
    own, waited = [], []
    for _ in range(rounds):
        before, start = spent(), time.perf_counter()
        await pool.finish(png, wanted, OPTIONS)
        own.append(spent() - before)
        waited.append(1000 * (time.perf_counter() - start))
    await pool.close()
    here, whole = statistics.median(own), statistics.median(waited)
    return f"png to jpeg in the pool: {here:.1f} ms of this process's processor time, {whole:.0f} ms by the clock"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each, of which the median counts")
    parser.add_argument("--side", type=int, default=1024, help="pixels a side")
    said = parser.parse_args(arguments)
    png = saved(photograph(said.side), "PNG")
    print(f"{said.side}x{said.side} PNG of {len(png):,} bytes; processor time, medians of {said.rounds}")
    print(f"{'to':<16}{'naive ms':>9}{'ours ms':>9}{'ratio':>10}{'bytes':>8}")
    for row in (*conversions(png, said.rounds), *passed(png, said.rounds)):
        print(row)
    print(asyncio.run(in_the_pool(png, said.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
