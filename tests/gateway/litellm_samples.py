"""Configurations as people write them for LiteLLM, and the secrets that stand in them."""

from __future__ import annotations

QUICK_START = """\
model_list:
  - model_name: gpt-image-2
    litellm_params:
      model: openai/gpt-image-2
      api_key: os.environ/OPENAI_API_KEY
    model_info: {mode: image_generation}
"""

BALANCED = """\
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o-eu, api_base: "https://eu.openai.azure.com/", api_key: os.environ/AZURE_EU}
  - model_name: picture
    litellm_params:
      model: azure/image-eu
      api_base: https://eu.openai.azure.com/
      api_key: os.environ/AZURE_EU
      api_version: 2025-04-01-preview
      rpm: 6
    model_info: {mode: image_generation, base_model: azure/gpt-image-1}
  - model_name: picture
    litellm_params:
      model: gpt-image-2
      api_key: sk-a-literal-key-of-openai
      rpm: 18
      tpm: 100000
      timeout: 300
      quality: high
    model_info: {mode: image_generation, output_cost_per_image: 0.04}
  - model_name: spare
    litellm_params: {model: xinference/flux-1-schnell, api_base: "http://10.0.0.5:9997/v1"}
    model_info: {mode: image_generation}
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {dall-e-3: picture, quick: {model: spare, hidden: true}, chat: gpt-4o}
  fallbacks: [{picture: [spare]}, {gpt-4o: [claude]}]
  num_retries: 3
  redis_host: os.environ/REDIS_HOST
litellm_settings: {drop_params: true, request_timeout: 400, success_callback: [langfuse]}
general_settings: {master_key: sk-the-master-key, database_url: "postgres://u:db-password@h/db"}
"""

SELF_HOSTED = """\
model_list:
  - model_name: flux-dev
    litellm_params: {model: hosted_vllm/black-forest-labs/FLUX.1-dev, api_base: "http://gpu-1:8000/v1", order: 2}
  - model_name: flux-dev
    litellm_params:
      model: openai/flux-dev
      api_base: http://localhost:8080/v1/
      api_key: none
      order: 1
      additional_drop_params: [user, response_format, logprobs]
      extra_headers: {Authorization: "Basic a-literal-header", X-Team: os.environ/TEAM}
  - model_name: sdxl
    litellm_params: {model: litellm_proxy/sdxl, api_base: os.environ/OTHER_PROXY, api_key: os.environ/OTHER_KEY}
    model_info: {mode: image_edit}
litellm_settings: {default_fallbacks: [sdxl]}
"""

MARKETPLACE = """\
credential_list:
  - credential_name: lumenfall
    credential_values: {api_base: "https://api.lumenfall.ai/openai/v1", api_key: os.environ/LUMENFALL_API_KEY}
model_list:
  - model_name: flux-2-max
    litellm_params: {model: openai/flux.2-max, litellm_credential_name: lumenfall}
  - model_name: kontext
    litellm_params:
      model: openai/black-forest-labs/flux-kontext-max/text-to-image
      api_base: https://api.umodelverse.ai/v1
      api_key: os.environ/MODELVERSE_API_KEY
  - model_name: recraft-v3
    litellm_params: {model: recraft/recraftv3, api_key: os.environ/RECRAFT_API_KEY}
  - model_name: grok-image
    litellm_params: {model: xai/grok-2-image-1212}
  - model_name: qwen-image
    litellm_params: {model: deepinfra/Qwen/Qwen-Image, input_cost_per_pixel: 1.9e-8}
router_settings: {routing_strategy: latency-based-routing}
"""

EVERYWHERE = """\
model_list:
  - {model_name: imagen, litellm_params: {model: vertex_ai/imagen-4, vertex_project: p}}
  - {model_name: banana, litellm_params: {model: gemini/gemini-2.5-flash-image}}
  - {model_name: pro, litellm_params: {model: black_forest_labs/flux-pro-1.1}}
  - {model_name: ultra, litellm_params: {model: fal_ai/fal-ai/flux-pro/v1.1-ultra}}
  - {model_name: sd3, litellm_params: {model: stability/sd3.5-large}}
  - {model_name: titan, litellm_params: {model: bedrock/amazon.titan-image-generator-v2:0}}
  - {model_name: schnell, litellm_params: {model: together_ai/black-forest-labs/FLUX.1-schnell}}
  - {model_name: "*", litellm_params: {model: "openai/gpt-image-*"}}
  - {model_name: mine, litellm_params: {model: openai/flux, api_base: "https://user:a-password@host/v1"}}
  - {model_name: keyed, litellm_params: {model: openai/flux, api_base: "https://host/v1?key=a-query-key"}}
  - {model_name: dall-e-3, litellm_params: {model: dall-e-3}}
  - {model_name: claude, litellm_params: {model: anthropic/claude-sonnet-4-5}}
  - {model_name: vectors, litellm_params: {model: voyage/voyage-image-embed}}
"""

CHEAPEST = """\
model_list:
  - model_name: poster
    litellm_params: {model: nebius/black-forest-labs/flux-dev, input_cost_per_image: 0.007}
  - model_name: poster
    litellm_params: {model: nscale/stabilityai/stable-diffusion-xl-base-1.0, api_key: a-literal-key-of-nscale}
    model_info: {mode: image_generation, output_cost_per_image: 0.003, input_cost_per_token: 0.1, team_id: red}
router_settings: {routing_strategy: cost-based-routing, timeout: 90}
"""

SAMPLES = {
    "quick-start": QUICK_START,
    "balanced": BALANCED,
    "self-hosted": SELF_HOSTED,
    "marketplace": MARKETPLACE,
    "everywhere": EVERYWHERE,
    "cheapest": CHEAPEST,
}
LITERALS = (
    "sk-a-literal-key-of-openai",
    "sk-the-master-key",
    "db-password",
    "a-literal-header",
    "a-password",
    "a-query-key",
    "a-literal-key-of-nscale",
)
