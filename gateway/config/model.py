"""The configuration file as values: every section, with its defaults and its bounds.

Cross-references (a route's provider, a key's double) are checked in `gateway.config.references`, on the data as
written, so that one wrong value does not hide them.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PrivateAttr, model_validator

from gateway.config.buckets import BucketUrl, bucket_url
from gateway.config.entries import ModelEntry, ProviderEntry, ProviderName, RouteEntry
from gateway.config.fields import (
    DIGEST,
    Amount,
    BaseUrl,
    Count,
    Host,
    KeySecret,
    MaybeKeySecret,
    MaybeSecret,
    Name,
    Network,
    Origin,
    Percent,
    Port,
    Seconds,
    Section,
    Switch,
    Text,
    UrlSeconds,
    is_loopback,
    refused,
)
from gateway.config.limits import Limits
from gateway.config.logs import Logs
from gateway.config.redis_url import RedisUrl, redis_url

__all__ = [
    "Auth",
    "Budget",
    "KeyEntry",
    "Limits",
    "Logs",
    "ModelEntry",
    "Normalization",
    "ProviderEntry",
    "ResponseFormatSetting",
    "RouteEntry",
    "Server",
    "Settings",
]

ResponseFormatSetting = Literal["auto", "url", "b64_json", "both"]


def _state_url(url: str) -> str:
    if url != "sqlite" and redis_url(url) is None:
        raise refused("not a place for state", "sqlite, redis://... or rediss://...")
    return url


def _without_password(url: str) -> str:
    """What may be shown of it."""
    return url if "@" not in url else f"{url.partition('://')[0]}://...@{url.rpartition('@')[2]}"


def _storage_url(url: str) -> str:
    if url not in ("file", "memory") and bucket_url(url) is None:
        raise refused("not a place for pictures", "file, memory, s3://..., gs://... or az://...")
    return url


class Server(Section):
    """Where the gateway listens, and what it believes about who calls."""

    host: Host = Field("127.0.0.1", description="Address to listen on.")
    port: Port = Field(8000, description="Port to listen on; 0 = any free one.")
    public_url: BaseUrl | None = Field(
        None, description="Base of the URLs of hosted pictures; null = scheme and Host of the request."
    )
    data_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        Path("imagegate-data"), description="Where state and pictures are kept; relative to where the gateway starts."
    )
    deadline_seconds: Seconds = Field(
        570, description="After it a client has its answer; official SDKs give up at 600 and ask again."
    )
    max_concurrent_requests: Count = Field(500, description="Requests in progress at once.")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="Address ranges whose X-Forwarded-For, -Proto and -Host are believed."
    )
    cors_origins: tuple[Origin, ...] = Field((), description="Web origins that may call from a browser.")

    @property
    def loopback(self) -> bool:
        """True where only this machine can reach the gateway."""
        return is_loopback(self.host)


class Budget(Section):
    """What a key may spend."""

    usd: Amount = Field(description="US dollars.")
    per: Literal["day", "month", "total"] = Field("month", description="The span it is for.")
    unpriced: Literal["refuse", "allow"] = Field(
        "refuse", description="Whether the key may use a route whose price is unknown."
    )

    @property
    def micros(self) -> int:
        """Micro-dollars. Through text, so that 0.07 is seven cents and not the nearest binary fraction."""
        return int((Decimal(str(self.usd)) * 1_000_000).to_integral_value())


class KeyEntry(Section):
    """One client's key. Nothing limits it unless its entry says so."""

    name: Text = Field(description="Whose key it is; appears in usage and logs.")
    key: KeySecret = Field(description="The key, best as a variable, or sha256: and its digest in hexadecimal.")
    models: tuple[Text, ...] = Field(("*",), description="Names or globs of the models it may use.")
    requests_per_minute: Count | None = Field(None, description="null = no limit.")
    images_per_minute: Count | None = Field(None, description="null = no limit.")
    max_concurrent: Count | None = Field(None, description="Requests in progress at once; null = no limit.")
    budget: Budget | None = Field(None, description="null = no limit.")

    @property
    def digest(self) -> str:
        """SHA-256 of the key, 64 lower-case hexadecimal digits."""
        return digest(self.key.get_secret_value())


