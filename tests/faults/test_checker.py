"""The checker by value: what it lets pass, and each rule by the smallest evidence that breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.faults.billing import Charge
from tests.faults.checker import Ask, Evidence, Row, check
from tests.faults.happenings import DROPPED, PASS, Exchange, Fault

MARK = "mark-0123456789ab"
CHARGE = Charge("openai", "openai-1", False, None, MARK, 1, 10_000)
JOB = Charge("apiframe", "01A", True, "job-1", MARK, 1, 10_000)
ROW = Row("01A", "gen_1", "openai", MARK, 1, "done", None, "ok", "charged", 10_000, 1)
JOB_ROW = replace(ROW, provider="apiframe", job="job-1")
UNKNOWN = replace(ROW, state="maybe", outcome="unknown:closed", charge="unknown", cost_micros=None, delivered=0)
REFUSED = replace(ROW, state="refused", outcome="rejected", charge="none", cost_micros=None, delivered=0)
ASK = Ask(MARK, 1, delivered=1, status=200)
FAILED = Ask(MARK, 1, status=502, should_retry="false")
SUBMIT = f"POST / HTTP/1.1\r\n\r\n{MARK}".encode()
LOST = Exchange(DROPPED, "submit", SUBMIT, forwarded=True)
ANSWERED = Exchange(PASS, "submit", SUBMIT, forwarded=True, sent=b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
LOOK = Exchange(PASS, "poll", b"GET /v2/jobs/job-1 HTTP/1.1\r\n\r\n")
CUT = Exchange(Fault(read=3, end="reset"), "other", b"POS")

HONEST: dict[str, Evidence] = {
    "delivered": Evidence([CHARGE], [ROW], [ASK], [ANSWERED]),
    "delivered by job": Evidence([JOB], [JOB_ROW], [ASK], [LOOK]),
    "unknown, and charged": Evidence([CHARGE], [UNKNOWN], [FAILED], [LOST]),
    "unknown, and free": Evidence([], [UNKNOWN], [FAILED], [CUT]),
    "refused": Evidence([], [REFUSED], [FAILED]),
    "paid back": Evidence([replace(JOB, refunded=True)], [replace(REFUSED, provider="apiframe")], [FAILED]),
    "kept": Evidence([CHARGE], [ROW], [Ask(MARK, 1)], kept=1),
    "charged, and useless": Evidence(
        [CHARGE], [replace(ROW, state="failed", outcome="bad_upstream_image", delivered=0)], [FAILED]
    ),
    "under way": Evidence([CHARGE], [replace(ROW, state="sending", charge=None)], [Ask(MARK, 1)], settled=False),
    "killed": Evidence([CHARGE], [UNKNOWN], [Ask(MARK, 1)], [ANSWERED], crashed=True),
    "another's": Evidence([replace(CHARGE, mark="mark-ffffffffffff")], [], [Ask(MARK, 1)]),
}

BROKEN: dict[str, tuple[str, Evidence]] = {
    "no row": ("unrecorded", Evidence([CHARGE], [], [FAILED])),
    "no row yet": ("unrecorded", Evidence([CHARGE], [], [FAILED], settled=False)),
    "a row that denies it": ("unrecorded", Evidence([CHARGE], [REFUSED], [FAILED])),
    "a row of another key": ("unrecorded", Evidence([JOB], [replace(JOB_ROW, id="01B")], [ASK])),
    "two charges for a row": ("unrecorded", Evidence([CHARGE, CHARGE], [ROW], [replace(ASK, n=2)])),
    "a charge that never was": ("invented", Evidence([], [ROW], [ASK])),
    "the charge of what was paid back": ("invented", Evidence([replace(JOB, refunded=True)], [JOB_ROW], [ASK])),
    "a price of nothing": ("invented", Evidence([], [replace(REFUSED, cost_micros=5)], [FAILED])),
    "too high a price": ("sums", Evidence([CHARGE], [replace(ROW, cost_micros=20_000)], [ASK])),
    "no price": ("sums", Evidence([CHARGE], [replace(ROW, cost_micros=None)], [ASK])),
    "bought twice": ("overbought", Evidence([CHARGE, CHARGE], [ROW, ROW], [ASK])),
    "doubt after an answer": ("needless", Evidence([CHARGE], [UNKNOWN], [FAILED], [ANSWERED])),
    "doubt about what was never sent": ("needless", Evidence([], [UNKNOWN], [FAILED])),
    "still open": ("unsettled", Evidence([CHARGE], [replace(ROW, state="accepted")], [ASK])),
    "a job unrecorded": ("job", Evidence([JOB], [replace(JOB_ROW, job=None)], [ASK], [LOOK], settled=False)),
    "delivered to nobody": ("lost", Evidence([CHARGE], [ROW], [Ask(MARK, 1)])),
    "made, and not spoken of": ("lost", Evidence([CHARGE], [replace(ROW, delivered=0)], [Ask(MARK, 1)])),
    "an invitation": ("invites", Evidence([CHARGE], [UNKNOWN], [replace(FAILED, should_retry="true")], [LOST])),
}


@pytest.mark.parametrize("case", HONEST)
def test_what_holds_passes(case: str) -> None:
    assert check(HONEST[case]) == []


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_hold_is_named(case: str) -> None:
    rule, evidence = BROKEN[case]
    assert rule in {violation.rule for violation in check(evidence)}


def test_every_rule_has_a_case() -> None:
    rules: Any = check.__globals__["Rule"]
    assert {rule for rule, _ in BROKEN.values()} == set(rules.__args__)
