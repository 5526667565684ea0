// Vercel's AI SDK with its providers `openai` and `openai-compatible`, carrying out calls; run by tests/clients/speaking.py.
//
// `images.generate` and `images.edit` are both what generateImage does: pictures in the prompt make it an edit.

import { Buffer } from "node:buffer";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateImage, RetryError } from "ai";
import { told } from "./telling.mjs";

async function spoken(baseURL, { arguments: given, extra, settings }) {
  const { api_key: apiKey = "any", max_retries: maxRetries, provider = "openai" } = settings;
  const { model, prompt, image, mask, n, size, seed } = given;
  const known =
    provider === "openai"
      ? createOpenAI({ baseURL, apiKey }).image(model)
      : createOpenAICompatible({ name: "gateway", baseURL, apiKey }).imageModel(model);
  const pictures = (Array.isArray(image) ? image : [image]).filter((each) => each !== undefined).map(bytes);
  const edited = { text: prompt, images: pictures, ...(mask === undefined ? {} : { mask: bytes(mask) }) };
  const options = Object.keys(extra).length === 0 ? {} : { [provider === "openai" ? "openai" : "gateway"]: extra };
  try {
    const made = await generateImage({
      model: known,
      prompt: pictures.length === 0 ? prompt : edited,
      n,
      size,
      seed,
      providerOptions: options,
      ...(maxRetries === undefined ? {} : { maxRetries }),
    });
    return { answer: answer(made) };
  } catch (error) {
    return { error: refusal(RetryError.isInstance(error) ? error.lastError : error) };
  }
}

function answer({ images, warnings, usage, providerMetadata, calls }) {
  const data = images.map(({ base64, mediaType }) => ({ b64_json: base64, media_type: mediaType }));
  return { data, warnings, usage, metadata: providerMetadata, calls: calls.length };
}

function refusal(error) {
  if (!APICallError.isInstance(error)) throw error;
  const { code = null, param = null, type = null } = error.data?.error ?? {};
  const id = error.responseHeaders?.["x-request-id"] ?? null;
  return { class: error.name, message: error.message, status: error.statusCode, code, param, type, request_id: id };
}

function bytes({ $file: { data } }) {
  return new Uint8Array(Buffer.from(data, "base64"));
}

await told(spoken);
