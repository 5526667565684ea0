// Vercel's AI SDK with its providers `openai` and `openai-compatible`, carrying out calls; run by tests/clients/speaking.py.
//
// `images.generate` and `images.edit` are both what generateImage does: pictures in the prompt make it an edit.
// `responses.create` is what generateText and streamText do with OpenAI's image_generation tool.

import { Buffer } from "node:buffer";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateImage, generateText, RetryError, streamText } from "ai";
import { told } from "./telling.mjs";

async function spoken(baseURL, { method, arguments: given, extra, settings }) {
  const { api_key: apiKey = "any", max_retries: maxRetries, provider = "openai" } = settings;
  const shared = maxRetries === undefined ? {} : { maxRetries };
  const made = provider === "openai" ? createOpenAI : createOpenAICompatible;
  const source = made({ name: provider === "openai" ? undefined : "gateway", baseURL, apiKey });
  try {
    if (method === "responses.create") return { answer: await drawnByTool(source, given, extra, shared) };
    return { answer: await drawn(source, given, extra, shared) };
  } catch (error) {
    return { error: refusal(RetryError.isInstance(error) ? error.lastError : error) };
  }
}

async function drawn(source, { model, prompt, image, mask, n, size, seed }, extra, shared) {
  const pictures = (Array.isArray(image) ? image : [image]).filter((each) => each !== undefined).map(bytes);
  const edited = { text: prompt, images: pictures, ...(mask === undefined ? {} : { mask: bytes(mask) }) };
  const known = source.imageModel(model);
  const made = await generateImage({
    model: known,
    prompt: pictures.length === 0 ? prompt : edited,
    n,
    size,
    seed,
    providerOptions: Object.keys(extra).length === 0 ? {} : { [known.provider.split(".")[0]]: extra },
    ...shared,
  });
  return answer(made);
}

async function drawnByTool(source, { model, prompt, stream }, options, shared) {
  const asked = {
    model: source.responses(model),
    prompt,
    tools: { image_generation: source.tools.imageGeneration(options) },
    ...shared,
  };
  const result = stream ? streamText({ ...asked, onError: ({ error }) => console.error(error) }) : await generateText(asked);
  const results = await result.toolResults;
  // A partial picture is a result of the same call, before the whole one.
  const last = new Map(results.map((each) => [each.toolCallId, each.output.result]));
  return { data: [...last.values()].map((b64_json) => ({ b64_json })), text: await result.text };
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
