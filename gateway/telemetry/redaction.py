"""What must never be read in a log, taken out of every string on its way there.

This is the second line. The first is that nothing secret is handed to a logger; but providers quote what they were
sent, libraries put URLs into exceptions, and tracebacks quote everything. So every string is looked at for the secrets
that are configured, for what looks like a secret, a signature or a picture, and for the prompt of the work at hand.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, unquote

from pydantic import BaseModel, SecretStr

from gateway.config.fields import DIGEST

HIDDEN: Final = "[secret]"
SIGNATURE: Final = "[signature]"
PICTURE: Final = "[base64]"
PROMPT: Final = "[prompt]"
USER: Final = "[user]"

LITERAL_LEAST: Final = 6
"""Characters of a configured secret that is looked for; taking out shorter ones would leave nothing readable."""
WINDOW: Final = 16
"""Characters in a row that give a prompt away; a shorter prompt is looked for as a whole."""
PROMPT_LEAST: Final = 4
CLEAN_LENGTH: Final = 64
CLEAN_MOST: Final = 1000
"""Texts that are remembered to hold no secret, of at most so many characters: most lines are made of the same words."""
_WORD: Final = re.compile(r"\w{6,}")
"""Words of a prompt that are taken out wherever they stand in a sentence; shorter ones stand in every sentence."""
_INSTEAD: Final = frozenset({"prompt", "secret", "signature", "base64"})

_ENVIRONMENT = re.compile(r"SECRET|TOKEN|PASSWORD|API_?KEY|ACCESS_KEY|CREDENTIAL|ACCOUNT_KEY")
_ENVIRONMENT_LEAST = 16

_VALUE = r"[^\s\"',;&}]"
_NAMED = r"(?:(?:api|admin|signing|access|secret|private|account)[-_]?(?:key|token)|password|passwd|secret|token)"
_SIGNED = (
    r"sig|signature|x-amz-[a-z-]*|x-goog-[a-z-]*|awsaccesskeyid|googleaccessid|policy|key-pair-id|token|key|api_key|"
    r"apikey|access_token|code|secret|password"
)
_LOOKS: Final = (
    # Pictures: data: URIs, and long base64, in one line or wrapped as in mails.
    (r"(data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,)[A-Za-z0-9+/_=%-]+", rf"\1{PICTURE}"),
    (r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{200,}={0,2}", PICTURE),
    (r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{60,}(?:\\r|\\n|\s){1,4}){3,}[A-Za-z0-9+/]*={0,2}", PICTURE),
    # Headers and settings that say what they hold; after a colon also stands what is wrong with a setting, in words.
    (rf"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=,]\s*(?:b?[\"'])?)(?:[a-z]+ +)?{_VALUE}+", rf"\1{HIDDEN}"),
    (rf"(?i)(?<![A-Za-z])({_NAMED}[\"']?\s*=\s*(?:b?[\"'])?){_VALUE}+", rf"\1{HIDDEN}"),
    (rf"(?i)(?<![A-Za-z])({_NAMED}(?:[\"']\s*[:,]|:)\s*b?[\"']){_VALUE}+", rf"\1{HIDDEN}"),
    (rf"(?i)(?<![A-Za-z])({_NAMED}:\s*)(?=[^\s]{{16}}|(?-i:[^\s]*[0-9A-Z])){_VALUE}+", rf"\1{HIDDEN}"),
    (r"(?i)\b(bearer|basic) +[A-Za-z0-9._~+/=-]{6,}", rf"\1 {HIDDEN}"),
    # URLs: who comes, and the proof that they may.
    (r"(?<=://)[^\s/?#@\"'<>]+@", f"{HIDDEN}@"),
    (rf"(?i)([?&;](?:{_SIGNED})=)[^\s&\"'<>]+", rf"\1{SIGNATURE}"),
    (r"(?i)(?<![A-Za-z0-9_])(sig(?:nature)?=)[^\s&\"'<>]+", rf"\1{SIGNATURE}"),
    # Keys by their shape: ours, those of providers, AWS's, Google's, and JSON web tokens.
    (r"(?<![A-Za-z0-9])(?:sk|pk|rk|ig|afk|gsk|ghp|gho|xai|hf|r8)[-_][A-Za-z0-9_-]{8,}", HIDDEN),
    (r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{12,}", HIDDEN),
    (r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{20,}", HIDDEN),
    (r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+", HIDDEN),
)
_COMPILED = tuple((re.compile(pattern), instead) for pattern, instead in _LOOKS)
_HARMLESS = re.compile(r"[A-Za-z0-9_. /{}-]{0,160}")
"""What holds none of the above unless it holds a key by its shape: no quotes, no colon, no equals sign."""
_SHAPES = re.compile(
    r"(?i)bearer |basic |sk[-_]|pk[-_]|rk[-_]|ig[-_]|afk[-_]|gsk[-_]|gh[po][-_]|xai|hf[-_]|r8|A[KS]IA|AIza|eyJ"
)


class Veil:
    """Texts that a client wrote, and whom it names: no record of the work for it repeats them, whole or in part, in
    small letters or capitals."""

    def __init__(self, texts: Iterable[str], people: Iterable[str | None] = ()) -> None:
        self._texts = [text for text in texts if len(text) >= PROMPT_LEAST]
        self._people = [each for each in people if each is not None and len(each) >= PROMPT_LEAST]

    @cached_property
    def _written(self) -> tuple[str, ...]:
        """Each text in the ways in which others quote it, in small letters, the longest first."""
        found = {_small(written) for text in self._texts for written in (text.strip(), *_quoted(text))}
        return tuple(sorted((each for each in found if len(each) >= PROMPT_LEAST), key=len, reverse=True))

    @cached_property
    def _windows(self) -> frozenset[str]:
        return frozenset(text[at : at + WINDOW] for text in self._written for at in range(len(text) - WINDOW + 1))

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(word for text in self._texts for word in _WORD.findall(_small(text))) - _INSTEAD

    @cached_property
    def _names(self) -> re.Pattern[str] | None:
        written = {re.escape(each) for name in self._people for each in _quoted(name)}
        return (
            re.compile(rf"(?i)(?<!\w)(?:{'|'.join(sorted(written, key=len, reverse=True))})(?!\w)") if written else None
        )

    def over(self, text: str) -> str:
        """The text without them."""
        if self._names is not None:
            text = self._names.sub(USER, text)
        if not self._texts:
            return text
        for written in self._written:
            text = _without(text, written)
        if len(text) >= WINDOW:
            text = self._parts_out(text)
        # What is one word alone is more often the name of a model or a provider than a quotation.
        return _WORD.sub(self._word_out, text) if " " in text else text

    def _parts_out(self, text: str) -> str:
        small = _small(text)
        kept: list[str] = []
        end = 0  # what was seen up to `end` is kept or hidden already
        for at in range(len(text) - WINDOW + 1):
            if small[at : at + WINDOW] in self._windows:
                if at > end or not kept:
                    kept += [text[end:at], PROMPT]
                end = at + WINDOW
        return "".join([*kept, text[end:]])

    def _word_out(self, word: re.Match[str]) -> str:
        return PROMPT if _small(word[0]) in self._words else word[0]


def _quoted(text: str) -> Iterator[str]:
    """A text in the ways in which others quote it."""
    yield from (text, repr(text)[1:-1], json.dumps(text)[1:-1], quote(text), json.dumps(text, ensure_ascii=False)[1:-1])


def _small(text: str) -> str:
    """In small letters, each at the place of its capital."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(min(each.lower(), each, key=len) for each in text)


