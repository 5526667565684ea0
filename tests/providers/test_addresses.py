"""Which hosts and addresses a foreign URL may lead to."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from providers.addresses import METADATA, Network, embedded, host_of, standing


def literals(text: str) -> list[str]:
    return text.split()


PUBLIC = literals("""
    1.0.0.1 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.215.14 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.1 192.0.3.1 192.88.98.1
    192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.1 203.0.112.1 203.0.114.1 223.255.255.255
    2001:200::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 2620:fe::fe 2a00:1450:4001:830::200e 3ffe::1
    ::ffff:8.8.8.8 64:ff9b::808:808
""")

BLOCKED = literals("""
    0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.0.0.1 10.255.255.255 100.64.0.0 100.64.0.1 100.127.255.255
    127.0.0.0 127.0.0.1 127.1.2.3 127.255.255.255 169.254.0.0 169.254.1.1 169.254.255.255 172.16.0.0 172.16.0.1
    172.31.255.255 192.0.0.0 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.0 192.168.1.1 192.168.255.255
    198.18.0.0 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
    :: ::1 ::2 ::7f00:1 ::127.0.0.1 ::808:808 ::ffff:0.0.0.0 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1
    ::ffff:169.254.1.1 ::ffff:192.168.1.1 ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 100::1 100:0:0:1::1
    64:ff9b::7f00:1 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::192.168.0.1 64:ff9b::c0a8:1 64:ff9b::0
    64:ff9b:1::7f00:1 64:ff9b:1:7f00:0:100:: 64:ff9b:1::808:808 64:ff9b:2::1
    2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff::1
    2001:db8::1 2001:db8:ffff::1 2002:7f00:1:: 2002:7f00:0001::1 2002:808:808::1 2002:c0a8:101::1 3fff::1 3fff:fff::1
    1fff::1 4000::1 5f00::1 fc00::1 fd00::1 fd12:3456:789a::1 fe80::1 fe80::1%1 febf::1 fec0::1 ff02::1 ff0e::1
""")

EVERYTHING: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def test_the_table_is_tried_with_more_than_ninety_literals() -> None:
    assert len({*PUBLIC, *BLOCKED}) >= 90


@pytest.mark.parametrize("literal", PUBLIC)
def test_public_address_may_be_led_to(literal: str) -> None:
    assert standing(ip_address(literal)) == "public"


@pytest.mark.parametrize("literal", BLOCKED)
def test_special_address_is_blocked(literal: str) -> None:
    assert standing(ip_address(literal)) == "blocked"


@pytest.mark.parametrize(
    ("literal", "network"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("10.1.2.3", "10.0.0.0/8"),
        ("fd12::1", "fd12::/16"),
        ("::1", "::1/128"),
        ("::ffff:127.0.0.1", "127.0.0.0/8"),
        ("64:ff9b::10.1.2.3", "10.0.0.0/8"),
        ("64:ff9b:1::1", "64:ff9b:1::/48"),
    ],
)
def test_operator_opens_a_network_and_nothing_beside_it(literal: str, network: str) -> None:
    assert standing(ip_address(literal), [ip_network(network)]) == "opened"
    assert standing(ip_address("192.168.7.7"), [ip_network(network)]) == "blocked"


def test_public_address_stays_public_beside_opened_networks() -> None:
    assert standing(ip_address("8.8.8.8"), [ip_network("127.0.0.0/8")]) == "public"


@pytest.mark.parametrize("address", sorted(METADATA, key=str), ids=str)
def test_metadata_service_is_blocked_even_when_everything_is_opened(address: IPv4Address | IPv6Address) -> None:
    assert standing(address, EVERYTHING) == "blocked"


@pytest.mark.parametrize(
    "literal",
    [
        "::ffff:169.254.169.254",
        "::ffff:0:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:a9:fe:a9fe::",
        "64:ff9b:1:0:a9:fea9:fe00:0",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:0:102:304::5601:5601",
        "fe80::a9fe:a9fe%eth0",
    ],
)
def test_metadata_service_in_disguise_is_blocked_even_when_everything_is_opened(literal: str) -> None:
    assert standing(ip_address(literal), EVERYTHING) == "blocked"


def test_ordinary_ipv6_address_embeds_nothing() -> None:
    assert embedded(IPv6Address("2606:4700:4700::1111")) == ()


@pytest.mark.parametrize(
    "name", ["example.com", "xn--bcher-kva.example", "a", "a-b.c1", "1.example", "0x.com", "localhost"]
)
def test_names_of_letters_digits_and_hyphens_are_hosts(name: str) -> None:
    assert host_of(name.upper()) == name


@pytest.mark.parametrize("literal", ["8.8.8.8", "127.0.0.1", "::1", "2001:4860:4860::8888", "::ffff:127.0.0.1"])
def test_address_in_plain_form_is_an_address(literal: str) -> None:
    assert host_of(literal) == ip_address(literal)


@pytest.mark.parametrize(
    "spelling",
    [
        *("2130706433", "0x7f000001", "0X7F000001", "0177.0.0.1", "127.1", "127.0.1", "0", "0x0", "017700000001"),
        *("0x7f.1", "0x7f.0.0.1", "127.0.0.0x1", "127.0.0.1.", "127.0.0.256", "1.2.3.4.5", "4294967296", "0x"),
        *(
            "127.000.000.001",
            "①②⑦.0.0.1",
            "\uff11\uff12\uff17.0.0.1",
            "127。0。0。1",
            "example.com.",
            "example.com..",
            ".",
            "",
        ),
        *("a..b", "-a.com", "a-.com", "a_b.com", "a b.com", "a%2eb.com", "bücher.example", "a\x00.com", "a/b", "a@b"),
        *("fe80::1%eth0", "::1%25lo", "[::1]", "::g", "1:2:3", "::ffff:127.1", "a" * 64 + ".com", "a." * 127 + "com"),
    ],
)
def test_spelling_that_two_parsers_may_read_differently_is_no_host(spelling: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        host_of(spelling)


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0"])
def test_system_resolver_would_have_taken_the_number_for_an_address(spelling: str) -> None:
    """Why `host_of` is strict: the C library reads these as addresses of this machine."""
    assert socket.getaddrinfo(spelling, 80, proto=socket.IPPROTO_TCP, family=socket.AF_INET)
