"""The ledger's sums are those that anybody would make by hand from what was entered."""

from __future__ import annotations

import asyncio
import math
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.api.account import Account
from gateway.bookkeeping import Bookkeeper
from gateway.services.attempts import NewAttempt, Settled, Settlement, new_id
from gateway.services.attempts_sqlite import SqliteAttempts
from gateway.services.generations import Ages
from gateway.services.generations_sqlite import SqliteGenerations
from gateway.services.ledger import Entry, Group, Row
from gateway.services.ledger_sqlite import SqliteLedger
from gateway.services.notebook import Notebook
from normalization.errors import Charge, StateUnavailable

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
ALWAYS = (0.0, NOON * 2)
GROUPS: tuple[Group, ...] = ("day", "hour", "key", "model", "provider", "status")


@dataclass
class Book:
    """What is entered, for the reference."""

    entries: list[Entry] = field(default_factory=list)
    calls: list[tuple[NewAttempt, Settlement | None]] = field(default_factory=list)


@dataclass
class Here:
    attempts: SqliteAttempts
    ledger: SqliteLedger
    book: Book = field(default_factory=Book)

    async def request(self, created: float = NOON, **changes: Any) -> Entry:
        number = len(self.book.entries)
        usual = Entry(
            id=new_id(created),
            request_id=f"req_{number}",
            generation_id=f"gen_{number}",
            key_name="web",
            model="fox",
            endpoint="/v1/images/generations",
            provider="p",
            status=200,
            code=None,
            images=1,
            megapixels=1.0,
            bytes_out=1000,
            created=created,
            seconds=2.0,
        )
        entry = replace(usual, **changes)
        await self.ledger.enter(entry)
        self.book.entries.append(entry)
        return entry

    async def call(self, request_id: str, settlement: Settlement | None, created: float = NOON, **changes: Any) -> str:
        usual = NewAttempt(
            id=new_id(created - 0.5),
            generation_id="gen",
            request_id=request_id,
            provider="p",
            model="their-fox",
            requested_model="fox",
            key_name="web",
            user=None,
            images=1,
            planned_cost_micros=70_000,
            created=created,
        )
        attempt = replace(usual, **changes)
        await self.attempts.begin(attempt)
        if settlement is not None:
            await self.attempts.settle(attempt.id, settlement)
        self.book.calls.append((attempt, settlement))
        return attempt.id


def settled(
    state: Settled = "done", charge: Charge = "charged", cost: int | None = 70_000, seconds: float = 1.0
) -> Settlement:
    return Settlement(state, "ok", charge, cost, 1, seconds)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Here]:
    attempts = SqliteAttempts(folder, linger_seconds=0.001)
    try:
        yield Here(attempts, SqliteLedger(attempts, folder))
    finally:
        await attempts.close()


# ---- the reference


def by_hand(book: Book, group: Group, begin: float, end: float) -> tuple[dict[str, Row], Row]:
    """The sums, counted one by one."""
    entries = [entry for entry in book.entries if begin <= entry.created < end]
    calls = [(new, how) for new, how in book.calls if begin <= new.created < end]
    calls = [(new, how) for new, how in calls if how is None or how.state != "not_sent"]
    statuses = {entry.request_id: str(entry.status) for entry in book.entries}
    names: dict[Group, tuple[Callable[[Entry], str], Callable[[NewAttempt], str]]] = {
        "day": (lambda entry: at(entry.created, "%Y-%m-%d"), lambda new: at(new.created, "%Y-%m-%d")),
        "hour": (
            lambda entry: at(entry.created, "%Y-%m-%dT%H:00:00Z"),
            lambda new: at(new.created, "%Y-%m-%dT%H:00:00Z"),
        ),
        "key": (lambda entry: entry.key_name or "", lambda new: new.key_name or ""),
        "model": (lambda entry: entry.model, lambda new: new.requested_model),
        "provider": (lambda entry: entry.provider or "", lambda new: new.provider),
        "status": (lambda entry: str(entry.status), lambda new: statuses.get(new.request_id, "")),
    }
    asked, called = names[group]
    parts: defaultdict[str, tuple[list[Entry], list[tuple[NewAttempt, Settlement | None]]]] = defaultdict(
        lambda: ([], [])
    )
    for entry in entries:
        parts[asked(entry)][0].append(entry)
    for new, how in calls:
        parts[called(new)][1].append((new, how))
    rows = {name: summed(name, *part, of_calls=group == "provider") for name, part in parts.items()}
    return rows, summed("", entries, calls)


