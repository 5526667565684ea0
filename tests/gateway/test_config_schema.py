"""The published JSON Schema and the reader agree about what a configuration is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from gateway.config import Settings, load, schema
from normalization.errors import ConfigurationError
from tests.kinds import KINDS

EXAMPLE = Path(__file__).with_name("example.yaml")
MINIMAL: dict[str, Any] = {
    "providers": {"drawn": {"type": "sketch"}},
    "models": {"picture": {"routes": [{"provider": "drawn", "model": "sketch"}]}},
}


def sections(model: type[BaseModel] = Settings) -> set[type[BaseModel]]:
    """Every mapping that a configuration can hold."""
    found = {model}
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel) and part not in found:
                found |= sections(part)
    return found


def _parts(annotation: Any) -> list[Any]:
    inner = getattr(annotation, "__args__", ())
    return [annotation, *(part for each in inner for part in _parts(each))]


def valid(config: Any) -> bool:
    return bool(Draft202012Validator(schema(KINDS)).is_valid(config))


def readable(tmp_path: Path, config: Any) -> bool:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    try:
        load(path, {"PORT": "80"}, adapters=KINDS)
    except ConfigurationError:
        return False
    return True


def test_it_is_a_schema_of_draft_2020_12() -> None:
    made = schema(KINDS)
    Draft202012Validator.check_schema(made)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_documented_example_fits_before_its_variables_are_filled_in() -> None:
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    assert list(Draft202012Validator(schema(KINDS)).iter_errors(config)) == []


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"server": {"port": "${PORT}"}},
        {"server": {"port": None}, "auth": None},
        {"server": {"port": "eighty"}},
        {"server": {"prot": 80}},
        {"server": {"port": 65536}},
        {"server": {"deadline_seconds": 0}},
        {"auth": {"mode": "open"}},
        {"auth": {"keys": [{"name": "a"}]}},
        {"auth": {"keys": [{"name": "a", "key": "b", "budget": {"usd": 1, "pre": "day"}}]}},
        {"limits": {"queue_wait_seconds": None, "header_count": 5}},
        {"limits": {"zzz": 1}},
        {"normalization": {"strict": "yes"}},
        {"providers": {"drawn": {"type": "sketch"}, "x": {"type": "openai"}}},
        {"providers": {"drawn": {"type": "sketch"}, "x": {"type": "openai", "base_url": "http://a", "drop": ["n"]}}},
        {"providers": {"drawn": {"type": "sketch"}, "x": {"type": "apiframe", "poll_seconds": {"first": 1}}}},
        {"providers": {"drawn": {"type": "sketch", "poll_seconds": {"first": 1}}}},
        {"providers": {"drawn": {"type": "scetch"}}},
        {"providers": {"drawn": {}}},
        {"providers": {"drawn": {"type": "sketch"}, "max": {"type": "sketch"}}},
        {"providers": {"drawn": {"type": "sketch"}, "a/b": {"type": "sketch"}}},
        {"providers": {}},
        {"models": {}},
        {"models": {"m": {"routes": []}}},
        {"models": {"m": {"routes": [{"provider": "drawn", "model": "s", "defaults": {"steps": 3}}]}}},
        {"models": {"m": {"routes": [{"provider": "drawn", "model": "s", "defaults": {"steps": 0}}]}}},
        {"models": {"m": {"routes": [{"provider": "drawn", "model": "s", "defaults": {"n": 2}}]}}},
        {"models": {"m": {"routes": [{"provider": "drawn", "model": "s", "price": {"usd_per_image": -1}}]}}},
        {"models": {"m": {"strategy": "random", "routes": [{"provider": "drawn", "model": "s"}]}}},
        {"serve": {}},
    ],
)
def test_an_editor_and_the_gateway_say_the_same(tmp_path: Path, extra: dict[str, Any]) -> None:
    config = {**MINIMAL, **extra}
    assert valid(config) == readable(tmp_path, config)


def test_every_key_is_described() -> None:
    assert len(sections()) > 10
    undescribed = [
        f"{section.__name__}.{name}"
        for section in sections()
        for name, field in section.model_fields.items()
        if not field.description
    ]
    assert undescribed == []


def test_the_types_of_provider_are_those_registered() -> None:
    kinds = [branch["properties"]["type"]["const"] for branch in schema(KINDS)["$defs"]["ProviderEntry"]["oneOf"]]
    assert kinds == list(KINDS)


def test_the_real_kinds_of_provider_are_the_default() -> None:
    Draft202012Validator.check_schema(schema())
