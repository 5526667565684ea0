"""Whom connections and failures are counted for."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gateway.config.limits import Limits
from gateway.serving.addresses import client_address, counted
from gateway.serving.door import Door
from normalization.errors import Overloaded

PROXIES = tuple(ip_network(each) for each in ("10.0.0.0/8", "fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # no proxy of ours: whatever it says
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),  # the client wrote the first itself
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("fd00::1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, nonsense", "10.0.0.1"),
        ("10.0.0.1", "nonsense, 10.0.0.2", "10.0.0.2"),
    ],
)
def test_only_a_trusted_proxy_speaks_for_another(peer: str, forwarded: str, expected: str) -> None:
    assert client_address(peer, [forwarded], PROXIES) == expected


def test_a_header_that_the_proxy_adds_counts_and_not_the_one_that_the_client_wrote() -> None:
    assert client_address("10.0.0.1", ["203.0.113.9", "198.51.100.7"], PROXIES) == "198.51.100.7"
    assert client_address("10.0.0.1", ["203.0.113.9", "198.51.100.7, 10.0.0.2"], PROXIES) == "198.51.100.7"
    assert client_address("10.0.0.1", [], PROXIES) == "10.0.0.1"


def test_without_proxies_nobody_speaks_for_another() -> None:
    assert client_address("10.0.0.1", ["198.51.100.7"], ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("somewhere", "somewhere"),
    ],
)
def test_who_has_one_address_of_ipv6_has_all_of_its_network(address: str, expected: str) -> None:
    assert counted(address) == expected


def test_an_address_has_so_many_connections_and_another_its_own() -> None:
    door = Door(Limits(connections_per_address=2), PROXIES)
    entered = [door.enter("192.0.2.1"), door.enter("192.0.2.1")]
    with pytest.raises(Overloaded, match=r"limits\.connections_per_address") as refused:
        door.enter("192.0.2.1")
    assert refused.value.retry_after == 5
    with pytest.raises(Overloaded):
        door.enter("::ffff:192.0.2.1")
    door.enter("192.0.2.2")
    door.leave(entered[0])
    door.enter("192.0.2.1")


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.3.2.1", "fd00::7", None])
def test_this_machine_and_proxies_stand_for_many(peer: str | None) -> None:
    door = Door(Limits(connections_per_address=1, connections=5), PROXIES)
    for _ in range(5):
        door.enter(peer)
    with pytest.raises(Overloaded, match=r"limits\.connections\)"):
        door.enter(peer)


def test_what_has_left_leaves_nothing_behind() -> None:
    door = Door(Limits(), ())
    for number in range(500):
        door.leave(door.enter(f"192.0.2.{number % 250}"))
    assert (door.inside, dict(door._addresses)) == (0, {})
