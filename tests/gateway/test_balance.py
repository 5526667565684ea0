"""Which address of a provider is next: the least busy of those that take work, and what is learned about them."""

from __future__ import annotations

from gateway.services.balance import Balance


def balance() -> tuple[Balance, list[float]]:
    now = [0.0]
    return Balance(clock=lambda: now[0]), now


NAMED = ("http://a", "http://b", "http://c")


def chosen(of: Balance) -> str:
    return of.choose(NAMED)[0]


def test_equals_take_turns() -> None:
    of, _ = balance()
    assert [chosen(of) for _ in range(6)] == [*NAMED, *NAMED]


def test_the_least_busy_is_next() -> None:
    of, _ = balance()
    with of.at("http://a"), of.at("http://b"), of.at("http://b"), of.at("http://c"), of.at("http://c"):
        assert chosen(of) == "http://a"
        with of.at("http://a"), of.at("http://a"):
            assert chosen(of) == "http://b"


def test_who_rests_or_is_not_ready_gets_nothing_while_another_takes_work() -> None:
    of, now = balance()
    of.rest("http://a", 5.0)
    assert of.told("http://b", ready=False)
    assert not of.told("http://b", ready=False)
    assert {chosen(of) for _ in range(5)} == {"http://c"}
    assert of.elsewhere(NAMED)
    of.rest("http://c", 1.0)
    assert not of.elsewhere(NAMED)
    assert chosen(of) in NAMED
    now[0] = 2.0
    assert chosen(of) == "http://c"
    now[0] = 6.0
    of.told("http://b", ready=True)
    assert {chosen(of) for _ in range(3)} == set(NAMED)


def test_one_address_alone_is_never_elsewhere() -> None:
    of, _ = balance()
    assert not of.elsewhere(NAMED[:1])


def test_a_name_with_several_addresses_is_one_provider_with_each_of_them() -> None:
    of, _ = balance()
    of.spread = {"http://a": ("http://10.0.0.1", "http://10.0.0.2")}
    assert of.expand(NAMED[:2]) == ["http://10.0.0.1", "http://10.0.0.2", "http://b"]
    assert [of.choose(NAMED[:1]) for _ in range(2)] == [
        ("http://10.0.0.1", "http://a"),
        ("http://10.0.0.2", "http://a"),
    ]
    of.told("http://10.0.0.1", ready=False)
    of.spread = {"http://a": ("http://10.0.0.2", "http://10.0.0.3")}
    of.keep(NAMED[:1])
    assert of.told("http://10.0.0.1", ready=False), "it was forgotten"
