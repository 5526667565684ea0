"""Signed names: good for exactly one picture, until exactly one time, under any key that still lives."""

from __future__ import annotations

import multiprocessing
import re
import stat
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from gateway.services.signing import MOST_SECONDS, Signer, key_from_text, load_or_make_key
from normalization.errors import ConfigurationError, StateUnavailable

NOW = 1_760_000_000.75
NAME = "0123456789abcdef0123456789abcdef.png"
KEY, NEXT_KEY = key_from_text("a"), key_from_text("b")


def signed(signer: Signer, name: str = NAME, now: float = NOW) -> tuple[str, str]:
    query = parse_qs(signer.sign(name, now), strict_parsing=True)
    assert set(query) == {"exp", "sig"}
    return query["exp"][0], query["sig"][0]


def test_a_signed_name_is_good_until_it_expires_and_not_a_second_longer() -> None:
    signer = Signer([KEY], ttl=3600)
    exp, sig = signed(signer)
    assert exp == "1760003600"
    assert signer.verify(NAME, exp, sig, NOW)
    assert signer.verify(NAME, exp, sig, 1_760_003_599.9)
    assert not signer.verify(NAME, exp, sig, 1_760_003_600.0)


def test_the_query_needs_no_escaping_and_is_short() -> None:
    signer = Signer([KEY], ttl=3600)
    for second in range(200):
        assert re.fullmatch(r"exp=[0-9]{10}&sig=[A-Za-z0-9_-]{22}", signer.sign(NAME, NOW + second))


def test_every_change_of_a_signed_name_is_noticed() -> None:
    signer = Signer([KEY], ttl=3600)
    exp, sig = signed(signer)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = {sig[:i] + letter + sig[i + 1 :] for i in range(len(sig)) for letter in letters} - {sig}
    assert not any(signer.verify(NAME, exp, each, NOW) for each in changed)
    assert not any(signer.verify(NAME, str(int(exp) + by), sig, NOW) for by in (-1, 1, 10))
    assert not signer.verify(NAME.replace(".png", ".jpg"), exp, sig, NOW)
    assert not signer.verify("f" + NAME[1:], exp, sig, NOW)


@pytest.mark.parametrize("exp", ["", "0", "-1", "+1760003600", " 1760003600", "1_760_003_600", "1e9", "01760003600"])
def test_a_time_that_we_would_not_write_is_refused_even_when_signed(exp: str) -> None:
    from gateway.services import signing

    signer = Signer([KEY], ttl=3600)
    [(key, key_id)] = signer._keys
    sig = signing._signature(key, key_id, NAME, exp).decode()
    assert not signer.verify(NAME, exp, sig, 0.0)


@pytest.mark.parametrize("text", ["", "x", "\ud800", "é", "\0", "=" * 22, "A" * 100_000])
def test_no_text_makes_verifying_fail(text: str) -> None:
    signer = Signer([KEY], ttl=3600)
    exp, sig = signed(signer)
    assert not signer.verify(NAME, exp, text, NOW)
    assert not signer.verify(NAME, text, sig, NOW)
    assert not signer.verify(text, exp, sig, NOW)


def test_parts_cannot_be_shifted_between_name_and_time() -> None:
    signer = Signer([KEY], ttl=3600)
    exp, sig = signed(signer)
    assert not signer.verify(NAME + exp[0], exp[1:], sig, NOW)
    assert not signer.verify(f"{NAME}\0{exp}", "", sig, NOW)


def test_an_old_keys_links_live_on_while_the_new_one_signs() -> None:
    old, both, new = Signer([KEY], 3600), Signer([NEXT_KEY, KEY], 3600), Signer([NEXT_KEY], 3600)
    assert both.verify(NAME, *signed(old), NOW)
    assert new.verify(NAME, *signed(both), NOW)
    assert not new.verify(NAME, *signed(old), NOW)
    assert not old.verify(NAME, *signed(both), NOW)


def test_no_link_lives_longer_than_a_week() -> None:
    signer = Signer([KEY], ttl=MOST_SECONDS)
    exp, sig = signed(signer)
    assert signer.verify(NAME, exp, sig, NOW)
    assert not signer.verify(NAME, exp, sig, NOW - 3600)
    assert signer.verify(NAME, exp, sig, NOW - 30), "another process's clock may be ahead"
    with pytest.raises(ConfigurationError, match="url_ttl_seconds: 604801 "):
        Signer([KEY], ttl=MOST_SECONDS + 1)
    with pytest.raises(ConfigurationError, match="url_ttl_seconds: 0 "):
        Signer([KEY], ttl=0)


@pytest.mark.parametrize("keys", [[], [b""], [KEY, b""]])
def test_without_a_key_there_is_no_signer(keys: list[bytes]) -> None:
    with pytest.raises(ConfigurationError, match="signing_key"):
        Signer(keys, ttl=3600)


def test_a_configured_key_is_the_same_wherever_it_is_configured() -> None:
    assert key_from_text("correct horse") == key_from_text("correct horse")
    assert key_from_text("correct horse") != key_from_text("correct horse ")
    assert len(key_from_text("x")) == 32


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    key = load_or_make_key(data_dir)
    assert len(key) == 32
    assert load_or_make_key(data_dir) == key
    assert load_or_make_key(tmp_path / "other") != key
    assert [path.name for path in data_dir.iterdir()] == ["signing.key"]
    assert stat.S_IMODE((data_dir / "signing.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(load_or_make_key, [tmp_path] * 32, chunksize=1)
    assert len(set(keys)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["signing.key"]


def test_who_loses_the_race_takes_the_winners_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = load_or_make_key(tmp_path)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert load_or_make_key(tmp_path) == key
    assert [path.name for path in tmp_path.iterdir()] == ["signing.key"]


@pytest.mark.parametrize("text", [b"", b"short", b"g" * 64, b"a" * 65])
def test_a_file_that_holds_no_key_is_not_taken_for_one(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "signing.key").write_bytes(text)
    with pytest.raises(ConfigurationError, match="not a signing key"):
        load_or_make_key(tmp_path)


def test_a_place_without_room_for_a_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnavailable, match=re.escape(str(tmp_path / "file" / "signing.key"))):
        load_or_make_key(tmp_path / "file")
