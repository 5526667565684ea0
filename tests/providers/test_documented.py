"""docs/providers.md says what is on the wire: read as its reader reads it, and held against the recorded requests."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from normalization.parameters import BY_NAME
from normalization.payload import leaf
from normalization.vocabulary import Behavior
from providers.base import Options
from providers.registry import PROVIDERS
from scripts.provider_docs import overview, providers
from scripts.provider_lines import lines
from tests.providers import golden
from tests.providers.conversing import leaves, planned
from tests.providers.made_up import Acme
from tests.providers.test_contract import GENERIC, WIRED, WIRED_MODELS, entry_of

NOWHERE = {Behavior.DROPPED, Behavior.EMULATED}


Fates = dict[str, tuple[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Documented:
    """What the page says of one model: each parameter's behaviour and places on the wire, what is always sent, and
    where extras go (None = nowhere). `editing` and `several` are the same for edits of one picture and of more."""

    parameters: Fates
    editing: Fates
    several: Fates
    constants: tuple[str, ...]
    extras: str | None


def quoted(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", text))


def fates(text: str, base: Fates) -> Fates:
    """What a part of the page says of parameters, over what is said elsewhere."""
    found = dict(base)
    for row in re.findall(r"^\| (`.*) \|$", text, re.MULTILINE):
        names, behavior, fields, *_ = row.split(" | ")
        found |= dict.fromkeys(quoted(names), (behavior, quoted(fields)))
    for start, behavior in (("Dropped with a note: ", "dropped"), ("Left out without a note: ", "emulated")):
        for sentence in re.findall(f"^{start}(.*)$", text, re.MULTILINE):
            names = quoted(re.sub(r"\([^()]*\)", "", sentence))
            found |= dict.fromkeys(names, (behavior, ()))
    return found


def documented(text: str, others: Mapping[str, Documented]) -> Documented:
    """One model's part of the page. It may refer to another's."""
    making, _, rest = text.partition("**Edits**")
    one, _, more = rest.partition("With several pictures")
    like = re.search(r"^As `?(.+?)`?(?:\.|, but for:)$", making, re.MULTILINE)
    base = others[GENERIC if like[1] == "any other" else like[1]] if like else Documented({}, {}, {}, (), None)
    parameters = fates(making, base.parameters)
    editing = fates(one, parameters) if rest else {}
    several = fates(more, editing)
    constants = re.search(r"^Always sent: (.*)\.$", making, re.MULTILINE)
    extras = re.search(r"passed on (at the top level|under `([\w.]+)`)", making)
    if like and "Parameters that we do not know" not in making:
        return Documented(parameters, editing, several, base.constants, base.extras)
    place = None if extras is None else f"{extras[2]}." if extras[2] else ""
    return Documented(parameters, editing, several, quoted(constants[1]) if constants else (), place)


def read_page() -> dict[tuple[str, str], Documented]:
    found: dict[tuple[str, str], Documented] = {}
    for section in re.split(r"^## ", providers(), flags=re.MULTILINE)[1:]:
        kind = section.split("\n", 1)[0]
        for part in re.split(r"^### ", section, flags=re.MULTILINE)[1:]:
            heading, text = part.split("\n", 1)
            ids = [*quoted(heading), *([GENERIC] if heading.endswith("any other") else [])]
            others = {model: told for (each, model), told in found.items() if each == kind}
            found |= dict.fromkeys(((kind, model) for model in ids), documented(text, others))
    return found


PAGE = read_page()
RECORDED = [
    (kind, model, name)
    for kind in WIRED
    for model, requests in golden.load(kind, "requests").items()
    for name, recorded in requests.items()
    if not recorded.get("pictures")
]


EDITS = [
    (kind, model, name)
    for kind in WIRED
    if (golden.WIRE / kind / "edits.json").exists()
    for model, requests in golden.load(kind, "edits").items()
    for name in requests
]


def recorded_of(kind: str, model: str, name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The receipt of one recorded request, and what was sent, as path to value for each call."""
    recorded = golden.load(kind, "requests")[model][name]
    return recorded["parameters"], [leaves(sent["body"]) for sent in recorded["sent"]]


def is_a_file(value: Any) -> bool:
    return isinstance(value, dict) and "filename" in value


def edit_of(kind: str, model: str, name: str) -> tuple[int, list[dict[str, Any]], list[dict[str, Any]]]:
    """How many pictures, the receipt, and what was sent beside the pictures, which are uploaded first or go along."""
    recorded = golden.load(kind, "edits")[model][name]
    calls = []
    for sent in recorded["sent"]:
        body = sent["body"]
        if isinstance(body, list):
            body = {field[0]: field[1] for field in body if not is_a_file(field)}
        calls += [leaves(body)] if body else []
    return len(recorded["request"]["pictures"]), recorded["parameters"], calls


