"""Lines that look grown rather than drawn, from nothing but adding, multiplying, dividing and square roots.

The sine of the C library differs in its last bit from machine to machine; these four operations do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from providers.sketch.chance import Chance

Point = tuple[float, float]


def ease(t: float) -> float:
    """From 0 to 1 with level ends."""
    return t * t * (3.0 - 2.0 * t)


def turn(share: float) -> Point:
    """Where the hand of a clock points after `share` of a turn from three o'clock: (cosine, sine) to within 0.002."""
    share -= share // 1.0

    def sine(t: float) -> float:
        half = t * 2.0
        sign = 1.0 if half < 1.0 else -1.0
        half -= half // 1.0
        bow = half * (1.0 - half)
        return sign * 16.0 * bow / (5.0 - 4.0 * bow)  # Bhaskara's rational sine

    return sine(share + 0.25 - (share + 0.25) // 1.0), sine(share)


def wander(chance: Chance, count: int, cells: int, octaves: int = 1, fade: float = 0.5) -> list[float]:
    """`count` heights from 0 to 1 along a line that wanders through about `cells` hills, each octave finer by two."""
    heights = [0.0] * count
    weight = 1.0
    for _ in range(octaves):
        knots = [chance.between(0.0, 1.0) for _ in range(cells + 2)]
        for index in range(count):
            place = index * cells / max(1, count - 1)
            cell = int(place)
            heights[index] += weight * (knots[cell] + (knots[cell + 1] - knots[cell]) * ease(place - cell))
        cells *= 2
        weight *= fade
    low, high = min(heights), max(heights)
    span = high - low or 1.0
    return [(height - low) / span for height in heights]


def sample(heights: Sequence[float], share: float) -> float:
    """The height at `share` (0..1) of the line."""
    place = min(max(share, 0.0), 1.0) * (len(heights) - 1)
    cell = min(int(place), len(heights) - 2)
    return heights[cell] + (heights[cell + 1] - heights[cell]) * (place - cell)


def bow(start: Point, bend: Point, end: Point, count: int = 12) -> list[Point]:
    """A curve from `start` to `end` that is drawn towards `bend`."""
    points = []
    for index in range(count + 1):
        t = index / count
        a, b, c = (1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t
        points.append((a * start[0] + b * bend[0] + c * end[0], a * start[1] + b * bend[1] + c * end[1]))
    return points


def arc(centre: Point, radius: float, start: float, end: float, count: int = 24) -> list[Point]:
    """Points on a circle from `start` to `end`, in turns clockwise from three o'clock."""
    hands = [turn(start + (end - start) * index / count) for index in range(count + 1)]
    return [(centre[0] + cosine * radius, centre[1] + sine * radius) for cosine, sine in hands]


def stroke(points: Sequence[Point], start: float, end: float) -> list[Point]:
    """The outline of a brush stroke along `points`, `start` wide at its beginning and `end` wide at its end."""
    left: list[Point] = []
    right: list[Point] = []
    last = len(points) - 1
    for index, (x, y) in enumerate(points):
        (ax, ay), (bx, by) = points[max(0, index - 1)], points[min(last, index + 1)]
        dx, dy = bx - ax, by - ay
        length = sqrt(dx * dx + dy * dy) or 1.0
        half = (start + (end - start) * index / max(1, last)) / 2.0
        left.append((x - dy / length * half, y + dx / length * half))
        right.append((x + dy / length * half, y - dx / length * half))
    return left + right[::-1]
