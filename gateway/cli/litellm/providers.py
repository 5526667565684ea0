"""Which of LiteLLM's providers imagegate reaches too, and why the others are not.

An OpenAI-compatible images endpoint counts where the provider's own documentation shows one:
OpenAI https://platform.openai.com/docs/api-reference/images, DeepInfra https://deepinfra.com/docs/openai_api,
Nebius https://docs.nebius.com, Recraft https://www.recraft.ai/docs/api-reference/clients,
xAI https://docs.x.ai/docs/guides/image-generations, Xinference https://inference.readthedocs.io, vLLM-Omni
https://docs.vllm.ai/projects/vllm-omni. Default addresses and variables are LiteLLM's own
(https://docs.litellm.ai/docs/providers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OPENAI = "openai"
AZURE = "azure"
AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


@dataclass(frozen=True, slots=True)
class Speaks:
    """A provider with OpenAI's images API. `address` is what LiteLLM takes where `api_base` is not said."""

    address: str
    key: str | None = None
    """The variable that LiteLLM reads where `api_key` is not said; None: it calls without a key then."""
    version: str = ""
    """What LiteLLM adds to an `api_base` of its own accord."""
    drop: tuple[str, ...] = ()
    """Parameters that its page says it does not take."""
    remark: str = ""


SPEAKING: Mapping[str, Speaks] = {
    OPENAI: Speaks("https://api.openai.com/v1", "OPENAI_API_KEY"),
    AZURE: Speaks(
        "${AZURE_API_BASE}",
        "AZURE_API_KEY",
        version="/openai/v1",
        remark="translated to Azure's v1 API, which takes the deployment's name as the model and no api_version; make "
        "one picture before you rely on it",
    ),
    "litellm_proxy": Speaks("${LITELLM_PROXY_API_BASE}", "LITELLM_PROXY_API_KEY"),
    "xinference": Speaks("${XINFERENCE_API_BASE:-http://127.0.0.1:9997/v1}"),
    "hosted_vllm": Speaks("${HOSTED_VLLM_API_BASE}"),
    "deepinfra": Speaks("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "nebius": Speaks("https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
    "nscale": Speaks("https://inference.api.nscale.com/v1", "NSCALE_API_KEY"),
    "recraft": Speaks(
        "https://external.api.recraft.ai/v1",
        "RECRAFT_API_KEY",
        version="/v1",
        remark="edits are not translated: Recraft has them at addresses of its own",
    ),
    "xai": Speaks("https://api.x.ai/v1", "XAI_API_KEY", drop=("size", "quality", "style")),
}

_OWN_API = "speaks an API of its own, for which imagegate has no adapter"
_GOOGLE = "speaks Google's own API, for which imagegate has no adapter"

NOT_SPEAKING: Mapping[str, str] = {
    "aiml": _OWN_API,
    "azure_ai": "Azure's model catalogue has addresses and fields that differ by model",
    "bedrock": "needs AWS signatures, for which imagegate has no adapter",
    "black_forest_labs": f"{_OWN_API}; providers of type apiframe and onemin make flux-2-max",
    "dashscope": _OWN_API,
    "fal_ai": f"{_OWN_API}; some of its models are offered by providers of type apiframe",
    "fireworks_ai": _OWN_API,
    "gemini": _GOOGLE,
    "huggingface": _OWN_API,
    "openrouter": "makes pictures by chat completions, which imagegate does not speak",
    "replicate": _OWN_API,
    "runwayml": _OWN_API,
    "stability": _OWN_API,
    "together_ai": "its images endpoint takes width and height instead of size, and at most 4 pictures",
    "topaz": _OWN_API,
    "vertex_ai": _GOOGLE,
}

ADAPTED_HOSTS: Mapping[str, str] = {"api.umodelverse.ai": "modelverse"}
"""Hosts that LiteLLM reaches as if they were OpenAI, and imagegate by an adapter that knows them better."""


def why_not(provider: str) -> str:
    """Why a provider's models are not translated."""
    if not provider:
        return "no provider is named: write PROVIDER/MODEL, or openai/MODEL for a server of your own"
    return NOT_SPEAKING.get(provider, "imagegate has no adapter for this provider of LiteLLM")
