// The plan beside the prompt: what would be sent, to whom, what each parameter becomes, and the estimated cost.

import { ApiError, json } from "./api.js";
import { el, fill, find, settled } from "./dom.js";
import { money } from "./format.js";
import { standIn } from "./inputs.js";
import { form } from "./making.js";
import { losses, noted, receipt } from "./receipt.js";

const PAUSE_MILLISECONDS = 250;

/** A panel that follows the composer: `wanted()` is what would be sent now, `blame(error)` marks the field concerned. */
export function planner(wanted, blame) {
  const body = find("#plan-body");
  const state = find("#plan-state");
  const estimate = find("#estimate");
  let running = null;

  async function look() {
    running?.abort();
    const { orders, inputs } = wanted();
    if (!orders.length || !orders[0].body.prompt?.trim()) return nothing();
    running = new AbortController();
    const { signal } = running;
    state.textContent = "Looking…";
    try {
      const stands = await Promise.all(inputs.map(async (each) => ({ ...each, blob: await standIn(each) })));
      const told = await Promise.all(orders.map((order) => dryRun(order, stands, signal)));
      if (signal.aborted) return;
      show(told);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  async function dryRun(order, inputs, signal) {
    try {
      const path = `${inputs.length ? "v1/images/edits" : "v1/images/generations"}?dryRun=true`;
      const headers = order.strict ? { "x-imagegate-strict": "true" } : {};
      return { order, plan: await json(path, { body: inputs.length ? form(order.body, inputs) : order.body, headers, signal }) };
    } catch (error) {
      if (error instanceof ApiError) return { order, error };
      throw error;
    }
  }

  function nothing() {
    state.textContent = "";
    estimate.textContent = "";
    blame(null);
    fill(body, el("p", { class: "muted" }, "Write a prompt: what would be sent, to whom and at what cost stands here before anything is spent."));
  }

  function show(told) {
    const failed = told.find((each) => each.error);
    blame(failed?.error ?? null);
    state.textContent = "Nothing is sent yet";
    const costs = told.map((each) => each.plan?.total_cost_micros ?? null);
    const known = costs.filter((each) => each !== null);
    const sum = money(known.reduce((all, each) => all + each, 0));
    estimate.textContent = failed ? "" : known.length === costs.length ? `About ${sum}` : known.length ? `${sum} and unknown` : "Cost unknown";
    fill(body, told.map((each) => (each.error ? refused(each, told.length > 1) : planned(each))));
  }

  return { look: settled(PAUSE_MILLISECONDS, look), now: look };
}

function refused({ order, error }, named) {
  return el("div", { class: "notice bad" }, el("strong", {}, named ? `${order.body.model}: this would be refused` : "This would be refused"), el("p", {}, error.message));
}

function planned({ plan: { model, provider, plan, total_cost_micros: cost } }) {
  const entries = plan.parameters;
  const lost = noted(entries);
  return el(
    "div",
    { class: "planned stack" },
    el("div", { class: "row" },
      el("strong", {}, model), " ", el("span", { class: "muted" }, `by ${provider}${plan.model === model ? "" : ` (${plan.model})`}`), " ",
      el("span", { class: "badge accent numbers" }, cost === null ? "cost unknown" : `about ${money(cost)}`), " ",
      el("span", { class: "badge numbers" }, plan.calls.length === 1 ? "1 request" : `${plan.calls.length} requests`), " ",
      el("span", { class: lost ? "badge warn" : "badge ok" }, lost ? `${lost} ${lost === 1 ? "change" : "changes"}` : "exactly as asked")),
    losses(entries),
    el("details", {},
      el("summary", { class: "small" }, "Every parameter, and what would be sent"),
      el("div", { class: "stack deeper" },
        receipt(entries, `What becomes of each parameter at ${provider}`),
        el("pre", { class: "code", tabindex: 0, "aria-label": "The requests that would be sent" },
          plan.calls.map((call) => `${call.method} ${call.path}\n${JSON.stringify(call.body, null, 2)}`).join("\n\n")),
        plan.finish.length > 0 && el("p", { class: "small muted" }, "Then, here: ", plan.finish.map(step).join(", then ")))),
  );
}

function step(each) {
  const { step: name, unless, ...rest } = each;
  const how = Object.entries(rest).filter(([, value]) => value !== null).map(([key, value]) => `${key} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" ");
  return `${name} ${how}${unless ? ` (unless ${unless})` : ""}`;
}