def summed(
    name: str,
    entries: list[Entry],
    calls: list[tuple[NewAttempt, Settlement | None]],
    *,
    of_calls: bool = False,
) -> Row:
    times = [how.seconds for _, how in calls if how] if of_calls else [entry.seconds for entry in entries]
    unknown = [how for _, how in calls if how is not None and how.charge != "none" and how.cost_micros is None]
    return Row(
        group=name,
        requests=len(entries),
        images=sum(entry.images for entry in entries),
        errors=sum(entry.status >= 400 for entry in entries),
        upstream_calls=len(calls),
        cost_micros=sum(how.cost_micros or 0 for _, how in calls if how is not None),
        unknown_cost_calls=len(unknown),
        megapixels=math.fsum(entry.megapixels for entry in entries),
        bytes_out=sum(entry.bytes_out for entry in entries),
        p50_seconds=nearest_rank(times, 0.50),
        p95_seconds=nearest_rank(times, 0.95),
    )


def nearest_rank(times: Iterable[float], share: float) -> float | None:
    """The smallest time that at least so large a share does not exceed."""
    ordered = sorted(times)
    return next((time for number, time in enumerate(ordered, 1) if number / len(ordered) >= share), None)


def at(seconds: float, form: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def same(found: Row, expected: Row) -> bool:
    return replace(found, megapixels=0.0) == replace(expected, megapixels=0.0) and math.isclose(
        found.megapixels, expected.megapixels, abs_tol=1e-9
    )


async def check(here: Here, group: Group, begin: float, end: float) -> None:
    sums = await here.ledger.sums(begin, end, group)
    rows, totals = by_hand(here.book, group, begin, end)
    assert [row.group for row in sums.rows] == sorted(rows, key=lambda name: (name != "", name))
    for row in sums.rows:
        assert same(row, rows[row.group]), (row, rows[row.group])
    assert same(sums.totals, totals)


async def fill(here: Here, seed: int, count: int) -> None:
    """Requests with 0 to 3 calls each, some of which nobody answered for."""
    chance = random.Random(seed)  # noqa: S311 - nothing is guarded by it
    ways = (
        settled(),
        settled(cost=40_000),
        settled("done", "charged", None),
        settled("failed", "none", 0),
        settled("maybe", "unknown", None),
        settled("refused", "none", 0),
        settled("not_sent", "none", 0),
        None,
    )
    for _ in range(count):
        created = NOON + chance.uniform(-3, 3) * 86_400
        key, model = chance.choice(("web", "batch", None)), chance.choice(("fox", "owl", "unknown"))
        name = f"req_{len(here.book.entries)}"
        for _ in range(chance.randrange(4)):
            how = chance.choice(ways)
            how = how and replace(how, seconds=round(chance.expovariate(0.2), 2))
            when = created + chance.uniform(0, 30)
            who = chance.choice(("p", "q", "r"))
            await here.call(name, how, when, provider=who, key_name=key, requested_model=model)
        await here.request(
            created,
            key_name=key,
            model=model,
            provider=chance.choice(("p", "q", None)),
            status=chance.choice((200, 200, 400, 429, 499, 502)),
            images=chance.randrange(5),
            megapixels=chance.uniform(0, 4),
            bytes_out=chance.randrange(10**7),
            seconds=round(chance.expovariate(0.1), 2),
        )


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("seed", range(4))
async def test_every_sum_is_the_one_that_is_counted_by_hand(tmp_path: Path, group: Group, seed: int) -> None:
    async with opened(tmp_path) as here:
        await fill(here, seed, 40)
        await check(here, group, *ALWAYS)
        chance = random.Random(seed)  # noqa: S311
        for _ in range(3):
            begin = NOON + chance.uniform(-3, 2) * 86_400
            await check(here, group, begin, begin + chance.uniform(0.01, 2) * 86_400)


async def test_nothing_at_all_sums_up_to_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        for group in GROUPS:
            sums = await here.ledger.sums(*ALWAYS, group)
            assert sums.rows == ()
            assert sums.totals == Row("", 0, 0, 0, 0, 0, 0, 0.0, 0, None, None)


async def test_the_span_begins_with_its_first_moment_and_ends_before_its_last(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        for created in (NOON - 1, NOON, NOON + 1):
            await here.call((await here.request(created)).request_id, settled(), created)
        totals = (await here.ledger.sums(NOON, NOON + 1, "day")).totals
        assert (totals.requests, totals.upstream_calls) == (1, 1)


async def test_an_answer_given_again_costs_nothing_again_and_keeps_its_calls_apart(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        first = await here.request(generation_id="gen_x")
        await here.call(first.request_id, settled(), generation_id="gen_x")
        for _ in range(3):
            await here.request(generation_id="gen_x", images=0)
        for group in GROUPS:
            totals = (await here.ledger.sums(*ALWAYS, group)).totals
            assert (totals.requests, totals.upstream_calls, totals.cost_micros) == (4, 1, 70_000)


async def test_what_a_killed_process_bought_counts_under_a_status_without_a_name(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        await here.call("req_nobody_entered", settled())
        (row,) = (await here.ledger.sums(*ALWAYS, "status")).rows
        assert (row.group, row.requests, row.upstream_calls, row.cost_micros) == ("", 0, 1, 70_000)


async def test_a_call_finds_the_status_of_a_request_that_came_before_the_span(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        entry = await here.request(NOON - 500, status=504)
        await here.call(entry.request_id, settled(), NOON + 1)
        (row,) = (await here.ledger.sums(NOON, NOON + 10, "status")).rows
        assert (row.group, row.requests, row.cost_micros) == ("504", 0, 70_000)


async def test_a_call_under_way_is_a_call_whose_cost_is_still_to_come(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        id = await here.call("req", None)
        await here.attempts.accepted(id, "their-job")
        totals = (await here.ledger.sums(*ALWAYS, "day")).totals
        assert (totals.upstream_calls, totals.cost_micros, totals.unknown_cost_calls) == (1, 0, 0)
        await here.attempts.settle(id, settled("maybe", "unknown", None))
        totals = (await here.ledger.sums(*ALWAYS, "day")).totals
        assert (totals.upstream_calls, totals.unknown_cost_calls) == (1, 1)


async def test_what_is_not_settled_is_listed_by_state(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        sending = await here.call("req", None, NOON)
        accepted = await here.call("req", None, NOON + 1)
        await here.call("req", settled(), NOON + 2)
        await here.attempts.accepted(accepted, "their-job")
        listed = {state: await here.ledger.unsettled(state) for state in (None, "sending", "accepted")}
        assert [each.submission.id for each in listed[None]] == [sending, accepted]
        assert [each.submission.id for each in listed["sending"]] == [sending]
        assert [(each.submission.id, each.job) for each in listed["accepted"]] == [(accepted, "their-job")]


async def test_what_is_too_old_is_swept_requests_included(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        for created in (NOON - 100, NOON + 100):
            await here.call((await here.request(created)).request_id, settled(), created)
        await SqliteGenerations(here.attempts).sweep(Ages(rows=NOON, answers=NOON, keys=NOON))
        totals = (await here.ledger.sums(*ALWAYS, "day")).totals
        assert (totals.requests, totals.upstream_calls) == (1, 1)


async def test_submissions_go_on_record_while_sums_are_made_and_no_sum_is_torn(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        reading = True

        async def write() -> int:
            number = 0
            while reading:
                entry = await here.request(NOON + number / 1000)
                await here.call(entry.request_id, settled(), NOON + number / 1000, key_name="web")
                number += 1
            return number

        writing = asyncio.create_task(write())
        before = 0
        for _ in range(40):
            entered = len(here.book.entries)
            sums = await here.ledger.sums(*ALWAYS, "key")
            rows = sums.rows
            assert sums.totals.requests == sum(row.requests for row in rows)
            assert sums.totals.upstream_calls == sum(row.upstream_calls for row in rows)
            assert sums.totals.requests >= entered, "what was entered before is in it"
            assert sums.totals.requests >= before
            before = sums.totals.requests
        reading = False
        assert await writing >= before > 0
        await check(here, "day", *ALWAYS)


async def test_the_ledger_is_there_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        await here.request()
    async with opened(tmp_path) as here:
        assert (await here.ledger.sums(*ALWAYS, "day")).totals.requests == 1


async def test_only_who_is_known_and_asks_for_pictures_is_entered(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        books = Bookkeeper(here.ledger, Notebook(tmp_path))
        for known, generates in ((True, True), (True, False), (False, True)):
            books.keep(Account("req", "POST", "/v1/images/generations", known=known, generates=generates))
        await books.close()
        assert (await here.ledger.sums(0.0, NOON * 3, "status")).totals.requests == 1


async def test_a_request_that_cannot_be_entered_is_logged_and_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as here:
        books = Bookkeeper(here.ledger, Notebook(tmp_path))
    books.keep(Account("req_late", "POST", "/v1/images/generations", known=True, generates=True))
    await books.close()
    assert "could not be entered" in caplog.text
    with pytest.raises(StateUnavailable):
        await here.ledger.sums(*ALWAYS, "day")
