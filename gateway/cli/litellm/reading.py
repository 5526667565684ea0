"""LiteLLM's `config.yaml` as values, or every mistake in it with its line.

Source: the pages "Config.yaml" and "All settings" of https://docs.litellm.ai/docs/proxy/configs. Only the parts are
judged that say something about pictures; the rest is kept as it stands, so that it can be named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from gateway.config.document import Document, read
from gateway.config.mistakes import Mistake, Path, configuration_error
from normalization.errors import ConfigurationError

SECTIONS = ("router_settings", "litellm_settings", "general_settings", "environment_variables")
IMAGE_MODES = frozenset({"image_generation", "image_edit"})

_ENVIRON = "os.environ/"
_IMAGE_NAMES = re.compile(
    r"gpt-image|dall-?e|flux|kontext|imagen|black[-_]forest|stable-?(diffusion|image)|sdxl|\bsd3|stability|recraft"
    r"|ideogram|seedream|hidream|kolors|playground-v|nova-canvas|nano-banana|midjourney|imagegeneration"
    r"|[-_/]image([-_@.\s]|$)"
)
_NO_IMAGE_NAMES = re.compile(r"embed|vision|rerank|moderation")


class _References(dict[str, str]):
    """An environment in which each variable holds its own reference, so that none is filled in."""

    def get(self, name: str, default: Any = None) -> str:
        return f"${{{name}}}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of `model_list`: one way to reach what clients call `name`."""

    index: int
    name: str
    provider: str
    """LiteLLM's name of the provider; empty where the entry names none that LiteLLM could guess."""
    model: str
    """The provider's own model id."""
    params: Mapping[str, Any]
    info: Mapping[str, Any]

    @property
    def path(self) -> Path:
        return ("model_list", self.index)

    @property
    def makes_pictures(self) -> bool:
        """By `model_info.mode` where it is said, else by the names that image models go by."""
        if "mode" in self.info:
            return self.info["mode"] in IMAGE_MODES
        names = f"{self.provider}/{self.model} {self.info.get('base_model', '')}".lower()
        return bool(_IMAGE_NAMES.search(names)) and not _NO_IMAGE_NAMES.search(names)


@dataclass(frozen=True, slots=True)
class LiteLLM:
    """The whole file. `sections` holds a mapping for each of SECTIONS, empty where the file has none."""

    source: str
    deployments: tuple[Deployment, ...]
    sections: Mapping[str, Mapping[str, Any]]
    other: tuple[str, ...]
    """Further keys at the top of the file."""
    lines: Mapping[Path, int]
    variables: frozenset[str]
    """Environment variables that the file names."""


def load(path: FilePath) -> LiteLLM:
    """The file; references to the environment stand in it as `${VAR}`. Raises ConfigurationError with every mistake,
    one a line: file, line, key, what is wrong and what would be accepted."""
    try:
        document = read(path, _References())
    except ConfigurationError as error:
        ours = "a mapping with providers and models"
        raise ConfigurationError(error.message.replace(ours, "a mapping with model_list")) from None
    mistakes = [*document.mistakes, *_mistakes(document.data)]
    if mistakes:
        raise configuration_error(document.source, mistakes, document.lines)
    data = _as_written(document.data, (), document)
    credentials = {
        each["credential_name"]: each.get("credential_values", {})
        for each in data.get("credential_list") or ()
        if isinstance(each, dict) and "credential_name" in each
    }
    read_keys = ("model_list", "credential_list", *SECTIONS)
    return LiteLLM(
        source=document.source,
        deployments=tuple(_deployment(index, entry, credentials) for index, entry in enumerate(data["model_list"])),
        sections={name: data.get(name) or {} for name in SECTIONS},
        other=tuple(key for key in data if key not in read_keys),
        lines=document.lines,
        variables=frozenset(name for text in document.written.values() for name in _named(text)),
    )


def _named(text: str) -> Iterator[str]:
    if text.startswith(_ENVIRON):
        yield text.removeprefix(_ENVIRON)
    yield from re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)", text)


def _as_written(value: Any, path: Path, document: Document) -> Any:
    """The data with references as imagegate spells them, defaults included."""
    if isinstance(value, dict):
        return {key: _as_written(held, (*path, key), document) for key, held in value.items()}
    if isinstance(value, list):
        return [_as_written(held, (*path, index), document) for index, held in enumerate(value)]
    written = document.written.get(path)
    if written is None:
        return value
    return f"${{{written.removeprefix(_ENVIRON)}}}" if written.startswith(_ENVIRON) else written


def _deployment(index: int, entry: Mapping[str, Any], credentials: Mapping[str, Any]) -> Deployment:
    params = dict(entry["litellm_params"])
    held = credentials.get(str(params.get("litellm_credential_name")))
    if isinstance(held, dict):
        params = {**held, **{key: value for key, value in params.items() if key != "litellm_credential_name"}}
    model = params.pop("model")
    provider = params.pop("custom_llm_provider", None)
    prefix, slash, rest = model.partition("/")
    if provider is not None:
        model = rest if prefix == provider else model
    elif slash:
        provider, model = prefix, rest
    elif not slash and re.match(r"(chat)?gpt-image|dall-e", model):
        provider = "openai"
    return Deployment(index, entry["model_name"], provider or "", model, params, entry.get("model_info") or {})


def _mistakes(data: Mapping[str, Any]) -> Iterator[Mistake]:
    """What keeps the file from being read at all."""
    if not isinstance(data.get("model_list"), list):
        what = "missing" if data.get("model_list") is None else "not a list"
        yield Mistake(("model_list",), what, "a list of entries, each with model_name and litellm_params")
        return
    for index, entry in enumerate(data["model_list"]):
        yield from _entry_mistakes(("model_list", index), entry)
    for name in SECTIONS:
        if not isinstance(data.get(name), dict | None):
            yield Mistake((name,), "not a mapping", "a mapping")
    router, module = data.get("router_settings"), data.get("litellm_settings")
    aliases = router.get("model_group_alias") if isinstance(router, dict) else None
    if not isinstance(aliases, dict | None):
        yield Mistake(("router_settings", "model_group_alias"), "not a mapping", "a mapping of aliases to model names")
    for section, settings in (("router_settings", router), ("litellm_settings", module)):
        fallbacks = settings.get("fallbacks") if isinstance(settings, dict) else None
        if fallbacks is not None and not _are_fallbacks(fallbacks):
            accepted = 'a list of mappings such as {"a-model": ["another"]}'
            yield Mistake((section, "fallbacks"), "not a list of fallbacks", accepted)


def _entry_mistakes(path: Path, entry: Any) -> Iterator[Mistake]:
    if not isinstance(entry, dict):
        yield Mistake(path, "not a mapping", "a mapping with model_name and litellm_params")
        return
    if not isinstance(entry.get("model_name"), str) or not entry["model_name"]:
        what = "missing" if entry.get("model_name") is None else "not text"
        yield Mistake((*path, "model_name"), what, "the name that clients ask for")
    params = entry.get("litellm_params")
    if not isinstance(params, dict):
        what = "missing" if params is None else "not a mapping"
        yield Mistake((*path, "litellm_params"), what, "a mapping with at least model")
    elif not isinstance(params.get("model"), str) or not params["model"]:
        what = "missing" if params.get("model") is None else "not text"
        yield Mistake((*path, "litellm_params", "model"), what, "PROVIDER/MODEL")
    if not isinstance(entry.get("model_info"), dict | None):
        yield Mistake((*path, "model_info"), "not a mapping", "a mapping")


def _are_fallbacks(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict) and all(isinstance(names, list) for names in each.values()) for each in value
    )
