// A request for pictures: sent as a stream, and told picture by picture.

import { ask, errorOf, events, lost, root } from "./api.js";

const THUMBNAIL = 320; // pixels of the longer side

/** A request with pictures, as a form. `inputs`: [{blob, name, mask}], of which the first may carry the mask. */
export function form(body, inputs) {
  const parts = new FormData();
  for (const [name, value] of Object.entries(body)) parts.append(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  for (const input of inputs) parts.append("image[]", input.blob, input.name);
  if (inputs[0]?.mask) parts.append("mask", inputs[0].mask, "mask.png");
  return parts;
}

/**
 * Make pictures. Yields {kind: "begun", generation}, {kind: "partial", index, blob}, {kind: "picture", picture} and at
 * last {kind: "ended", metadata, seconds}. Throws ApiError, or an AbortError where `signal` ended it. What is sent again
 * with the same `order.token` is carried out once.
 */
export async function* make(order, inputs, signal) {
  const began = performance.now();
  const path = inputs.length ? "v1/images/edits" : "v1/images/generations";
  const body = { ...order.body, stream: true, response_format: "url", ...(order.partials ? { partial_images: 2 } : {}) };
  const headers = { "idempotency-key": order.token ?? token(), "x-imagegate-thumbnail": String(THUMBNAIL), ...(order.strict ? { "x-imagegate-strict": "true" } : {}) };
  const response = await ask(path, { body: inputs.length ? form(body, inputs) : body, headers, signal });
  const generation = response.headers.get("x-generation-id");
  yield { kind: "begun", generation };
  let metadata = null;
  for await (const event of events(response)) {
    if (event.error || event.type === "error") throw errorOf(event.error, response);
    if (String(event.type).endsWith(".partial_image")) yield { kind: "partial", index: event.image_index ?? 0, blob: decoded(event.partial_image_b64 ?? event.b64_json, event.output_format) };
    if (String(event.type).endsWith(".completed")) {
      metadata = event.metadata ?? metadata;
      yield { kind: "picture", picture: pictureOf(event, generation) };
    }
  }
  if (!metadata) throw lost(response);
  yield { kind: "ended", metadata, seconds: (performance.now() - began) / 1000 };
}

function pictureOf(event, generation) {
  const address = event.url ? hosted(event.url) : null;
  return {
    index: event.image_index ?? 0,
    blob: decoded(event.b64_json, event.output_format),
    small: event.thumbnail_b64_json ? decoded(event.thumbnail_b64_json, "webp") : null,
    size: event.size,
    format: event.output_format,
    seed: event.seed ?? null,
    revised: event.revised_prompt ?? null,
    generation,
    path: address,
    expires: address ? expiry(address) : null,
  };
}

/** A hosted picture's path from the gateway's root on: pages fetch from where they came from, whatever its public name. */
export function hosted(url) {
  const at = url.indexOf("v1/images/files/");
  return at < 0 ? null : url.slice(at);
}

/** When a signed path stops to work, in epoch milliseconds; null = it does not say. */
export const expiry = (path) => Number(new URL(path, root).searchParams.get("exp")) * 1000 || null;

function decoded(text, format = "png") {
  const type = `image/${format}`;
  if (Uint8Array.fromBase64) return new Blob([Uint8Array.fromBase64(text)], { type });
  return new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type });
}

// crypto.randomUUID is for secure origins alone; a gateway in the house has none.
export function token() {
  return `page-${[...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("")}`;
}

/** A seed that every provider can take. */
export const roll = () => crypto.getRandomValues(new Uint32Array(1))[0] % 2147483000;
