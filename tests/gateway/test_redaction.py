"""Whatever is secret is taken out of every string of the log, whoever put it there."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.telemetry.redaction import HIDDEN, VEIL, Redactor, Veil, secrets_of
from tests.configurations import loaded

CANARY = "Zq8Wm2Kx7Rt4Vb9N"


def scrubbed(text: str, *secrets: str) -> str:
    redactor = Redactor()
    redactor.learn(secrets)
    return redactor.scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        f"key sk-{CANARY} refused",
        f"key sk-proj-{CANARY}-{CANARY}",
        f"a client's ig_{CANARY}",
        f"Bearer {CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"'authorization': 'Basic {CANARY}='",
        f"{{'api-key': '{CANARY}'}}",
        f'{{"x-api-key": "{CANARY}"}}',
        f"[(b'authorization', b'Bearer {CANARY}'), (b'api-key', b'{CANARY}')]",
        f"api_key={CANARY}&n=1",
        f"apiKey: {CANARY}",
        f"api_key: {CANARY.lower()}abcdefgh",
        f"X-Api-Key: {CANARY}",
        f"admin_key: {CANARY}",
        f"password={CANARY}",
        f"client_secret: {CANARY}",
        f"https://user:{CANARY}@example.com/x",
        f"redis://:{CANARY}@10.0.0.1:6379/0",
        f"https://{CANARY}@example.com/x",
        f"/v1/images/files/a.png?exp=1&sig={CANARY}",
        f"https://b.s3.amazonaws.com/x?X-Amz-Signature={CANARY}&X-Amz-Credential={CANARY}",
        f"https://x.blob.core.windows.net/c/b?sv=2024&amp;sig={CANARY}%3D",
        f"https://storage.googleapis.com/b/o?GoogleAccessId=me&Signature={CANARY}",
        f"https://cdn.example/x.png?token={CANARY}",
        f"wss://h/?key={CANARY}#x",
        f"AKIA{CANARY.upper()}",
        f"AIza{CANARY}{CANARY}",
        f"eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}",
        f"data:image/png;base64,{CANARY}",
        f"data:image/svg+xml;charset=utf-8;base64,{CANARY}==",
        "x " + base64.b64encode(CANARY.encode() * 20).decode(),
        "x " + CANARY * 13,
        "\n".join((CANARY * 5)[:76] for _ in range(5)),
        "\\n".join((CANARY * 5)[:76] for _ in range(5)),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    assert CANARY.lower() not in scrubbed(text).lower()


@pytest.mark.parametrize(
    "text",
    [
        "POST /v1/images/generations 200",
        "req_0123456789abcdef0123456789abcdef",
        "gen_0123456789abcdef0123456789abcdef of task-queue-number-one",
        "attempt failed: up not_sent:refused: the provider cannot be reached (connection refused)",
        'c.yaml:3: providers.x.secret_key: unknown key for type "openai"; accepted: type, api_key, timeout_seconds',
        "c.yaml:3: providers.x.api_key: the secret is empty, or holds a space",
        "size: '64' is not a size; accepted: auto, WxH or W:H",
        "http://127.0.0.1:8000/v1/models?schema=true",
        "the disk-backed risk-assessment",
        'File "/srv/gateway/x.py", line 3, in f',
    ],
)
def test_what_is_none_is_left_as_it_is(text: str) -> None:
    assert scrubbed(text, "another-secret") == text


@pytest.mark.parametrize("secret", ["plain words", 'quo"ted\\back', "a+b/c=d&e", "(regex.*"])
def test_a_configured_secret_is_taken_out_however_it_is_written(secret: str) -> None:
    from urllib.parse import quote

    for written in (secret, json.dumps({"k": secret}), quote(secret, safe=""), f"x{secret}y"):
        assert secret not in scrubbed(written, secret)
        assert quote(secret, safe="") not in scrubbed(written, secret)


def test_the_longer_of_two_secrets_goes_as_a_whole() -> None:
    assert scrubbed("abcdefghij", "abcdef", "abcdefghij") == "[secret]"


def test_secrets_stay_secret_when_others_come() -> None:
    redactor = Redactor()
    redactor.learn(["first-secret"])
    redactor.learn(["second-secret"])
    assert "secret" not in redactor.scrub("first-secret second-secret").replace("[secret]", "")


def test_every_value_of_a_record_is_scrubbed() -> None:
    redactor = Redactor()
    redactor.learn([CANARY])
    value: dict[str, Any] = {
        CANARY: [CANARY, (CANARY, {CANARY})],
        "b": CANARY.encode(),
        "e": ValueError(CANARY),
        "n": 1,
    }
    assert CANARY not in str(redactor.scrubbed(value))
    assert redactor.scrubbed(value)["n"] == 1


PROMPT = "a red fox jumps over the frozen lake of Tampere, naïve — “oil on canvas”\n№ 7"


@pytest.mark.parametrize(
    "text",
    [
        f"the provider said: {PROMPT}",
        f"the provider said: {PROMPT[:30]}…",
        f"the provider said: …{PROMPT[-30:]}",
        json.dumps({"prompt": PROMPT}),
        json.dumps({"prompt": PROMPT}, ensure_ascii=False),
        repr(KeyError(PROMPT)),
    ],
)
def test_the_prompt_of_the_work_is_taken_out_whole_or_in_part(text: str) -> None:
    token = VEIL.set(Veil([PROMPT]))
    try:
        told = scrubbed(text)
    finally:
        VEIL.reset(token)
    assert not any(PROMPT[at : at + 16] in told for at in range(len(PROMPT) - 15))
    assert "[prompt]" in told
    assert scrubbed(text) == text, "elsewhere it is no secret"


def test_a_short_prompt_is_taken_out_as_a_whole() -> None:
    assert Veil(["a fox"]).over("no picture of a fox today") == "no picture of [prompt] today"


@pytest.mark.parametrize(
    ("quoted", "told"),
    [
        (PROMPT.upper(), "[prompt]"),
        (PROMPT[4:40].title(), "[prompt]"),
        ("Tampere", "[prompt]"),
        ("FROZEN", "[prompt]"),
        ("İstanbul and a fox", "İstanbul and a fox"),
    ],
)
def test_a_prompt_is_taken_out_in_capitals_and_by_its_words(quoted: str, told: str) -> None:
    assert (
        Veil([PROMPT]).over(f"no picture of {quoted}, says who is asked") == f"no picture of {told}, says who is asked"
    )


def test_one_word_alone_is_a_name_and_stays() -> None:
    veil = Veil(["a sketch of a lake"])
    assert veil.over("sketch") == "sketch"
    assert veil.over("no sketch of it") == "no [prompt] of it"


def test_whom_a_client_names_is_taken_out() -> None:
    veil = Veil(["a fox"], ("Canary-42", None, "id"))
    assert veil.over("user canary-42 is banned; Canary-421 is not, nor is id") == (
        "user [user] is banned; Canary-421 is not, nor is id"
    )


def test_every_secret_of_a_configuration_is_known(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        """
auth:
  admin_key: the-admin-key
  keys: [{name: a, key: the-client-key}, {name: b, key: "sha256:%s"}]
storage: {signing_key: the-signing-key-of-32-characters-xx}
providers:
  drawn: {type: sketch}
  x: {type: openai, base_url: "http://h", api_key: the-provider-key, headers: {x-team: "Token the-header-key"}}
models:
  picture: {routes: [{provider: drawn, model: sketch}]}
"""
        % ("0" * 64),
    )
    found = set(secrets_of(settings, {"AWS_SECRET_ACCESS_KEY": "the-key-of-the-bucket", "HOME": "/home/somebody-else"}))
    assert {
        "the-admin-key",
        "the-client-key",
        "the-signing-key-of-32-characters-xx",
        "the-provider-key",
        "Token the-header-key",
        "the-header-key",
        "the-key-of-the-bucket",
    } <= found
    assert not any("somebody" in each or "sha256" in each for each in found)


def test_a_secret_that_is_learnt_late_is_taken_out_of_words_that_were_harmless_before() -> None:
    redactor = Redactor()
    assert redactor.scrub("correct-horse") == "correct-horse"
    assert redactor.scrub("correct-horse") == "correct-horse"
    redactor.learn(["correct-horse"])
    assert redactor.scrub("correct-horse") == HIDDEN
