"""What a client is told of a worker's refusal: the worker's words, by the client's names, and nothing of the house."""

from __future__ import annotations

import json

import pytest

from normalization.errors import RejectedByProvider
from providers.base import Failed, Options, WireReply
from providers.flux_worker.adapter import FluxWorker
from providers.flux_worker.refusals import SAID_MOST, tellable
from tests.providers.conversing import call_of, first

PIXELS = "4096x4096 is 16777216 pixels; at most 1048576 are made"


def told(message: str, param: str = "", status: int = 422) -> str:
    """What a client is told of such an answer."""
    adapter = FluxWorker(Options(name="p"))
    call = call_of(adapter, "black-forest-labs/FLUX.2-dev")
    body = {"error": {"code": str(status), "message": message, "param": param, "type": "invalid_request_error"}}
    reply = adapter.read(WireReply(status, json.dumps(body).encode()), first(adapter, call), call)
    assert isinstance(reply, Failed)
    assert isinstance(reply.error, RejectedByProvider)
    assert reply.refused
    assert reply.error.param is None
    opening = "the worker refused the request as invalid"
    assert reply.error.message.startswith(opening)
    return reply.error.message.removeprefix(opening)


@pytest.mark.parametrize(
    ("message", "param", "expected"),
    [
        ("provider_options.image.steps: 60; at most 50 are made", "", '; of "steps" it says: 60; at most 50 are made'),
        (f"provider_options.image.width: {PIXELS}", "provider_options.image.width", f'; of "size" it says: {PIXELS}'),
        ("provider_options.image.num_images: 6; at most 4", "", '; of "n" it says: 6; at most 4'),
        ("provider_options.image.guidance_scale: too high", "", '; of "guidance" it says: too high'),
        ("input.image_url: 3 pictures; this model takes 1", "", '; of "image" it says: 3 pictures; this model takes 1'),
        ("imagegate.mask: it is of another size", "imagegate.mask", '; of "mask" it says: it is of another size'),
        ("imagegate.mode: cannot img2img", "imagegate.mode", "; it says: cannot img2img"),
        ("input: flux2 takes 1 pictures, not 3", "input", "; it says: flux2 takes 1 pictures, not 3"),
        ("provider_options.image.flow: Extra inputs", "", '; of "flow" it says: Extra inputs'),
        ("seed", "", '; it seems to be about "seed"'),
        ("leave provider_options.image.num_images out", "", "; it says: leave n out"),
        ("", "", ""),
    ],
)
def test_the_reason_is_told_with_the_parameter_as_the_client_calls_it(message: str, param: str, expected: str) -> None:
    assert told(f"Validation error: {message}" if message else "", param) == expected


@pytest.mark.parametrize(("status", "param"), [(400, "input"), (400, ""), (500, "")])
def test_a_prompt_beyond_the_model_is_told_with_its_length(status: int, param: str) -> None:
    words = "Prompt is too long: 700 tokens; this model reads at most 512"
    assert told(words, param, status) == f'; of "prompt" it says: {words}'


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("no weights in /models/flux/dev today", "no weights in <path> today"),
        (r"no weights in C:\models\flux today", "no weights in <path> today"),
        ("asked 10.0.0.3:8800 and gpu-7.cluster.local:8800", "asked <address> and <address>"),
        ("asked [fd00::7]:8800 and localhost:8800", "asked <address> and <address>"),
        ("see https://worker.internal/docs?key=1 for more", "see <address> for more"),
        ("key=abc123defgh is wrong", "key=<hidden> is wrong"),
        ("got data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", "got <address>"),
        ("red\x1b[31m\nnext\x00\u202eline", "red [31m next line"),
        ("a ratio of 1/2, a shape of 16:9, 0.5 of 1.0", "a ratio of 1/2, a shape of 16:9, 0.5 of 1.0"),
    ],
)
def test_no_address_path_key_or_control_character_of_the_house_is_told(words: str, shown: str) -> None:
    assert tellable(words) == shown


def test_long_words_are_cut() -> None:
    shown = tellable("word " * 1000)
    assert len(shown) <= SAID_MOST
    assert shown.endswith("word…")
