"""LangChain's wrapper of the images API, carrying out calls; run by tests.clients.speaking.

`images.generate` is what DallEAPIWrapper does: it keeps the URLs alone, joined into one text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openai
from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper

from tests.clients.openai_client import error_of, tell


def spoken(base_url: str, call: Mapping[str, Any]) -> dict[str, Any]:
    assert call["method"] == "images.generate"
    given = {name: value for name, value in call["arguments"].items() if name != "prompt"}
    wrapper = DallEAPIWrapper(**{"base_url": base_url, "api_key": "any", **call["settings"], **given}, **call["extra"])
    try:
        text = wrapper.run(call["arguments"]["prompt"])
    except openai.APIError as error:
        return {"error": error_of(error)}
    return {"answer": {"data": [{"url": address} for address in text.split("\n")]}}


if __name__ == "__main__":
    tell(spoken)
