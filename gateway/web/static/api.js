// The gateway's own HTTP, as anybody may use it. No cookie is ever sent; the key lives as long as the tab.

/** Where the gateway is: the pages may lie behind a proxy's prefix. */
export const root = new URL("../", import.meta.url);

const held = new Map(); // where the browser forbids storage, keys last until the page is left

/** The key for a role ("client" or "admin"), or "". */
export function keyFor(role = "client") {
  try {
    return sessionStorage.getItem(`imagegate.${role}`) ?? held.get(role) ?? "";
  } catch {
    return held.get(role) ?? "";
  }
}

/** Keep a key until the tab is closed; "" forgets it. */
export function keepKey(key, role = "client") {
  held.set(role, key);
  try {
    if (key) sessionStorage.setItem(`imagegate.${role}`, key);
    else sessionStorage.removeItem(`imagegate.${role}`);
  } catch {
    // what the tab itself holds is enough
  }
}

/**
 * What the gateway says when it does not answer as asked: OpenAI's envelope. `status` 0: nobody answered; below 400: the
 * error came within an answer that had begun well. `lost`: such an answer broke off. `replayed`: it was told before.
 */
export class ApiError extends Error {
  constructor(message, { status = 0, code = null, type = null, param = null, requestId = null, retryAfter = null, lost = false, replayed = false } = {}) {
    super(message);
    this.name = "ApiError";
    Object.assign(this, { status, code, type, param, requestId, retryAfter, lost, replayed });
  }

  /** Whether the work may go on all the same: the connection was lost, a proxy spoke instead, or the gateway is restarted. */
  get untold() {
    return this.lost || this.status === 0 || (!this.replayed && this.status >= 500 && (this.code === null || this.code === "draining"));
  }

  /** Whether another key could help. */
  get wantsKey() {
    return this.status === 401 || this.code === "admin_required";
  }
}

/**
 * A successful Response. `body`: FormData goes as a form, anything else as JSON. Throws ApiError; an AbortError where
 * `signal` ended it.
 */
export async function ask(path, { method, body, role = "client", headers = {}, signal } = {}) {
  const sent = new Headers(headers);
  const key = keyFor(role);
  if (key) sent.set("authorization", `Bearer ${key}`);
  const form = body instanceof FormData;
  if (body !== undefined && !form) sent.set("content-type", "application/json");
  let response;
  try {
    response = await fetch(new URL(path, root), {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers: sent,
      body: body === undefined || form ? body : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The gateway does not answer. Is it running, and is this computer online?");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** The JSON of a successful answer. Throws ApiError. */
export async function json(path, options) {
  const response = await ask(path, options);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The answer broke off or is not JSON.", { status: response.status });
  }
}

async function refusal(response) {
  let said = {};
  try {
    said = (await response.json()).error ?? {};
  } catch {
    // a proxy's page, say: the status tells what there is to tell
  }
  return new ApiError(String(said.message ?? `The gateway answered ${response.status}.`), {
    status: response.status,
    code: said.code ?? null,
    type: said.type ?? null,
    param: said.param ?? null,
    requestId: response.headers.get("x-request-id"),
    retryAfter: Number(response.headers.get("retry-after")) || null,
    replayed: response.headers.get("idempotent-replayed") === "true",
  });
}

/** A stream that broke off before its end. */
export function lost(response) {
  return new ApiError("The connection broke before the last picture was there. What a provider has begun may go on, and may be charged; to try again takes up the same request.", {
    status: response.status,
    requestId: response.headers.get("x-request-id"),
    lost: true,
  });
}

/** An error that arrived inside a stream, as one of ours. */
export function errorOf(said, response) {
  return new ApiError(String(said?.message ?? "The stream ended with an error."), {
    status: response.status,
    code: said?.code ?? null,
    type: said?.type ?? null,
    param: said?.param ?? null,
    requestId: response.headers.get("x-request-id"),
  });
}

/** The events of a text/event-stream, each parsed from JSON; ends at [DONE]. Throws ApiError where it breaks off. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let kept = []; // pieces of a line that has not ended: a picture is one long line, and is joined once
  let data = [];
  try {
    for (;;) {
      let piece;
      try {
        piece = await reader.read();
      } catch (error) {
        if (error.name === "AbortError") throw error;
        throw lost(response);
      }
      if (piece.done) return;
      const lines = piece.value.split("\n");
      for (let i = 0; i < lines.length; i += 1) {
        kept.push(lines[i]);
        if (i === lines.length - 1) break;
        const line = kept.join("").replace(/\r$/, "");
        kept = [];
        if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
        else if (line === "" && data.length) {
          const text = data.join("\n");
          data = [];
          if (text === "[DONE]") return;
          yield JSON.parse(text);
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
