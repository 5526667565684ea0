// The operator's page: who may see it, when it asks, and what it says when it cannot.

import { keepKey, keyFor } from "./api.js";
import { Config } from "./dashboard-config.js";
import { facts } from "./dashboard-feed.js";
import { showJobs } from "./dashboard-jobs.js";
import { showHealth } from "./dashboard-providers.js";
import { Pulse } from "./dashboard-pulse.js";
import { Usage } from "./dashboard-usage.js";
import { el, fill, find, say } from "./dom.js";

const WORDS = { live: "Live", paused: "Paused", hidden: "Asleep", failing: "Not up to date", waiting: "Loading" };

let standing = { state: "waiting" };
let tried = false; // a key was just typed in
let admitted = false; // the gateway answered with the key that is held, or with none
const usage = new Usage(() => pulse.now());
const config = new Config((error) => shut(error));
const pulse = new Pulse(turn, heard);

/** Everything once. Throws the first error, after all that could be shown is shown. */
async function turn(signal) {
  const health = facts("admin/health", signal).then(showHealth);
  if (!admitted) {
    // Whom the gateway does not let in is told so once, not by every endpoint.
    const error = await health.then(() => null, (reason) => reason);
    if (signal.aborted) return;
    if (error?.wantsKey) return void shut(error);
    open();
    if (error && !error.status) throw error;
    admitted = true;
  }
  const parts = [
    [health, null],
    [facts("admin/jobs", signal).then(showJobs), "#jobs-trouble"],
    [usage.turn(signal), "#usage-trouble"],
  ];
  const ends = await Promise.allSettled(parts.map(([part]) => part));
  if (signal.aborted) return;
  const errors = ends.map((end) => end.reason);
  const refusal = errors.find((error) => error?.wantsKey);
  if (refusal) return void shut(refusal);
  open();
  // Where nothing answers at all, that is said once.
  parts.forEach(([, place], at) => place && tell(place, errors[0] ? null : errors[at]));
  const error = errors.find(Boolean);
  if (error) throw error;
}

function tell(place, error) {
  const node = find(place);
  node.hidden = !error;
  if (error) node.textContent = error.message;
}

function open() {
  tried = false;
  find("#gate").hidden = true;
  find("#board").hidden = false;
  find("#controls").hidden = false;
  find("#leave").hidden = !keyFor("admin");
}

function shut(error) {
  admitted = false;
  pulse.stop();
  config.forget();
  const known = keyFor("admin") !== "";
  keepKey("", "admin");
  find("#board").hidden = true;
  find("#controls").hidden = true;
  find("#gate").hidden = false;
  const told = find("#gate-error");
  told.hidden = !(known || tried || error.status === 403);
  const why = known || tried ? "The gateway refused this key" : "The gateway is shut to operators";
  told.textContent = `${why}: ${error.message}`;
  tried = false;
  const field = find("#gate-key");
  field.setAttribute("aria-invalid", String(!told.hidden));
  field.focus();
}

function heard(told) {
  const before = standing.state;
  standing = { ...told, at: told.state === "live" ? Date.now() : standing.at };
  find("#pulse").dataset.state = told.state;
  find("#board").dataset.state = told.state;
  tick();
  const trouble = find("#trouble");
  trouble.hidden = told.state !== "failing";
  if (told.state === "failing" && before !== "failing") {
    const again = el("button", { class: "button tiny", type: "button", on: { click: () => pulse.now() } }, "Try now");
    const text = el("span", { id: "trouble-text" });
    fill(trouble, el("strong", {}, "What you see is not up to date."), text, el("span", {}, again));
    say("What you see is not up to date: the gateway does not answer as it should.");
  }
  if (told.state === "failing") tick();
  if (told.state === "live" && before === "failing") say("Up to date again.");
}

// Once a second, what only the clock changes.
function tick() {
  const since = standing.at ? Math.round((Date.now() - standing.at) / 1000) : null;
  const ending = since === null || standing.state === "hidden" ? "" : since < 2 ? ", just now" : `, ${since} s ago`;
  find("#pulse-text").textContent = `${WORDS[standing.state]}${ending}`;
  const place = find("#trouble-text");
  if (!place || standing.state !== "failing") return;
  const left = standing.next === null ? null : Math.max(0, Math.ceil((standing.next - Date.now()) / 1000));
  const next = left === null ? "" : left ? `The next try is in ${left} s.` : "Trying again.";
  place.textContent = `${standing.error.message} ${next}`;
}

find("#gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = find("#gate-key");
  keepKey(field.value.trim(), "admin");
  field.value = "";
  tried = true;
  pulse.start();
});
find("#pause").addEventListener("click", () => {
  pulse.pause(!pulse.paused);
  find("#pause").textContent = pulse.paused ? "Resume" : "Pause";
});
find("#leave").addEventListener("click", () => {
  keepKey("", "admin");
  location.reload();
});
setInterval(() => document.hidden || tick(), 1000);
pulse.start();
