"""apiframe's webhooks: the signature is over the raw bytes, made with a key that derives from the API key."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from providers.apiframe import Apiframe
from providers.base import Notifying, Options
from tests.providers.conversing import call_of, first

KEY = "afk_0000000000000000000000000000000000000000"
BODY = b'{ "event":"completed" ,"jobId" :"a1b2-c3", "status":"COMPLETED","creditCost": 1e1 }\n'

APIFRAME = Apiframe(Options(name="p"))


def signature(body: bytes, key: str = KEY, *, spelled: str = "bytes") -> str:
    digest = hashlib.sha256(key.encode())
    secret = digest.digest() if spelled == "bytes" else digest.hexdigest().encode()
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def noticed(body: bytes, header: str | None) -> str | None:
    return APIFRAME.notice({} if header is None else {"x-webhook-signature": header}, body, KEY)


def test_the_adapter_can_be_told() -> None:
    assert isinstance(APIFRAME, Notifying)


@pytest.mark.parametrize("spelled", ["bytes", "hex"])
@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_both_readings_of_the_signing_key_are_taken_with_and_without_prefix(spelled: str, prefix: str) -> None:
    assert noticed(BODY, prefix + signature(BODY, spelled=spelled)) == "a1b2-c3"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        "not-hex",
        "sha256=" + "0" * 64,
        "sha512=" + signature(BODY),
        signature(BODY)[:-2],
        signature(BODY) + "00",
        signature(BODY, "another-key"),
        signature(BODY + b" "),
        "\u0660" * 64,
        hmac.new(KEY.encode(), BODY, hashlib.sha256).hexdigest(),
    ],
)
def test_any_other_signature_names_no_job(header: str | None) -> None:
    assert noticed(BODY, header) is None


def test_a_body_written_anew_is_another_body() -> None:
    assert noticed(BODY.replace(b" ", b""), signature(BODY)) is None


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"jobId": 7}', b'{"jobId": ".."}', b'{"jobId": "a/b"}', b"{", b"\xff"]
)
def test_a_signed_body_without_a_job_names_none(body: bytes) -> None:
    assert noticed(body, signature(body)) is None


def test_the_provider_is_asked_to_tell_only_where_it_has_an_address() -> None:
    told = Apiframe(Options(name="p", webhook_url="https://images.example.com/webhooks/p"))
    sent = first(told, call_of(told, "flux-2-max")).json
    assert sent is not None
    assert sent["webhookUrl"] == "https://images.example.com/webhooks/p"
    assert sent["webhookEvents"] == ["completed", "failed"]
    silent = first(APIFRAME, call_of(APIFRAME, "flux-2-max")).json
    assert silent is not None
    assert not {"webhookUrl", "webhookEvents"} & set(silent)