class Auth(Section):
    """Who may call."""

    mode: Literal["keys", "none"] = Field(
        "keys", description="Whether a key is asked for; where it is not said, only if there are keys."
    )
    admin_key: MaybeKeySecret = Field(None, description="The key of /admin and /metrics, written as a client's key is.")
    keys: tuple[KeyEntry, ...] = Field((), description="The clients' keys.")

    @model_validator(mode="after")
    def _open_without_keys(self) -> Auth:
        """The mode in force; `mode_written` still tells whether the file named it."""
        if "mode" not in self.model_fields_set and not self.keys:
            self.__dict__["mode"] = "none"
        return self

    @property
    def mode_written(self) -> Literal["keys", "none"] | None:
        """The mode as the file says it; None where it does not."""
        return self.mode if "mode" in self.model_fields_set else None

    @property
    def admin_digest(self) -> str | None:
        """SHA-256 of the admin key, in hexadecimal; None where there is none."""
        return digest(self.admin_key.get_secret_value()) if self.admin_key is not None else None


class State(Section):
    """Where records are kept."""

    url: Annotated[str, AfterValidator(_state_url), PlainSerializer(_without_password)] = Field(
        "sqlite",
        repr=False,
        description="sqlite: a file under data_dir; redis://[USER:PASSWORD@]HOST[:PORT][/DB], or rediss:// with TLS: a "
        "server that replicas share.",
    )

    @property
    def redis(self) -> RedisUrl | None:
        """The server that replicas share; None where there is none."""
        return redis_url(self.url)


class Storage(Section):
    """Where hosted pictures are kept, and for how long."""

    url: Annotated[str, AfterValidator(_storage_url)] = Field(
        "file",
        description="file: under data_dir; memory: gone at the next start; s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or "
        "az://CONTAINER/PREFIX: in a bucket that replicas share.",
    )
    url_ttl_seconds: UrlSeconds = Field(3600, description="How long a picture's URL is good for.")
    retention_seconds: Seconds = Field(86_400, description="How long a picture is kept.")
    signing_key: MaybeSecret = Field(
        None, description="Signs pictures' URLs; null = made once under data_dir. Several replicas must share one."
    )

    @property
    def bucket(self) -> BucketUrl | None:
        """The bucket that pictures lie in; None where they lie here."""
        return bucket_url(self.url)


class Outbound(Section):
    """What may be fetched on a client's behalf."""

    allow_private: tuple[Network, ...] = Field(
        (), description="Private address ranges that picture URLs may point to; public addresses always may."
    )


class Normalization(Section):
    """How requests are fitted to providers."""

    strict: Switch = Field(False, description="Refuse with 400 whatever would be degraded.")
    default_quality: Percent = Field(85, description="Encoder quality where the client names none, 100 = best.")
    default_response_format: ResponseFormatSetting = Field(
        "auto", description="How pictures travel where the client does not say; auto = b64_json for GPT image models."
    )


class Settings(Section):
    """The whole configuration."""

    server: Server = Field(default_factory=Server, description="Where the gateway listens.")
    auth: Auth = Field(default_factory=Auth, description="Who may call.")
    state: State = Field(default_factory=State, description="Where records are kept.")
    storage: Storage = Field(default_factory=Storage, description="Where hosted pictures are kept.")
    network: Outbound = Field(default_factory=Outbound, description="What may be fetched on a client's behalf.")
    normalization: Normalization = Field(
        default_factory=Normalization, description="How requests are fitted to providers."
    )
    logs: Logs = Field(default_factory=Logs, description="What is logged, and how.")
    limits: Limits = Field(default_factory=Limits, description="Limits; all have defaults.")
    providers: dict[ProviderName, ProviderEntry] = Field(min_length=1, description="Who can make pictures, by name.")
    models: dict[Name, ModelEntry] = Field(min_length=1, description="What callers can ask for, by name.")
    default_model: Name | None = Field(
        None, description="What a request gets that names no model; null = the first of models."
    )

    _literal_secrets: tuple[str, ...] = PrivateAttr(default=())

    @property
    def default(self) -> str:
        """The default model's name, or an exact alias of it."""
        return self.default_model or next(iter(self.models))

    @property
    def literal_secrets(self) -> tuple[str, ...]:
        """Keys of the file whose secret stands in the file itself."""
        return self._literal_secrets

    def noting(self, literal_secrets: tuple[str, ...]) -> Settings:
        """The same settings, remembering which keys of the file hold a secret in plain sight."""
        copy = self.model_copy()
        copy._literal_secrets = literal_secrets
        return copy


def digest(key: str) -> str:
    """SHA-256 in lower-case hexadecimal of a key, which may be given as `sha256:` and that digest."""
    if key.lower().startswith(DIGEST):
        return key[len(DIGEST) :].lower()
    return hashlib.sha256(key.encode()).hexdigest()
