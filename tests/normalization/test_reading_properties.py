"""What holds for every request body that can be written."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from normalization.errors import CallerError
from normalization.parameters import BY_NAME, FAMILY_OPTIONS, IMAGE_OPTIONS, PARAMETERS
from normalization.reading import Reading, read
from normalization.values import SHOWN_MOST
from normalization.vocabulary import Operation
from tests.normalization.asking import PROVIDERS, image, reading, request

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 20)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["auto", "1024x768", "16:9", "1K", "2 MP", "custom", "png", "low", "true", "3", "url", "\ud800"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(sorted({*BY_NAME, "go_fast", "image", "api_key"})) | st.text(max_size=6)
OPTION_KEYS = st.sampled_from(sorted({*IMAGE_OPTIONS, "seed"}))
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "image": st.dictionaries(OPTION_KEYS, VALUES, max_size=3) | VALUES,
        "apiframe": st.dictionaries(KEYS, VALUES, max_size=3) | VALUES,
        "max": VALUES,
        "video": VALUES,
    },
)
ANYTHING = st.builds(
    lambda body, prompt, options: body | prompt | options,
    st.dictionaries(KEYS, VALUES, max_size=6),
    st.just({"prompt": "a fox"}) | st.just({}),
    st.fixed_dictionaries({}, optional={"provider_options": OPTIONS | VALUES}),
)


@given(ANYTHING, st.sampled_from(["generate", "edit"]), st.dictionaries(KEYS, VALUES, max_size=2))
def test_whatever_the_body_says_the_answer_is_a_request_or_an_error_for_the_caller(
    body: dict[str, Any], operation: Operation, defaults: dict[str, Any]
) -> None:
    error = None
    try:
        read(body, default_model="house", operation=operation, providers=PROVIDERS, defaults=defaults)
    except CallerError as caught:
        error = caught
    if error is not None:
        assert error.status == 400
        assert error.param is not None
        assert len(error.param) <= SHOWN_MOST
        (error.param + error.message).encode()


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "n": st.integers(1, 10),
    "num_images": st.integers(1, 10),
    "size": st.sampled_from(["auto", "640x480", "16:9", "4:3"]),
    "aspect_ratio": st.sampled_from(["auto", "16:9", "4:3"]),
    "resolution": st.sampled_from(["auto", "1K", "2 MP", 0.25]),
    "seed": st.integers(-1, 2**70),
    "steps": st.integers(1, 1000) | st.just("28"),
    "guidance": st.floats(0, 100),
    "cfg_scale": st.floats(0, 100),
    "quality": st.sampled_from(["low", "auto"]),
    "output_quality": st.integers(0, 100),
    "output_compression": st.integers(0, 100),
    "output_format": st.sampled_from(["jpg", "png"]),
    "negative_prompt": st.sampled_from(["", "blur"]),
    "stream": st.booleans() | st.just("true"),
    "go_fast": st.booleans(),
    "provider_options": st.fixed_dictionaries(
        {"image": st.fixed_dictionaries({}, optional={"steps": st.integers(1, 9)})}
    ),
}
BODIES = st.fixed_dictionaries({"prompt": st.text("abc", min_size=1, max_size=5)}, optional=GOOD)


@given(BODIES)
def test_what_is_kept_as_said_was_written_so(body: dict[str, Any]) -> None:
    written = {**body.pop("provider_options", {}).get("image", {}), **body}
    found = request({**body, "provider_options": {"image": {}}})
    for name, raw in found.said.items():
        assert raw in [written[each] for each in BY_NAME[name].names if each in written]


@given(BODIES)
def test_reading_twice_reads_the_same_and_changes_nothing(body: dict[str, Any]) -> None:
    before = json.dumps(body)
    assert reading(body) == reading(dict(reversed(body.items())))
    assert json.dumps(body) == before


@given(BODIES)
def test_every_word_of_the_caller_is_in_force_passed_on_or_superseded(body: dict[str, Any]) -> None:
    found = request(body)
    lost = {each.name for each in found.superseded}
    for name in body.keys() - {"provider_options"}:
        canonical = BY_NAME[name].name if name in BY_NAME else None
        assert name in lost or canonical in found.said or name in found.extra or body[name] == ""


@given(BODIES, BODIES)
def test_defaults_change_nothing_of_what_was_said(body: dict[str, Any], defaults: dict[str, Any]) -> None:
    usable = {
        name: value
        for name, value in defaults.items()
        if name not in ("prompt", "stream", "go_fast", "provider_options")
    }
    with_defaults, without = request(body, defaults=usable), request(body)
    assert with_defaults.said == without.said
    assert with_defaults.superseded == without.superseded
    assert with_defaults.shape.said == without.shape.said


def test_every_parameter_and_family_option_has_somewhere_to_go() -> None:
    samples = {
        "string": "x",
        "integer": 1,
        "number": 1,
        "boolean": True,
        "size": "64x64",
        "aspect_ratio": "1:1",
        "resolution": "1K",
    }
    plain = request()
    for parameter in PARAMETERS:
        value = parameter.choices[0] if parameter.kind == "choice" else samples[parameter.kind]
        beside = {"width": 1, "height": 1} if parameter.name in ("width", "height") else {}
        found = reading({parameter.name: value, **beside})
        assert found.request.said[parameter.name] == value
        assert found != Reading(plain), parameter.name
    for option in FAMILY_OPTIONS:
        assert option.name in request(image(**{option.name: samples[option.kind]})).extra
