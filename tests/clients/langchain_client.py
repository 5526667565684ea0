"""LangChain, carrying out calls; run by tests.clients.speaking.

`images.generate` is what DallEAPIWrapper does: it keeps the URLs alone, joined into one text. `responses.create` is
what ChatOpenAI does with its tools bound, at once or streamed.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any

import openai
from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper
from langchain_openai import ChatOpenAI

from tests.clients.openai_client import error_of, tell


def spoken(base_url: str, call: Mapping[str, Any]) -> dict[str, Any]:
    carry_out = {"images.generate": drawn, "responses.create": answered}[call["method"]]
    try:
        return {"answer": carry_out({"base_url": base_url, "api_key": "any", **call["settings"]}, call["arguments"])}
    except openai.APIError as error:
        return {"error": error_of(error)}


def drawn(settings: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    wrapper = DallEAPIWrapper(**settings, **{name: value for name, value in given.items() if name != "prompt"})
    return {"data": [{"url": address} for address in wrapper.run(given["prompt"]).split("\n")]}


def answered(settings: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    chat = ChatOpenAI(**settings, model=given["model"], use_responses_api=True, output_version="responses/v1")
    asked = chat.bind_tools(given["tools"])
    if not given.get("stream"):
        return {"content": asked.invoke(given["input"]).content}
    return {"content": reduce(operator.add, asked.stream(given["input"])).content}


if __name__ == "__main__":
    tell(spoken)
