"""What must hold between a provider's books, the gateway's journal and what clients received.

    found = check(Evidence(charges, rows, asks, exchanges, kept))
    assert not found

The journal names what the gateway believes, the books what is true, the proxies' log what the gateway could have known.
They are brought together by the mark of one wish of one client: it stands in the prompt, which the provider sees, and
in `user`, which the journal has; so all tries of a client that retries by itself belong to one wish.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.faults.billing import FREE, Charge
from tests.faults.happenings import Exchange

Rule = Literal[
    "unrecorded",  # a charge that no row admits
    "invented",  # a row that says charged, done or a price, without a charge
    "sums",  # the money in the rows is not the money in the books
    "overbought",  # more pictures were paid for than the client wished for
    "needless",  # a row says unknown, and the gateway was told
    "unsettled",  # a row that stays open when everything is over
    "job",  # the gateway asks about a job whose id is not on record
    "lost",  # a picture was paid for, and nobody has it, and no row owns up to it
    "invites",  # an error invites the client to try again after money was spent
]

JOURNAL = "imagegate.sqlite3"
OPEN = frozenset({"sending", "accepted"})
"""States of a submission whose end is still to come."""


@dataclass(frozen=True)
class Row:
    """One attempt, as the journal has it."""

    id: str
    generation_id: str
    provider: str
    mark: str
    images: int
    state: str
    job: str | None = None
    outcome: str | None = None
    charge: str | None = None
    cost_micros: int | None = None
    delivered: int | None = None

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def may_be_charged(self) -> bool:
        return self.open or self.charge in ("charged", "unknown") or self.provider in FREE

    @property
    def owned_up(self) -> int:
        """Pictures that the row says were not delivered, or may not have been."""
        plain = self.charge != "unknown" and self.outcome == "ok" and not self.open
        return 0 if plain else self.images - (self.delivered or 0)


@dataclass(frozen=True)
class Ask:
    """One wish of one client, and what came of all its tries."""

    mark: str
    n: int
    delivered: int = 0
    status: int | None = None
    """Of the last answer; None = there was none."""
    type: str | None = None
    code: str | None = None
    should_retry: str | None = None
    retry_after: str | None = None
    failed: str | None = None
    """What x-images-failed says."""


@dataclass(frozen=True)
class Evidence:
    """Everything there is to compare."""

    charges: Sequence[Charge]
    rows: Sequence[Row]
    asks: Sequence[Ask]
    exchanges: Sequence[Exchange] = ()
    kept: int = 0
    """Pictures in the gateway's storage that nobody was given."""
    crashed: bool = False
    """The gateway was killed on the way: what was under way may honestly be unknown."""
    settled: bool = True
    """All is over; False = a look in the middle, where only what must hold at every moment is checked."""


@dataclass(frozen=True)
class Violation:
    rule: Rule
    detail: str


@dataclass
class _Wish:
    """The part of the evidence that is about one mark."""

    ask: Ask
    charges: list[Charge] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def paid(self) -> list[Charge]:
        return [charge for charge in self.charges if not charge.refunded]


def check(evidence: Evidence) -> list[Violation]:
    """Everything that does not hold, wish by wish."""
    wishes = _wishes(evidence)
    found: list[Violation] = []
    for wish in wishes:
        found += [*_unrecorded(wish), *_jobs(wish), *_overbought(wish)]
        if evidence.settled:
            found += [*_unsettled(wish), *_invented(wish), *_sums(wish), *_invites(wish), *_unaccounted(wish)]
            found += [] if evidence.crashed else _needless(wish)
    if evidence.settled:
        found += _undelivered(wishes, evidence.kept)
    return found


def _wishes(evidence: Evidence) -> list[_Wish]:
    wishes = {ask.mark: _Wish(ask) for ask in evidence.asks}
    for charge in evidence.charges:
        if charge.mark in wishes:
            wishes[charge.mark].charges.append(charge)
    for row in evidence.rows:
        if row.mark in wishes:
            wishes[row.mark].rows.append(row)
    for wish in wishes.values():
        named = [wish.ask.mark, *(charge.job for charge in wish.charges if charge.job)]
        for exchange in evidence.exchanges:
            if exchange.unread or any(name.encode() in exchange.request for name in named):
                wish.exchanges.append(exchange)
    return list(wishes.values())


def _by_provider(wish: _Wish) -> Iterator[tuple[str, list[Charge], list[Row]]]:
    """Charges that are not paid back and rows of each provider; those with a key are told apart by it."""
    charges: dict[str, list[Charge]] = defaultdict(list)
    rows: dict[str, list[Row]] = defaultdict(list)
    keyed = {charge.submission for charge in wish.charges if charge.keyed}
    for charge in wish.paid:
        charges[f"{charge.provider} {charge.submission}" if charge.keyed else charge.provider].append(charge)
    for row in wish.rows:
        rows[f"{row.provider} {row.id}" if row.id in keyed else row.provider].append(row)
    for name in sorted({*charges, *rows}):
        yield name, charges[name], rows[name]


