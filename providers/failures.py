"""What a provider's refusal or failure means: one table from status, words and code to `Failed`.

The messages are ours and name the kind of trouble. What the provider wrote goes to `detail`, for the operator's log
alone, cut and with everything removed that looks like a key, an address or a picture. A worker of the operator's own
is the exception: what it says of an invalid request the client is told (`flux_worker.refusals`).

`refused` says that the provider did no work for the submission, so that another route may try. A 4xx is a refusal by
definition (RFC 9110 section 15.5); a 5xx after a complete request may follow work that was done and charged.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from normalization.errors import (
    BadUpstreamResponse,
    ImagegateError,
    InsufficientProviderCredit,
    ModerationBlocked,
    OutcomeUnknown,
    RejectedByProvider,
    UpstreamAuth,
    UpstreamBusy,
    UpstreamUnavailable,
)
from normalization.parameters import BY_NAME
from providers.base import Failed, Traits, WireReply
from providers.replies import mapping, read_object, sequence, text
from providers.waits import retry_after

DETAIL_MOST = 500
"""Characters of a provider's own words that the operator's log keeps."""

READ_MOST = 2000
"""Characters of a provider's own words that are looked at."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a provider says of its trouble, in its own words: for deciding, never for the client."""

    said: str = ""
    codes: tuple[str, ...] = ()
    """Its machine words, lower case: code and type."""
    param: str | None = None
    """The field that it names, the last part of its path."""


MODERATION_CODES: Final = frozenset(
    {
        "content_filter",
        "content_filtered",
        "content_moderation",
        "content_policy_violation",
        "moderation_blocked",
        "moderation_failed",
        "nsfw_content",
        "responsibleaipolicyviolation",
        "safety_violations",
    }
)
CREDIT_CODES: Final = frozenset(
    {
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_balance",
        "insufficient_credit",
        "insufficient_credits",
        "insufficient_funds",
        "insufficient_quota",
        "insufficient_user_quota",
        "payment_required",
    }
)
STATUS_OF_CODE: Final[Mapping[str, int]] = {
    **dict.fromkeys(("bad_request", "invalid_parameter", "invalid_request", "invalid_request_error"), 400),
    **dict.fromkeys(("invalid_prompt", "invalid_value", "invalid_type", "unknown_parameter", "validation_error"), 400),
    **dict.fromkeys(("authentication_error", "invalid_api_key", "unauthorized"), 401),
    **dict.fromkeys(("forbidden", "permission_denied", "permission_error"), 403),
    **dict.fromkeys(("model_not_found", "not_found", "not_found_error"), 404),
    **dict.fromkeys(("rate_limit_error", "rate_limit_exceeded", "too_many_requests"), 429),
    **dict.fromkeys(("api_error", "internal_error", "internal_server_error", "server_error"), 500),
}
"""Words that stand for a status where the status itself says nothing: an error inside a 200."""

# Narrower than a single word: "moderation", "safety_tolerance" and "enable_safety_checker" are also parameters that a
# refusal may be about. The Chinese words are what UCloud and other providers in China write.
MODERATION: Final = re.compile(
    r"nsfw|flagged|moderated|inappropriate content|sensitive (content|words?|information)"
    r"|content[ _-]?(policy|filter|moderation)|usage polic|violat\w*\b.{0,60}\bpolic|against .{0,30}\bpolic"
    r"|(fail\w*|block\w*|reject\w*|refus\w*|stop\w*|trigger\w*)\b.{0,40}\b(moderation|safety|content polic)"
    r"|(moderation|safety)[ _-](system|filter|guideline|polic\w*|check|violation)s?\b"
    r"|safety checker (found|detected|blocked|rejected|triggered)|敏感|违规|审核",
    re.IGNORECASE,
)
MODERATION_OF_A_JOB: Final = re.compile(r"policy|moderat|nsfw|safety|flagged", re.IGNORECASE)
"""For the reason of a job that failed after its parameters were accepted: there a single word says enough."""

CREDIT: Final = re.compile(
    r"\bcredits?\b|\bquota\b|(insufficient|account|your|low) (balance|funds)|budget has been exceeded"
    r"|balance .{0,20}(insufficient|too low|not enough)|payment required|\bbilling\b|余额|欠费",
    re.IGNORECASE,
)
CREDIT_OF_429: Final = re.compile(r"\bbilling\b|\bcredits?\b|insufficient (balance|funds)|余额|欠费", re.IGNORECASE)
"""A 429 that speaks of a quota is mostly one per minute, and passes; these words are about money."""

