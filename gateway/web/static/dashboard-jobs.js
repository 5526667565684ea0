// Submissions whose outcome is still to come.

import { el, fill, find } from "./dom.js";
import { count, dollars, seconds } from "./format.js";

const SHOWN = 100;
const LONG = 600; // seconds: past a client's own patience
const HEADS = ["Age", "State", "Provider", "Model", "Pictures", "Planned cost", "Key", "Generation", "Provider’s job"];
const NUMBERS = new Set(["Age", "Pictures", "Planned cost"]);
const STATES = {
  sending: ["warn", "sending"],
  accepted: ["accent", "accepted"],
};

/** Show an answer of /admin/jobs. */
export function showJobs({ jobs }) {
  find("#jobs-count").textContent = count(jobs.length);
  const place = find("#jobs");
  if (!jobs.length) {
    return void fill(place, el("div", { class: "empty" }, el("p", {}, "Nothing is under way, and nothing is left open.")));
  }
  const heads = HEADS.map((text) => el("th", { scope: "col", class: NUMBERS.has(text) && "number" }, text));
  const rest = jobs.length - SHOWN;
  const more = () => el("tr", {}, el("td", { colspan: HEADS.length, class: "muted" }, `and ${count(rest)} younger ones`));
  fill(place, el("table", {},
    el("caption", { class: "visually-hidden" }, "Unsettled jobs, oldest first"),
    el("thead", {}, el("tr", {}, heads)),
    el("tbody", {}, jobs.slice(0, SHOWN).map(row), rest > 0 && more())));
}

function row(job) {
  const [tone, state] = STATES[job.state] ?? ["", job.state];
  const age = seconds(Math.round(job.age_seconds)).replace(/\.\d+ s$/, " s");
  return el("tr", { dataset: { job: job.id } },
    el("td", { class: job.age_seconds > LONG ? "number worry" : "number" }, age),
    el("td", {}, el("span", { class: `badge ${tone}` }, state)),
    el("td", { class: "name" }, job.provider),
    el("td", { class: "name" }, job.model),
    el("td", { class: "number" }, count(job.images)),
    el("td", { class: "number" }, dollars(job.planned_cost_usd)),
    el("td", { class: "name" }, job.key ?? "–"),
    el("td", {}, el("code", { class: "id" }, job.generation_id)),
    el("td", {}, job.job === null ? "–" : el("code", { class: "id" }, job.job)));
}
