"""A day of usage that nobody had, for pictures of the dashboard: written as the ledger is, before a gateway starts.
Prices, shares and times are made up, and the same each time."""

from __future__ import annotations

import math
import random
from contextlib import closing
from pathlib import Path

from gateway.services.attempts import new_id
from gateway.services.attempts_schema import MIGRATIONS
from gateway.services.sqlite import open_database

REQUESTS = 1_400
DAY = 86_400.0
MODELS = (
    ("flux-2-max", "apiframe", 70_000, 9.0, 50),
    ("flux-2-dev", "gpu", 0, 3.5, 28),
    ("flux-kontext-max", "modelverse", 60_000, 7.0, 14),
    ("sketch", "sketch", 0, 0.3, 8),
)
"""Model, provider, micro-dollars for a picture, seconds, share."""
KEYS, KEY_SHARES = ("web-team", "mobile-app", "batch", "design"), (45, 30, 15, 10)
STATUSES, STATUS_SHARES = (200, 400, 429, 502), (95, 3, 1, 1)


def write_day(path: Path, now: float) -> None:
    """The day before `now` (epoch seconds), with its noon in the middle, into a new database at `path`."""
    chance = random.Random(7)  # noqa: S311 (made up, and the same each time)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(open_database(path, MIGRATIONS)) as connection:
        connection.execute("BEGIN")
        for _ in range(REQUESTS):
            requests, attempts = _rows(chance, now)
            connection.execute(
                "INSERT INTO requests (id, request_id, generation_id, key_name, model, endpoint, provider, status, "
                "images, megapixels, bytes_out, created, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                requests,
            )
            connection.execute(
                "INSERT INTO attempts (id, generation_id, request_id, provider, model, requested_model, key_name, "
                "images, planned_cost_micros, created, state, outcome, charge, cost_micros, delivered, seconds) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                attempts,
            )
        connection.execute("COMMIT")


def _rows(chance: random.Random, now: float) -> tuple[tuple[object, ...], tuple[object, ...]]:
    model, provider, price, usual, _ = chance.choices(MODELS, [each[-1] for each in MODELS])[0]
    (key,), (status,) = chance.choices(KEYS, KEY_SHARES), chance.choices(STATUSES, STATUS_SHARES)
    created, id = now - DAY * _moment(chance), f"{chance.getrandbits(128):032x}"
    images = chance.choice((1, 1, 1, 2, 4)) if status == 200 else 0
    seconds = usual * chance.lognormvariate(0, 0.35)
    asked = (
        new_id(created), f"req_{id}", f"gen_{id}", key, model, "/v1/images/generations", provider, status,
        images, 1.05 * images, 1_400_000 * images, created, seconds,
    )  # fmt: skip
    called = (
        new_id(created), f"gen_{id}", f"req_{id}", provider, model, model, key, max(1, images), price * max(1, images),
        created, "done", "ok" if images else "refused", "charged" if images else "none", price * images, images,
        seconds,
    )  # fmt: skip
    return asked, called


def _moment(chance: random.Random) -> float:
    """How long ago in days: most often around the middle."""
    while True:
        ago = chance.uniform(0.03, 0.99)
        if chance.random() < 0.12 + 0.88 * math.sin(math.pi * ago) ** 2:
            return ago
