"""Data URIs and URLs as somebody else spells them. What no URL may lead to is tried on sockets, in test_fetch."""

from __future__ import annotations

import base64

import pytest
from yarl import URL

from providers.fetch import Unfetchable, data_uri
from providers.urls import origin, parse

DATA = bytes(range(256)) + b"\xfb\xff\xfe!"
BASE64 = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"data:image/png;base64,{BASE64}",
        f"DATA:image/png;charset=utf-8;BASE64,{BASE64}",
        f"data:;base64,{BASE64}",
        "data:image/png;base64," + BASE64.rstrip("="),
        "data:image/png;base64," + base64.urlsafe_b64encode(DATA).decode(),
        "data:image/png;base64," + base64.urlsafe_b64encode(DATA).decode().rstrip("="),
        "data:image/png;base64," + base64.encodebytes(DATA).decode(),
        "data:image/png;base64," + base64.encodebytes(DATA).decode().replace("\n", "\r\n\t "),
        "data:image/png;base64," + BASE64.replace("=", "%3D").replace("+", "%2b").replace("/", "%2F"),
        "data:application/octet-stream," + "".join(f"%{byte:02X}" for byte in DATA),
    ],
)
def test_data_uri_is_read_in_every_spelling(text: str) -> None:
    assert data_uri(text, 1000) == DATA


@pytest.mark.parametrize("text", ["data:,", "data:;base64,", "data:image/png;base64,"])
def test_empty_data_uri_is_empty(text: str) -> None:
    assert data_uri(text, 0) == b""


def test_plain_data_uri_stands_for_itself() -> None:
    assert data_uri("data:text/plain,a+b;base64,c%2Cd", 100) == b"a+b;base64,c,d"


@pytest.mark.parametrize(
    "text",
    [
        *("data:;base64,AAA!", "data:;base64,A", "data:;base64,AAAAA", "data:;base64,AA=A", "data:;base64,A.AA"),
        *("data:;base64,AAAé", "data:;base64,A%4", "data:;base64,A%00AA", "data:,%zz", "data:,%", "data:,é"),
    ],
)
def test_what_does_not_decode_to_the_last_character_is_refused(text: str) -> None:
    with pytest.raises(Unfetchable) as raised:
        data_uri(text, 1000)
    assert raised.value.code == "encoding"


@pytest.mark.parametrize("text", ["", "data:", "data:image/png;base64", "http://a.example/", " data:,a", "datta:,a"])
def test_what_is_no_data_uri_is_refused(text: str) -> None:
    with pytest.raises(Unfetchable) as raised:
        data_uri(text, 1000)
    assert raised.value.code == "scheme"


@pytest.mark.parametrize(
    "text",
    [
        "data:;base64," + base64.b64encode(bytes(11)).decode(),
        "data:;base64," + "A" * 1_000_000,
        "data:;base64," + " " * 1_000_000,
        "data:," + "a" * 11,
        "data:," + "%41" * 11,
    ],
)
def test_size_is_checked_before_anything_is_decoded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> bytes:
        raise AssertionError("decoded too soon")

    monkeypatch.setattr("providers.urls.pybase64.b64decode", never)
    monkeypatch.setattr("providers.urls.unquote_to_bytes", never)
    with pytest.raises(Unfetchable) as raised:
        data_uri(text, 10)
    assert raised.value.code == "too_large"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 6, 10])
def test_limit_is_exact(size: int) -> None:
    data = bytes(size)
    texts = ["data:;base64," + base64.b64encode(data).decode(), "data:," + "%00" * size]
    for text in texts:
        assert data_uri(text, size) == data
        if size:
            with pytest.raises(Unfetchable):
                data_uri(text, size - 1)


def test_url_is_kept_to_the_letter() -> None:
    text = "https://a.example/x%2Fy/../z?sig=%2F%3D+%7e"
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("/x", "https://a.example/x"),
        ("x?y=%2F", "https://a.example/dir/x?y=%2F"),
        ("//b.example/x", "https://b.example/x"),
        ("http://b.example", "http://b.example"),
        ("", "https://a.example/dir/file?q"),
    ],
)
def test_place_is_read_relative_to_where_it_was_found(place: str, found: str) -> None:
    assert str(parse(place, URL("https://a.example/dir/file?q"))) == found


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://user@good.example/",
            "https://user:pass@good.example/",
            "https://@good.example/",
            "//a@good.example/",
        ),
        *("https://good%2eexample/", "https://%67ood.example/", "https://[2606:4700::1111%25eth0]/"),
        *("https://\uff18.8.8.8/", "https://8。8。8。8/", "https://①.1.1.1/", "https://2130706433\u200b/"),
        *(
            "https://good.example:\uff1443/",
            "https://good.example:+443/",
            "https://good.example:4_4_3/",
            "https://a:1:2/",
        ),
        *(
            "https://good.example/a b",
            "https://good.example/\t",
            "https:/\\good.example/",
            "https://good.example\\@evil/",
        ),
        *("https://good.example/\x7f", "https://good.example/\x85", "https://good.example/\u2028", "https:///path"),
        *("https://good.example/\ud800", "https://[::1", "https://::1]/", "https://good.example/" + "a" * 2048),
        *("https://[::1]@/", "https://[::1]a:b@/x"),
    ],
)
def test_spelling_that_another_parser_may_read_differently_is_refused(text: str) -> None:
    """Even where the host itself would be a good one."""
    for base in (None, URL("https://a.example/")):
        with pytest.raises(Unfetchable) as raised:
            parse(text, base)
        assert raised.value.code in ("host", "scheme")


def test_origin_spells_out_the_port_and_ignores_case() -> None:
    assert origin("HTTP://Worker.example/v1") == origin("http://worker.example:80") == ("http", "worker.example", 80)
    assert origin("https://worker.example") != origin("http://worker.example")
    assert origin(parse("https://[::1]:8443/x")) == ("https", "::1", 8443)