def check_places(page: Fates, receipt: list[dict[str, Any]], calls: list[dict[str, Any]]) -> None:
    """Each value of a receipt stands in the places that the page names, or in none where it names none."""
    for entry in receipt:
        if entry["name"] not in page:
            assert entry["name"] not in BY_NAME
            continue
        behavior, fields = page[entry["name"]]
        stands = [{path: value for path, value in sent.items() if path in fields} for sent in calls]
        if not fields:
            assert behavior in NOWHERE
            assert entry["sent"] is None
            assert entry["name"] not in {leaf(path) for path in calls[0]}
        elif entry["name"] == "n":
            counts = [int(next(iter(here.values()), 1)) for here in stands]
            assert counts == (entry["sent"] if isinstance(entry["sent"], list) else [entry["sent"]])
        elif isinstance(entry["sent"], dict):
            here = {leaf(path): value for path, value in stands[0].items()}
            overwritten = {each["name"] for each in receipt}  # by an extra of the same name
            assert {
                name: each for name, each in entry["sent"].items() if name not in overwritten
            }.items() <= here.items()
        elif entry["sent"] is not None:
            assert spelled(entry["sent"]) in {spelled(each) for value in stands[0].values() for each in parts(value)}, (
                entry
            )


def parts(value: Any) -> Iterator[Any]:
    """A value and what is in it: a prompt may stand in one message with the pictures."""
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)


def spelled(value: Any) -> str:
    """A form holds text alone."""
    return str(value).lower()


def test_the_page_has_every_model_of_the_registry() -> None:
    generates = {
        (kind, model)
        for kind, adapter in PROVIDERS.items()
        for model in (*adapter.known_models, GENERIC)
        if "generate" in adapter(Options(name="p")).profile(model).operations
    }
    assert {key for key, model in PAGE.items() if model.parameters} == generates
    assert all(f"](#{kind})" in overview() for kind in PROVIDERS)


@pytest.mark.parametrize(("kind", "model"), WIRED_MODELS)
def test_every_parameter_that_a_model_decides_is_on_the_page(kind: str, model: str) -> None:
    profile = PROVIDERS[kind](Options(name="p")).profile(model)
    if "generate" in profile.operations:
        decided = {name for line in lines(profile) for name in line.names}
        assert set(PAGE[kind, model].parameters) == decided
        assert decided <= set(BY_NAME)


@pytest.mark.parametrize(("kind", "model", "name"), RECORDED)
def test_a_value_stands_where_the_page_says_or_nowhere(kind: str, model: str, name: str) -> None:
    receipt, calls = recorded_of(kind, model, name)
    check_places(PAGE[kind, model].parameters, receipt, calls)


@pytest.mark.parametrize(("kind", "model", "name"), EDITS)
def test_a_value_of_an_edit_stands_where_the_page_says_or_nowhere(kind: str, model: str, name: str) -> None:
    pictures, receipt, calls = edit_of(kind, model, name)
    page = PAGE[kind, model]
    assert page.editing
    check_places(page.several if pictures > 1 else page.editing, receipt, calls)


@pytest.mark.parametrize(("kind", "model", "name"), RECORDED)
def test_nothing_is_on_the_wire_that_the_page_does_not_tell_of(kind: str, model: str, name: str) -> None:
    page = PAGE[kind, model]
    receipt, calls = recorded_of(kind, model, name)
    told = {path for _, fields in page.parameters.values() for path in fields} | set(page.constants)
    extras = tuple(f"{page.extras}{entry['name']}" for entry in receipt if entry["name"] not in BY_NAME)
    for sent in calls:
        unexplained = {path: value for path, value in sent.items() if path not in told and value != model}
        assert [path for path in unexplained if page.extras is None or not path.startswith(extras)] == []


@pytest.mark.parametrize("kind", PROVIDERS)
def test_an_adapters_description_begins_with_its_name(kind: str) -> None:
    name, colon, _ = (sys.modules[PROVIDERS[kind].__module__].__doc__ or "").partition(":")
    assert colon
    assert len(name) < 60


def test_bounds_on_the_page_are_those_at_which_notes_begin() -> None:
    adapter = Acme(Options(name="p"))
    (steps,) = [line for line in lines(adapter.profile("brush-1")) if line.names == ("steps",)]
    least, most = map(int, steps.takes.split(" to "))
    noted = {
        value: entry_of(planned(adapter, "brush-1", steps=value), "steps").note is not None for value in (1, 50, 51)
    }
    assert (least, most, noted) == (1, 50, {1: False, 50: False, 51: True})
    assert [str(note) for note in steps.notes] == ["`1000`: the provider takes 1 to 50: 50 is sent"]
    (style,) = [line for line in lines(adapter.profile("brush-1")) if line.names == ("style",)]
    assert (style.fields, style.behavior) == (("options.style",), "renamed")
