"""docs/providers.md and README's table of providers, read off the adapters' docstrings, traits and profiles."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from normalization.capabilities import priced
from normalization.plan import Call
from normalization.planner import plan
from normalization.reading import read
from normalization.rules import Profile
from normalization.vocabulary import Format
from providers.base import Options, Provider, Traits, WireRequest
from providers.registry import PROVIDERS
from scripts.markdown import code, table
from scripts.provider_lines import Line, lines
from scripts.provider_pictures import travelling

UNKNOWN = "any/other-model"
"""An id that no provider has a profile for."""

DAY = 24 * 3600

DIFFERENCES_MOST = 5
"""Lines in which a model may differ from another to be told by them."""


@dataclass(frozen=True, slots=True)
class Model:
    """What is to be said of one model, but its id: how it makes pictures from a prompt, and how it edits."""

    notes: str
    making: tuple[Line, ...]
    rest: tuple[str, ...]
    editing: tuple[Line, ...]
    """Of one picture; `several` where two make a difference."""
    several: tuple[Line, ...]
    pictures: str
    rest_of_edits: tuple[str, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        return (*self.making, *self.editing, *self.several)

    def beyond(self, other: Model) -> list[Line]:
        """The lines that `other` has not."""
        return [line for line in self.making if line not in other.making]


def overview(page: str = "") -> str:
    """One line for each kind of provider; its type leads to its section, of this page or of `page`."""
    adapters = [made(kind) for kind in PROVIDERS]
    return table(
        ("provider", "`type`", "models with a profile", "answers", "pictures a call", "formats", "price"),
        (
            (
                _docstring(adapter).split(":")[0].replace("\n", " "),
                f"[`{adapter.type}`]({page}#{adapter.type})",
                len(adapter.known_models),
                _answers(adapter),
                _range([profile.count.most for profile in _profiles(adapter)]),
                " ".join(
                    each for each in Format if any(each in profile.output.names for profile in _profiles(adapter))
                ),
                _price_of(adapter),
            )
            for adapter in adapters
        ),
    )


def providers() -> str:
    """A section for each kind of provider, as the registry has them."""
    return "\n\n".join(_section(made(kind)) for kind in PROVIDERS)


def made(kind: str) -> Provider:
    return PROVIDERS[kind](Options(name=kind))


def _profiles(adapter: Provider) -> list[Profile]:
    return [adapter.profile(model) for model in (adapter.known_models or (UNKNOWN,))]


def _docstring(adapter: Provider) -> str:
    return (sys.modules[type(adapter).__module__].__doc__ or "").strip()


def _formats(adapter: Provider) -> list[Format]:
    return [each for each in Format if any(each in profile.output.names for profile in _profiles(adapter))]


def _first(adapter: Provider) -> WireRequest | None:
    """What is sent first for a prompt alone; None where nothing is."""
    request = read({"prompt": "a red fox"}, default_model="m").request
    profiles = [adapter.profile(model) for model in (*adapter.known_models, UNKNOWN)]
    profile = next(profile for profile in profiles if "generate" in profile.operations)
    call: Call = plan(request, profile, name=adapter.type).calls[0]
    sent = adapter.submit(call, "attempt")
    return sent if isinstance(sent, WireRequest) else None


def _answers(adapter: Provider) -> str:
    if _first(adapter) is None:
        return "drawn here"
    return "polled" if adapter.traits.polled else "at once"


def _range(numbers: Sequence[int]) -> str:
    return str(min(numbers)) if len(set(numbers)) == 1 else f"{min(numbers)} to {max(numbers)}"


def _price_of(adapter: Provider) -> str:
    prices = [priced(profile.price) for profile in _profiles(adapter)]
    if all(price is not None and not any(price.values()) for price in prices):
        return "free"
    return "known" if all(price is not None for price in prices) else "as configured"


def _section(adapter: Provider) -> str:
    facts = table(("", ""), _facts(adapter))
    return f"## {adapter.type}\n\n{_docstring(adapter)}\n\n{facts}\n\n{_models(adapter)}"


def _facts(adapter: Provider) -> Iterator[tuple[str, str]]:
    traits, sent = adapter.traits, _first(adapter)
    if sent is None:
        yield "answers", "drawn here: nothing is sent anywhere"
    else:
        yield "address", f"`{adapter.base_url}`" if adapter.base_url else "the configuration's `base_url`"
        headers = ", ".join(f"`{name}: {value}`" for name, value in adapter.headers("KEY").items())
        yield "key", f"header {headers}" if headers else "none"
        yield "first request", f"`{sent.method} {sent.path}`"
        yield (
            "answers",
            "polled: a job that is looked at until it ends" if traits.polled else "at once, with the pictures",
        )
    yield "billing", "; ".join(_billing(traits))
    if traits.url_ttl:
        yield "pictures", f"by addresses that live {_span(traits.url_ttl)}; they are fetched at once and hosted here"
    if traits.rps is not None:
        yield "pace", f"about {traits.rps:g} requests a second are tolerated, looks at jobs counted"


def _billing(traits: Traits) -> Iterator[str]:
    yield "by submission, unless an answer proves that it was refused" if traits.billable else "costs nothing"
    if traits.idempotent_submit and traits.billable:
        yield "a submission that is repeated under its attempt's id makes no second job"
    if traits.refund_on_fail:
        yield "failed work is refunded"
    if traits.s503_means_refused:
        yield "503 proves that no work was done"


def _span(seconds: int) -> str:
    count, unit = (seconds // DAY, "day") if seconds >= DAY else (seconds, "second")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _models(adapter: Provider) -> str:
    """What dropped parameters are noted with, once for all models, then the models; those alike share a part, and one
    that is nearly like another is told by what differs."""
    found: dict[Model, list[str]] = {}
    for name in (*adapter.known_models, UNKNOWN):
        found.setdefault(_model(adapter, name), []).append("any other" if name == UNKNOWN else f"`{name}`")
    reasons = _reasons(
        [line for model in found for line in (*model.making, *model.editing, *model.several) if line.dropped]
    )
    whole: dict[Model, str] = {}
    parts = []
    for model, ids in found.items():
        like = min(whole, key=lambda other: len(model.beyond(other)), default=None)  # called at once
        far = like is None or len(model.beyond(like)) > DIFFERENCES_MOST
        if far or not model.making or "any other" in ids:
            whole[model], like = ids[0], None
        text = "\n\n".join(_part(model, reasons, like, whole[like] if like else ""))
        parts.append(f"### {', '.join(ids)}\n\n{text}")
    why = ", ".join(f"{code(names)} ({reason})" for names, reason in reasons.items())
    return "\n\n".join([f"What a model drops has a note: {why}.", *parts] if why else parts)


def _model(adapter: Provider, model: str) -> Model:
    profile, edit = adapter.profile(model), adapter.profile(model, 1)
    generates, edits = "generate" in profile.operations, "edit" in edit.operations
    return Model(
        notes=profile.notes,
        making=tuple(lines(profile)) if generates else (),
        rest=tuple(_rest(profile if generates else edit)),
        editing=tuple(lines(edit, "edit")) if edits else (),
        several=tuple(lines(adapter.profile(model, 2), "edit")) if edits and edit.input_images_max > 1 else (),
        pictures=_pictures(adapter, model, edit) if edits else "",
        rest_of_edits=tuple(each for each in _rest(edit) if each not in _rest(profile)) if generates and edits else (),
    )


def _reasons(dropped: Sequence[Line]) -> dict[tuple[str, ...], str]:
    """Why parameters are dropped, in most models that do."""
    return {
        names: Counter(_why(line) for line in dropped if line.names == names).most_common(1)[0][0]
        for names in dict.fromkeys(line.names for line in dropped)
    }


def _part(model: Model, reasons: Mapping[tuple[str, ...], str], like: Model | None, name: str | None) -> Iterator[str]:
    """What is to be said of one model, whole or as the difference from another of this name."""
    if model.notes and (like is None or like.notes != model.notes):
        yield model.notes
    if like is None:
        yield from _told(model.making, reasons)
    else:
        yield f"As {name}, but for:" if model.beyond(like) else f"As {name}."
        yield from _told(model.beyond(like), reasons)
    if like is None or like.rest != model.rest:
        yield from model.rest
    if model.editing:
        beyond = [line for line in model.editing if line not in model.making]
        yield f"**Edits** of {model.pictures}{'; as above, but for:' if beyond and model.making else '.'}"
        yield from _told(beyond, reasons)
        yield from model.rest_of_edits
        more = [line for line in model.several if line not in model.editing]
        if more:
            yield "With several pictures as with one, but for:"
            yield from _told(more, reasons)


def _told(those: Sequence[Line], reasons: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    """A table of what goes on the wire or is made here, and a sentence each about the rest."""
    shown = [line for line in those if not line.dropped and not line.kept_here]
    if shown:
        yield table(
            ("parameter", "behaviour", "on the wire", "values", "notes"),
            (
                (code(line.names), line.behavior, code(line.fields), line.takes, "<br>".join(map(str, line.notes)))
                for line in shown
            ),
        )
    dropped = [line for line in those if line.dropped]
    if dropped:
        yield f"Dropped with a note: {', '.join(_reason(line, reasons) for line in dropped)}."
    kept = [code(line.names) for line in those if line.kept_here]
    if kept:
        yield f"Left out without a note: {', '.join(kept)}."


def _reason(line: Line, known: Mapping[tuple[str, ...], str]) -> str:
    """A dropped parameter, with the reason where that is another than the known one."""
    return code(line.names) if known.get(line.names) == _why(line) else f"{code(line.names)} ({_why(line)})"


def _why(line: Line) -> str:
    made = line.takes.split("; ")[0] if "made here" in line.takes else ""
    return "; ".join(filter(None, [*(note.text for note in line.notes), made]))


def _rest(profile: Profile) -> Iterator[str]:
    under = f"under `{profile.extra_under}`" if profile.extra_under else "at the top level"
    dropped, tolerated = "dropped with a note", code(sorted(profile.tolerates))
    if profile.extra == "forward":
        yield f"Parameters that we do not know: passed on {under}."
    else:
        kept = f"passed on {under} where they are {tolerated}, else " if tolerated else ""
        yield f"Parameters that we do not know: {kept}{dropped}."
    constants = [f"`{path}` {value}" for path, value in profile.constants if value != profile.model]
    if constants:
        yield f"Always sent: {', '.join(constants)}."


def _pictures(adapter: Provider, model: str, profile: Profile) -> str:
    """How many pictures, how they go there, and what becomes of a mask."""
    most = profile.input_images_max
    mask = {"native": "a mask is passed on", "emulated": "a mask is laid on here"}.get(str(profile.mask), "no mask")
    ways = [travelling(adapter, model, number) for number in (1, min(most, 2))]
    several = "" if ways[0] == ways[1] else f"; several: {ways[1]}"
    return f"{'one picture' if most == 1 else f'up to {most} pictures'} ({ways[0]}{several}), {mask}"