def _unrecorded(wish: _Wish) -> Iterator[Violation]:
    for name, charges, rows in _by_provider(wish):
        admitting = [row for row in rows if row.may_be_charged]
        if len(charges) > len(admitting):
            yield Violation("unrecorded", f"{name}: {len(charges)} charges, and rows {_shown(rows)}")
    known = {row.id for row in wish.rows}
    for charge in wish.charges:
        if charge.keyed and charge.refunded and charge.submission not in known:
            yield Violation("unrecorded", f"{charge}: no row of this id")


def _jobs(wish: _Wish) -> Iterator[Violation]:
    jobs = {row.id: row.job for row in wish.rows}
    for charge in wish.charges:
        asked = charge.job is not None and any(
            exchange.purpose == "poll" and charge.job.encode() in exchange.request for exchange in wish.exchanges
        )
        if asked and charge.keyed and jobs.get(charge.submission, charge.job) != charge.job:
            yield Violation("job", f"{charge.job} is being asked about, and its row has {jobs[charge.submission]}")


def _overbought(wish: _Wish) -> Iterator[Violation]:
    bought = sum(charge.pictures for charge in wish.paid if charge.provider not in FREE)
    if bought > wish.ask.n:
        yield Violation("overbought", f"{bought} pictures charged where {wish.ask.n} were wished for")


def _unsettled(wish: _Wish) -> Iterator[Violation]:
    for row in wish.rows:
        if row.open:
            yield Violation("unsettled", f"{row.provider} {row.id} stays {row.state}")


def _invented(wish: _Wish) -> Iterator[Violation]:
    for name, charges, rows in _by_provider(wish):
        claimed = [row for row in rows if row.charge == "charged" or row.state == "done"]
        if len(claimed) > len(charges):
            yield Violation("invented", f"{name}: {len(charges)} charges, and rows {_shown(claimed)}")
        for row in rows:
            if row.charge == "none" and row.cost_micros:
                yield Violation("invented", f"{name}: a price of {row.cost_micros} for what cost nothing")


def _sums(wish: _Wish) -> Iterator[Violation]:
    for name, charges, rows in _by_provider(wish):
        true = sum(charge.micros for charge in charges)
        booked = sum(row.cost_micros or 0 for row in rows if row.charge == "charged")
        sure = not any(row.charge == "unknown" or row.open for row in rows)
        if booked > true or (sure and booked != true):
            yield Violation("sums", f"{name}: {booked} micros on record, {true} charged")


def _needless(wish: _Wish) -> Iterator[Violation]:
    """A row may say unknown for each submission, or look at its job, that the gateway was not told the end of."""
    unknown = [row for row in wish.rows if row.charge == "unknown"]
    untold = [each for each in wish.exchanges if (each.unread or each.purpose in ("submit", "poll")) and not each.told]
    if len(unknown) > len(untold):
        yield Violation("needless", f"{_shown(unknown)}, and {len(untold)} exchanges that leave a doubt")


def _invites(wish: _Wish) -> Iterator[Violation]:
    spent = [charge for charge in wish.paid if charge.provider not in FREE]
    if wish.ask.should_retry == "true" and spent:
        yield Violation("invites", f"x-should-retry is true after {len(spent)} charges")


def _unaccounted(wish: _Wish) -> Iterator[Violation]:
    """Pictures that were made are in a row's `delivered`, or the row says that they are not."""
    for name, charges, rows in _by_provider(wish):
        made = sum(charge.pictures for charge in charges)
        said = sum((row.delivered or 0) + row.owned_up for row in rows)
        if made > said:
            yield Violation("lost", f"{name}: {made} pictures made, and rows speak of {said}")


def _undelivered(wishes: Iterable[_Wish], kept: int) -> Iterator[Violation]:
    """Pictures that rows call delivered are with the client or in storage."""
    missing = 0
    for wish in wishes:
        missing += max(0, sum(row.delivered or 0 for row in wish.rows) - wish.ask.delivered)
    if missing > kept:
        yield Violation("lost", f"{missing} pictures reached nobody, and {kept} are kept")


def _shown(rows: Iterable[Row]) -> str:
    return ", ".join(f"{row.state}/{row.outcome}/{row.charge}" for row in rows) or "none"


def read_journal(data_dir: Path) -> list[Row]:
    """The attempts on record, as another process finds them on disk."""
    path = data_dir / JOURNAL
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA query_only = ON")
        found = connection.execute("SELECT * FROM attempts ORDER BY id").fetchall()
    return [_row(each) for each in found]


def _row(row: sqlite3.Row) -> Row:
    return Row(
        id=row["id"],
        generation_id=row["generation_id"],
        provider=row["provider"],
        mark=row["user"] or "",
        images=row["images"],
        state=row["state"],
        job=row["job"],
        outcome=row["outcome"],
        charge=row["charge"],
        cost_micros=row["cost_micros"],
        delivered=row["delivered"],
    )
