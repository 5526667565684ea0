// Usage over time by group. /admin/usage groups by one thing, so each step of the span is asked for by itself; those that
// can no longer change are kept. Steps begin at multiples of their length since 1970 in UTC, as the ledger's days do.

import { facts, gatewayNow } from "./dashboard-feed.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const SPANS = [
  { name: "1h", text: "Last hour", step: 5 * MINUTE, steps: 12, each: "5 minutes" },
  { name: "24h", text: "Last 24 hours", step: HOUR, steps: 24, each: "hour" },
  { name: "7d", text: "Last 7 days", step: 6 * HOUR, steps: 28, each: "6 hours" },
  { name: "30d", text: "Last 30 days", step: DAY, steps: 30, each: "day" },
  { name: "90d", text: "Last 90 days", step: 3 * DAY, steps: 30, each: "3 days" },
];
export const GROUPS = [
  { name: "model", text: "Model", none: "no model" },
  { name: "provider", text: "Provider", none: "no provider asked" },
  { name: "key", text: "Key", none: "no key" },
  { name: "status", text: "Status", none: "never answered" },
];

const MOVING = 15 * MINUTE; // a request is entered when it is answered, at the time when it came
const OLD = 10 * MINUTE; // what is kept is looked at again after it: jobs settle late
const USUAL = 5_000;
const SHARE = 250; // times as long as an answer takes, until it is asked for again: two such looks are 0.8 % of a core
const AT_ONCE = 3;

const SUMS = ["requests", "errors", "images", "upstream_calls", "cost_usd", "unknown_cost_calls"];

const pause = (spent) => Math.max(USUAL, SHARE * spent);
const iso = (at) => new Date(at).toISOString();

/** Where the sums of a span are. */
export const asked = (group, from, to) => `admin/usage?group_by=${group.name}&from=${iso(from)}&to=${iso(to)}`;

/** Begin and end of each step of a span that ends now, oldest first, in epoch milliseconds. */
export function stepsOf(span, now) {
  const end = (Math.floor(now / span.step) + 1) * span.step;
  return Array.from({ length: span.steps }, (_, index) => {
    const from = end - (span.steps - index) * span.step;
    return { from, to: from + span.step };
  });
}

/** Rows of the same sums, added up; cost in whole micro-dollars, so that nothing is lost in adding. */
export function added(rows) {
  const sums = Object.fromEntries(SUMS.map((name) => [name, 0]));
  for (const row of rows) {
    for (const name of SUMS) sums[name] += name === "cost_usd" ? Math.round(row.cost_usd * 1e6) : row[name];
  }
  return { ...sums, cost_usd: sums.cost_usd / 1e6 };
}

function byWeight(one, other) {
  return other.requests - one.requests || other.upstream_calls - one.upstream_calls || (one.group < other.group ? -1 : 1);
}

/** The usage of one span by one group, brought up to date in turns. */
export class Spans {
  #kept = new Map();
  #due = 0;
  #dueWhole = 0;
  #whole = null;
  #full = 0;

  constructor(span, group) {
    this.span = span;
    this.group = group;
  }

  /** The whole span's begin and end. */
  bounds(now = gatewayNow()) {
    const steps = stepsOf(this.span, now);
    return { from: steps[0].from, to: steps.at(-1).to };
  }

  /** Ask for what may have changed. True: there is news. Throws what `facts` throws. */
  async turn(signal) {
    const now = gatewayNow();
    const due = now >= this.#due;
    const dueWhole = now >= this.#dueWhole;
    if (due) await this.#steps(now, signal);
    if (dueWhole) await this.#percentiles(now, signal);
    return due || dueWhole;
  }

  /** {steps: [{from, to, rows: Map of sums by group}], rows: [{group, sums, p50, p95}] by requests, totals}. */
  read(now = gatewayNow()) {
    const rowsAt = (from) => this.#kept.get(from)?.rows ?? new Map();
    const steps = stepsOf(this.span, now).map((step) => ({ ...step, rows: rowsAt(step.from) }));
    const names = [...new Set(steps.flatMap((step) => [...step.rows.keys()]))];
    const times = new Map(this.#whole?.rows.map((row) => [row.group, row]) ?? []);
    const rows = names.map((name) => {
      const sums = added(steps.flatMap((step) => step.rows.get(name) ?? []));
      const { p50_seconds, p95_seconds } = times.get(name) ?? {};
      return { group: name, ...sums, p50_seconds, p95_seconds };
    });
    rows.sort(byWeight);
    const { p50_seconds, p95_seconds } = this.#whole?.totals ?? {};
    return { steps, rows, totals: { ...added(rows), p50_seconds, p95_seconds } };
  }

  async #steps(now, signal) {
    const steps = stepsOf(this.span, now);
    const again = Math.max(OLD, this.#full);
    const wanted = steps.filter(({ from, to }) => {
      const at = this.#kept.get(from)?.at;
      return at === undefined || at < to + MOVING || now - at > again;
    });
    let spent = 0;
    const waiting = [...wanted];
    const work = async () => {
      for (let step = waiting.pop(); step; step = waiting.pop()) {
        const began = performance.now();
        const answer = await facts(asked(this.group, step.from, step.to), signal);
        spent += performance.now() - began;
        this.#kept.set(step.from, { at: now, rows: new Map(answer.rows.map((row) => [row.group, row])) });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    for (const from of this.#kept.keys()) if (from < steps[0].from) this.#kept.delete(from);
    const all = wanted.length === steps.length;
    if (all) this.#full = pause(spent);
    this.#due = now + (all ? USUAL : pause(spent));
  }

  // Percentiles cannot be added up: they are those of the whole span, which is dear where the ledger is long.
  async #percentiles(now, signal) {
    const { from, to } = this.bounds(now);
    const began = performance.now();
    this.#whole = await facts(asked(this.group, from, to), signal);
    this.#dueWhole = now + pause(performance.now() - began);
  }
}