def _without(text: str, written: str) -> str:
    """The text without what is `written` in small letters."""
    small, kept, end = _small(text), [], 0
    while (at := small.find(written, end)) >= 0:
        kept += [text[end:at], PROMPT]
        end = at + len(written)
    return "".join([*kept, text[end:]])


NO_VEIL: Final = Veil(())
VEIL: ContextVar[Veil] = ContextVar("veil", default=NO_VEIL)
"""Over what is logged in this context."""


class Redactor:
    """Takes secrets out of texts. Those that were configured once stay secret."""

    def __init__(self) -> None:
        self._literals: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self._clean: set[str] = set()  # short texts that hold nothing to take out, but for what a veil is over

    def learn(self, secrets: Iterable[str]) -> None:
        """Texts to take out wherever they stand, besides those that were known."""
        known = self._literals | {secret for secret in secrets if len(secret) >= LITERAL_LEAST}
        if known != self._literals:
            self._literals = known
            self._clean = set()
            written = {each for secret in known for each in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))}
            self._pattern = re.compile("|".join(map(re.escape, sorted(written, key=len, reverse=True))))

    def scrub(self, text: str) -> str:
        """The text without secrets, signatures, pictures, and what the veil of this context is over."""
        return VEIL.get().over(text if text in self._clean else self._looked_through(text))

    def _looked_through(self, given: str) -> str:
        clean, text = self._clean, given
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        if not _HARMLESS.fullmatch(text) or _SHAPES.search(text):
            for look, instead in _COMPILED:
                text = look.sub(instead, text)
        if text == given and len(text) <= CLEAN_LENGTH:
            if len(clean) >= CLEAN_MOST:
                clean.clear()
            clean.add(text)
        return text

    def scrubbed(self, value: Any) -> Any:
        """The value with every string in it scrubbed; what JSON does not know becomes a string."""
        match value:
            case str():
                return self.scrub(value)
            case bool() | int() | float() | None:
                return value
            case Mapping():
                return {self.scrub(str(name)): self.scrubbed(each) for name, each in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.scrubbed(each) for each in value]
            case bytes() | bytearray() | memoryview():
                return f"{len(value)} bytes"
            case _:
                return self.scrub(str(value))


REDACTOR: Final = Redactor()
"""The process's own, as its logs are."""


def secrets_of(settings: BaseModel, environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """Every secret of a configuration, and what the environment holds under a name that says so."""
    yield from _of(settings)
    for name, value in (os.environ if environ is None else environ).items():
        if _ENVIRONMENT.search(name) and len(value) >= _ENVIRONMENT_LEAST:
            yield value


def _of(value: Any) -> Iterator[str]:
    match value:
        case SecretStr():
            secret = value.get_secret_value()
            if not secret.lower().startswith(DIGEST):
                yield secret
        case BaseModel():
            for name in type(value).model_fields:
                held = getattr(value, name)
                yield from _headers(held) if name == "headers" else _of(held)
        case Mapping():
            for each in value.values():
                yield from _of(each)
        case list() | tuple():
            for each in value:
                yield from _of(each)
        case str():
            yield from _password(value)
        case _:
            return


def _password(text: str) -> Iterator[str]:
    """The password of a URL, as it is written and as it is meant."""
    who, at, _ = text.partition("://")[2].partition("/")[0].rpartition("@")
    if at:
        password = who.partition(":")[2]
        yield from (password, unquote(password))


def _headers(headers: Mapping[str, str]) -> Iterator[str]:
    """Any header may hold a key, after a word that says what kind of key."""
    for value in headers.values():
        yield from (value, value.rpartition(" ")[2])
