"""Circuit breakers: by value for each way to open and close, and against a model that keeps everything it ever saw."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.services.breakers import COUNTED, CREDIT_SECONDS, Breaking, Circuits, Sign

BREAKING = Breaking(failures=3, percent=50, calls=6, window=60.0, open_first=30.0, open_most=80.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Here:
    """Circuits of one provider, and a clock to move."""

    def __init__(self, breaking: Breaking = BREAKING) -> None:
        self.clock = Clock()
        self.circuits = Circuits(breaking, clock=self.clock, wall=lambda: 7.0)

    def end(self, *signs: Sign | None, model: str = "m") -> None:
        for sign in signs:
            self.circuits.record(model, sign, began=self.clock.now, outcome=sign.value if sign else "busy")

    def later(self, seconds: float) -> None:
        self.clock.now += seconds

    @property
    def state(self) -> str:
        return self.circuits.state("m")


def opened() -> Here:
    here = Here()
    here.end(*[Sign.UPSTREAM] * 3)
    assert here.state == "open"
    return here


@pytest.mark.parametrize("kind", COUNTED)
def test_so_many_failures_in_a_row_open_a_circuit(kind: Sign) -> None:
    here = Here()
    here.end(kind, kind)
    assert here.state == "closed"
    here.end(kind)
    assert here.state == "open"
    assert here.circuits.last("m")
    assert here.circuits.state("another model") == "closed"


def test_trouble_on_the_way_and_trouble_over_there_are_counted_apart() -> None:
    here = Here()
    here.end(Sign.UPSTREAM, Sign.UPSTREAM, Sign.LOCAL, Sign.LOCAL)
    assert here.state == "closed"
    assert here.circuits.standing("m").failures == {"local": 2, "upstream": 2}


def test_a_provider_that_answers_wrongly_was_reached_all_the_same() -> None:
    here = Here()
    here.end(Sign.LOCAL, Sign.LOCAL, Sign.UPSTREAM, Sign.LOCAL)
    assert here.circuits.standing("m").failures == {"local": 1, "upstream": 1}


def test_a_success_ends_the_row_but_not_the_share_of_a_minute() -> None:
    here = Here()
    for _ in range(5):
        here.end(Sign.WELL, Sign.UPSTREAM)
    assert here.state == "closed", "half is not more than half"
    here.end(Sign.UPSTREAM)
    assert here.state == "open"


def test_what_is_older_than_the_window_does_not_count() -> None:
    here = Here()
    for _ in range(4):
        here.end(Sign.UPSTREAM, Sign.UPSTREAM, Sign.WELL)
        here.later(61)
    assert here.state == "closed"


@pytest.mark.parametrize("sign", [None, Sign.WELL])
def test_what_says_nothing_ill_never_opens_a_circuit(sign: Sign | None) -> None:
    here = Here()
    here.end(*[sign] * 100)
    assert here.state == "closed"


@pytest.mark.parametrize(("sign", "seconds"), [(Sign.DENIED, 30.0), (Sign.CREDIT, CREDIT_SECONDS)])
def test_a_refused_key_and_an_empty_account_open_at_once(sign: Sign, seconds: float) -> None:
    here = Here()
    here.end(sign)
    assert here.circuits.standing("m").opens_for == seconds
    here.later(seconds)
    assert here.state == "half_open"


def test_a_reload_forgives_what_it_may_have_mended_and_nothing_else() -> None:
    here = Here()
    here.end(Sign.DENIED, model="denied")
    here.end(*[Sign.LOCAL] * 3, model="gone")
    here.circuits.forgive()
    assert (here.circuits.state("denied"), here.circuits.state("gone")) == ("closed", "open")


def test_each_time_in_a_row_it_stays_open_longer_up_to_a_limit() -> None:
    here, times = opened(), []
    for _ in range(4):
        standing = here.circuits.standing("m")
        times.append(standing.opens_for)
        here.later(standing.opens_for)
        assert here.state == "half_open"
        here.end(Sign.UPSTREAM)
    assert times == [30.0, 60.0, 80.0, 80.0]


def test_a_circuit_that_was_closed_for_a_while_begins_anew() -> None:
    here = opened()
    here.later(30)
    here.end(Sign.WELL)
    here.later(59)
    here.end(*[Sign.LOCAL] * 3)
    assert here.circuits.standing("m").opens_for == 60.0
    here.later(60)
    here.end(Sign.WELL)
    here.later(60)
    here.end(*[Sign.LOCAL] * 3)
    assert here.circuits.standing("m").opens_for == 30.0


def test_what_began_before_it_opened_is_old_news() -> None:
    here = Here()
    long_ago = here.clock.now
    here.later(10)
    here.end(*[Sign.LOCAL] * 3)
    here.circuits.record("m", Sign.WELL, began=long_ago, outcome="ok")
    assert here.state == "open"
    here.later(30)
    here.circuits.record("m", Sign.LOCAL, began=long_ago, outcome="late")
    assert here.state == "half_open"


def test_a_success_through_an_open_circuit_closes_it() -> None:
    here = opened()
    here.later(1)
    here.end(Sign.WELL)
    assert here.state == "closed"


def test_one_probes_and_the_others_wait_until_it_is_over() -> None:
    here = opened()
    assert not here.circuits.due("m")
    here.later(30)
    assert here.circuits.due("m")
    here.circuits.begin_probe("m")
    assert not here.circuits.due("m")
    assert here.circuits.last("m")
    here.end(None)
    here.circuits.end_probe("m")
    assert here.circuits.due("m"), "it said nothing, so the next one probes"


def test_what_a_free_call_has_proven_is_on_trial() -> None:
    here = opened()
    here.later(30)
    here.circuits.proven("m")
    assert here.state == "closed"
    here.end(Sign.UPSTREAM)
    assert here.state == "open"
    assert here.circuits.standing("m").openings == 2


def test_a_circuit_tells_of_its_last_trouble_and_only_of_trouble() -> None:
    here = Here()
    here.end(Sign.LOCAL, Sign.WELL, None)
    told = here.circuits.standing("m").last_error
    assert told is not None
    assert (told.at, told.outcome) == (7.0, "local")
    assert here.circuits.standing("never seen").last_error is None


class Against(RuleBasedStateMachine):
    """The model keeps all ends since the circuit last closed, and reads off them what the state has to be."""

    @initialize()
    def begin(self) -> None:
        self.here = Here()
        self.ends: list[tuple[float, Sign]] = []
        self.opened_at: float | None = None
        self.before: list[float] = []

    def should_trip(self) -> bool:
        last = self.ends[-1][1]
        if last not in COUNTED:
            return True
        row = 0
        for _, sign in reversed(self.ends):
            if sign is Sign.WELL or (last is Sign.LOCAL and sign is Sign.UPSTREAM):
                break
            row += sign is last
        recent = [sign for at, sign in self.ends if at > self.here.clock.now - BREAKING.window and sign in SEEN]
        failed = recent.count(last)
        return row >= BREAKING.failures or (
            len(recent) >= BREAKING.calls and failed / len(recent) > BREAKING.percent / 100
        )

    @rule(seconds=st.sampled_from([0.5, 7.0, 29.5, 61.0]))
    def wait(self, seconds: float) -> None:
        self.here.later(seconds)

    @rule()
    def call_begins(self) -> None:
        self.before.append(self.here.clock.now)

    @rule(signs=st.lists(st.sampled_from((Sign.WELL, Sign.UPSTREAM)), min_size=4, max_size=12))
    def calls(self, signs: list[Sign]) -> None:
        for sign in signs:
            self.ended(sign, self.here.clock.now)

    @precondition(lambda self: self.before)
    @rule(sign=st.sampled_from(Sign), data=st.data())
    def call_ends(self, sign: Sign, data: st.DataObject) -> None:
        self.ended(sign, self.before.pop(data.draw(st.integers(0, len(self.before) - 1))))

    def ended(self, sign: Sign, began: float) -> None:
        state = self.here.state
        self.here.circuits.record("m", sign, began=began, outcome="x")
        if state == "closed":
            self.ends.append((self.here.clock.now, sign))
            if sign is not Sign.WELL and self.should_trip():
                self.opened_at = self.here.clock.now
        elif began < (self.opened_at or 0.0):
            assert self.here.state == state
        elif sign is Sign.WELL:
            self.opened_at, self.ends = None, [(self.here.clock.now, sign)]
        elif state == "half_open":
            self.opened_at = self.here.clock.now

    @rule()
    def probe(self) -> None:
        if self.here.circuits.due("m"):
            self.here.circuits.begin_probe("m")
            assert not self.here.circuits.due("m")
            self.here.circuits.end_probe("m")

    @invariant()
    def it_is_open_exactly_where_the_model_says(self) -> None:
        if not hasattr(self, "here"):
            return
        assert (self.here.state == "closed") is (self.opened_at is None)
        standing = self.here.circuits.standing("m")
        assert 0.0 <= standing.opens_for <= CREDIT_SECONDS
        if standing.state == "open":
            assert standing.opens_for > 0


SEEN = (*COUNTED, Sign.WELL)

TestAgainstAModel = Against.TestCase
TestAgainstAModel.settings = settings(stateful_step_count=60, deadline=None)
