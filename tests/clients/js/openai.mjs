// OpenAI's client for JavaScript, carrying out calls; run by tests/clients/speaking.py.

import { Buffer } from "node:buffer";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { APIError, toFile } from "openai";
import { told } from "./telling.mjs";

async function spoken(baseURL, { method, arguments: given, extra, settings }, folder) {
  const { api_key: apiKey = "any", max_retries: maxRetries } = settings;
  const client = new OpenAI({ baseURL, apiKey, ...(maxRetries === undefined ? {} : { maxRetries }) });
  const names = method.split(".");
  const owner = names.slice(0, -1).reduce((found, name) => found[name], client);
  const { args, body } = await prepared(given, extra, folder);
  try {
    const answer = await owner[names.at(-1)](...args, ...(body === undefined ? [] : [body]));
    return await read(answer);
  } catch (error) {
    if (!(error instanceof APIError)) throw error;
    const { message, status = null, code = null, param = null, type = null, requestID = null } = error;
    return { error: { class: error.constructor.name, message, status, code, param, type, request_id: requestID } };
  }
}

async function read(answer) {
  if (answer?.[Symbol.asyncIterator] !== undefined) {
    const items = [];
    for await (const item of answer) items.push(item);
    if (answer.finalResponse !== undefined) return { events: items, answer: await answer.finalResponse() };
    return answer.data === undefined ? { events: items } : { answer: items };
  }
  return { answer: answer ?? null, request_id: answer?._request_id ?? null };
}

// The id of a model or of a response comes first and alone; whatever else is said is the body.
async function prepared(given, extra, folder) {
  const { model_id: model, response_id: response, ...rest } = given;
  const args = [model, response].filter((id) => id !== undefined);
  const body = { ...(await withFiles(rest, folder)), ...extra };
  return { args, body: Object.keys(body).length === 0 ? undefined : body };
}

async function withFiles(value, folder) {
  if (Array.isArray(value)) return Promise.all(value.map((each) => withFiles(each, folder)));
  if (value === null || typeof value !== "object") return value;
  if (value.$file === undefined) {
    const entries = Object.entries(value).map(async ([name, each]) => [name, await withFiles(each, folder)]);
    return Object.fromEntries(await Promise.all(entries));
  }
  const { data, name, type, how } = value.$file;
  const bytes = Buffer.from(data, "base64");
  if (how === "file") {
    writeFileSync(join(folder, name), bytes);
    return createReadStream(join(folder, name));
  }
  return toFile(bytes, name ?? undefined, type === null ? undefined : { type });
}

const folder = mkdtempSync(join(tmpdir(), "openai-js-"));
try {
  await told((baseURL, call) => spoken(baseURL, call, folder));
} finally {
  rmSync(folder, { recursive: true });
}
