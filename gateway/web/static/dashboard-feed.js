// The operator's endpoints, and the gateway's clock: what it says happened when is held against its own time.

import { ApiError, ask } from "./api.js";

const PATIENCE = 60_000;
const EXACT = 2_000; // an answer's Date is in whole seconds
let ahead = 0;

/** The gateway's time in epoch milliseconds. */
export const gatewayNow = () => Date.now() + ahead;

/** The answer of an operator's endpoint, with the admin's key. Throws ApiError, or AbortError after `signal`. */
export async function admin(path, signal) {
  const limits = [AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])];
  const response = await ask(path, { role: "admin", signal: AbortSignal.any(limits) });
  const date = Date.parse(response.headers.get("date") ?? "");
  if (!Number.isNaN(date)) ahead = Math.abs(date - Date.now()) > EXACT ? date - Date.now() : 0;
  return response;
}

/** The same as JSON. */
export async function facts(path, signal) {
  const response = await admin(path, signal);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The answer broke off or is not JSON.", { status: response.status });
  }
}
