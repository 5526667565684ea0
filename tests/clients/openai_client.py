"""OpenAI's client for Python, of any major version, carrying out calls; run by tests.clients.speaking."""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai


def tell(spoken: Callable[[str, Mapping[str, Any]], dict[str, Any]]) -> None:
    """Read the calls, carry them out one after the other, write what came of them."""
    asked = json.load(sys.stdin)
    json.dump({name: spoken(asked["base_url"], call) for name, call in asked["calls"].items()}, sys.stdout)


def spoken(base_url: str, call: Mapping[str, Any]) -> dict[str, Any]:
    with ExitStack() as stack:
        client = stack.enter_context(openai.OpenAI(**{"base_url": base_url, "api_key": "any", **call["settings"]}))
        method: Any = client
        for name in call["method"].split("."):
            method = getattr(method, name)
        arguments = {name: prepared(value, stack) for name, value in call["arguments"].items()}
        if call["extra"]:
            arguments["extra_body"] = call["extra"]
        try:
            return told(method(**arguments))
        except openai.APIError as error:
            return {"error": error_of(error)}


def told(answer: Any) -> dict[str, Any]:
    if isinstance(answer, openai.Stream):
        return {"events": [event.to_dict() for event in answer]}
    if hasattr(answer, "__enter__"):  # the helper around a stream of responses
        with answer as stream:
            events = [event.to_dict(warnings=False) for event in stream]
            return {"events": events, "answer": stream.get_final_response().to_dict(warnings=False)}
    if isinstance(answer, openai.BaseModel) and not hasattr(answer, "has_next_page"):
        told = answer.to_dict(warnings=False)
        if hasattr(answer, "output_text"):
            told["output_text"] = answer.output_text
        return {"answer": told, "request_id": getattr(answer, "_request_id", None)}
    return {"answer": None if answer is None else [item.to_dict() for item in answer]}


def error_of(error: openai.APIError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "message": str(error),
        "status": getattr(error, "status_code", None),
        "code": error.code,
        "param": error.param,
        "type": error.type,
        "request_id": getattr(error, "request_id", None),
    }


def prepared(value: Any, stack: ExitStack) -> Any:
    """An argument as a user of the library would hand it over."""
    if isinstance(value, list):
        return [prepared(each, stack) for each in value]
    if not isinstance(value, dict) or "$file" not in value:
        return value
    given = value["$file"]
    data = base64.b64decode(given["data"])
    if given["how"] == "file":
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / given["name"]).write_bytes(data)
        return stack.enter_context((folder / given["name"]).open("rb"))
    if given["name"] is None:
        return data
    return (given["name"], data) if given["type"] is None else (given["name"], data, given["type"])


if __name__ == "__main__":
    tell(spoken)