_STATUS_AS_CODE = re.compile("[45][0-9][0-9]")
_MODERATING_STATUSES: Final = frozenset({200, 400, 403, 409, 422, 451})
_CREDIT_STATUSES: Final = frozenset({200, 400, 403, 422})
_CONFIGURATION: Final = frozenset({404, 405, 410})
_UNDECIDED: Final = frozenset({408, 409, 499})
"""4xx that do not say whether the work was done: a timeout, and a conflict with an earlier copy of the same request."""


def failure(reply: WireReply, traits: Traits, *, said: Complaint | None = None) -> Failed:
    """What a reply without a picture means: any reply but a 2xx, or a 2xx that holds an error.

    `said` is the provider's complaint where the adapter found it in a place of its own.
    """
    complaint = complaint_of(reply) if said is None else said
    detail = f"HTTP {reply.status} {redacted(' '.join((*complaint.codes, complaint.said)))}".strip()
    status = _status(reply.status, complaint)
    found = _by_words(status, complaint, detail)
    return found or _by_status(status, reply, traits, complaint, detail)


def bad_response(why: str, reply: WireReply, traits: Traits) -> Failed:
    """A reply that cannot be read: what was bought, if anything, is unknown. `why` is for the operator."""
    error = BadUpstreamResponse(
        "the provider's answer could not be read; whether it made a picture is unknown",
        detail=f"HTTP {reply.status}, {why}: {redacted(reply.body[:DETAIL_MOST].decode('utf-8', 'replace'))}",
    )
    return Failed(error, refused=not traits.billable, outcome="bad_upstream_response")


def moderated(detail: str) -> Failed:
    error = ModerationBlocked(
        "the provider refused the prompt or its result for its content; change the prompt", detail=detail
    )
    return Failed(error, refused=True, outcome="moderation_blocked")


def rejected(complaint: Complaint, detail: str) -> Failed:
    """The request is invalid to the provider, which may name one of our parameters."""
    about = parameters_named(complaint)
    hint = f"; it seems to be about {' and '.join(about)}" if about else ""
    error = RejectedByProvider(f"the provider refused the request as invalid{hint}", detail=detail)
    return Failed(error, refused=True, outcome="rejected_by_provider")


def _by_words(status: int, complaint: Complaint, detail: str) -> Failed | None:
    codes, said = frozenset(complaint.codes), complaint.said
    if codes & MODERATION_CODES or (status in _MODERATING_STATUSES and MODERATION.search(said)):
        return moderated(detail)
    credit = CREDIT_OF_429 if status == 429 else CREDIT
    if status == 402 or codes & CREDIT_CODES or (status in _CREDIT_STATUSES | {429} and credit.search(said)):
        error = InsufficientProviderCredit("the account at the provider has no credit left", detail=detail)
        return Failed(error, refused=True, outcome="insufficient_provider_credit")
    return None


def _by_status(status: int, reply: WireReply, traits: Traits, complaint: Complaint, detail: str) -> Failed:
    wait = retry_after(reply.headers, time.time())
    error: ImagegateError
    if status in (401, 403):
        error = UpstreamAuth("the provider refused the gateway's own credentials", detail=detail)
        return Failed(error, refused=True, outcome="upstream_auth")
    if status in _CONFIGURATION:
        error = UpstreamAuth("the provider does not know the model or the address configured for it", detail=detail)
        return Failed(error, refused=True, outcome="upstream_config")
    if status in (425, 429):
        error = UpstreamBusy("the provider is busy; try again later", detail=detail, retry_after=wait)
        return Failed(error, refused=True, outcome="upstream_busy")
    if status == 503 and traits.s503_means_refused:
        error = UpstreamUnavailable("the provider is unavailable; try again later", detail=detail, retry_after=wait)
        return Failed(error, refused=True, outcome="upstream_unavailable")
    if status >= 500 or status in _UNDECIDED:
        # Where nothing is charged, nothing can be bought twice: the next route may make the picture.
        error = OutcomeUnknown(
            "the provider failed; whether it made a picture is unknown", detail=detail, retry_after=wait
        )
        return Failed(error, refused=not traits.billable, outcome="outcome_unknown")
    if status >= 400:
        return rejected(complaint, detail)
    why = "an error without a known code" if status == 200 else "an unexpected status"
    return bad_response(why, reply, traits)


def _status(status: int, complaint: Complaint) -> int:
    """The status that counts: an error inside a 2xx may say a better one, as a number or as a word."""
    if not 200 <= status < 300:
        return status
    for code in complaint.codes:
        if _STATUS_AS_CODE.fullmatch(code):
            return int(code)
        if code in STATUS_OF_CODE:
            return STATUS_OF_CODE[code]
    return 200


def complaint_of(reply: WireReply) -> Complaint:
    """The complaint in a reply's body: OpenAI's envelope, FastAPI's `detail`, a bare message, or plain text."""
    body = read_object(reply.body)
    if body is None:
        plain = reply.body[:READ_MOST].decode("utf-8", "replace").strip()
        # HTML is a proxy's page: its words are about itself, not about the request.
        return Complaint() if plain.startswith("<") else Complaint(plain)
    return complaint_in(body)


def complaint_in(body: Mapping[str, Any]) -> Complaint:
    """The complaint in a JSON object, in any of the envelopes in use."""
    error = body.get("error")
    if isinstance(error, dict):
        said = text(error.get("message")) or text(error.get("detail")) or text(error.get("msg")) or ""
        return Complaint(said[:READ_MOST], _codes(error), _last(error.get("param")))
    inner = mapping(body.get("errorData"))  # 1min.ai
    if text(inner.get("message")):
        return Complaint(str(inner["message"])[:READ_MOST], (*_codes(body), *_codes(inner)))
    first = mapping(next(iter(sequence(body.get("errors"))), None))
    detail = body.get("detail")
    listed = mapping(next(iter(sequence(detail)), None)) or first or mapping(detail)
    for words in (error, body.get("message"), detail, body.get("msg"), listed.get("msg"), listed.get("message")):
        if text(words):
            return Complaint(str(words)[:READ_MOST], (*_codes(body), *_codes(listed)), _last(listed.get("loc")))
    return Complaint("", _codes(body))


def _codes(error: Mapping[str, Any]) -> tuple[str, ...]:
    found = (error.get("code"), error.get("type"))
    return tuple(str(code).strip().lower() for code in found if isinstance(code, str | int) and str(code).strip())


def _last(path: Any) -> str | None:
    """The last name of a field's path, written `a.b` or as FastAPI's list."""
    if isinstance(path, list):
        path = next((part for part in reversed(path) if isinstance(part, str)), None)
    return path.rsplit(".", 1)[-1] if isinstance(path, str) and path else None


_QUOTED = re.compile(r"['\"`]([a-z_.]{1,64})['\"`]|\b([a-z]+(?:_[a-z]+)+)\b")


def parameters_named(complaint: Complaint) -> tuple[str, ...]:
    """Those of our own parameters that a complaint names, by our names or their known synonyms; at most three.

    Single words count in quotes only: "size" or "style" alone may be plain English.
    """
    words = [complaint.param or ""]
    words += [(quoted or compound).rsplit(".", 1)[-1] for quoted, compound in _QUOTED.findall(complaint.said)]
    ours = [BY_NAME[word].name for word in words if word in BY_NAME]
    return tuple(dict.fromkeys(ours))[:3]


_SECRETS = re.compile(
    r"(?P<address>[a-z][a-z0-9+.-]{1,20}://\S+|data:[^\s,]{0,80},\S*)"
    r"|(?P<told>(?:key|token|secret|password|credentials?|authorization|bearer|basic)\b['\"]?"
    r"(?:\s+(?:provided|given|is|was))?\s*[:=\s]\s*['\"]?(?:(?:bearer|basic)\s+)?)(?P<value>[^\s'\",}]{6,})"
    r"|(?P<token>[A-Za-z0-9+/_=-]{20,})",
    re.IGNORECASE,
)


def redacted(words: str) -> str:
    """Words fit for a log: at most `DETAIL_MOST` characters on one line, without addresses, keys and base64."""
    return " ".join(_SECRETS.sub(_mask, words[:READ_MOST]).split())[:DETAIL_MOST]


def _mask(found: re.Match[str]) -> str:
    if found["address"]:
        return "<address>"
    if found["told"]:
        # "key" is also an English word: without a colon, what follows is hidden only where it could be one.
        secret = ":" in found["told"] or "=" in found["told"] or re.search(r"[0-9*_-]", found["value"])
        return found["told"] + ("<hidden>" if secret else found["value"])
    token = found["token"]
    digits = sum(letter.isdigit() for letter in token)
    return "<hidden>" if digits >= 3 or len(token) >= 40 else token
