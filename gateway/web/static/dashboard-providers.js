// How the gateway and each of its providers stand. Cards stay where they are; only what they say changes.

import { gatewayNow } from "./dashboard-feed.js";
import { el, fill, find, say } from "./dom.js";
import { ago, bytes, count, percent, seconds } from "./format.js";

const OVERALL = {
  ok: ["ok", "Everything works"],
  degraded: ["warn", "Degraded: a model or a provider has trouble"],
  down: ["bad", "Down: no picture can be made"],
};
const STATUS = {
  ok: ["ok", "Works"],
  degraded: ["warn", "Degraded"],
  open: ["bad", "Circuit open"],
  unconfigured: ["", "No key"],
};
const CIRCUIT = { closed: ["ok", "closed"], half_open: ["warn", "half open"], open: ["bad", "open"] };
const POOR = 0.9; // below it the gateway itself calls a provider degraded
const MODELS_SHOWN = 6;

const cards = new Map();
let said = null;

/** Show an answer of /admin/health. */
export function showHealth(health) {
  showOverview(health);
  const place = find("#providers");
  const names = Object.keys(health.providers);
  if (!names.length) return void fill(place, el("p", { class: "card empty" }, "No provider is configured."));
  for (const name of cards.keys()) if (!(name in health.providers)) cards.delete(name);
  for (const name of names) if (!cards.has(name)) cards.set(name, new Card(name));
  const nodes = names.map((name) => cards.get(name).node);
  const same = nodes.length === place.children.length && nodes.every((node, at) => node === place.children[at]);
  if (!same) fill(place, nodes);
  for (const name of names) cards.get(name).show(health.providers[name]);
}

function showOverview({ status, uptime_seconds, version, state, storage, providers }) {
  const [tone, text] = OVERALL[status] ?? ["", status];
  const all = Object.values(providers);
  const sum = (name) => count(all.reduce((whole, each) => whole + each[name], 0));
  const free = storage.free_bytes === null ? "" : `, ${bytes(storage.free_bytes)} free`;
  const items = [
    ["In flight", sum("in_flight")],
    ["Queued", sum("queued")],
    ["State", state.ok ? `${state.kind}, ${state.latency_ms.toFixed(1)} ms` : `${state.kind} does not answer`, !state.ok],
    ["Storage", storage.ok ? `${storage.kind}${free}` : `${storage.kind} does not answer`, !storage.ok],
    ["Up for", seconds(Math.floor(uptime_seconds)).replace(/\.\d+ s$/, " s")],
    ["Version", version],
  ];
  const lamp = el("span", { class: `lamp ${tone}`, "aria-hidden": "true" });
  const fact = ([name, value, bad]) =>
    el("div", {}, el("dt", {}, name), el("dd", { class: bad ? "numbers worry" : "numbers" }, value));
  fill(find("#overview"),
    el("p", { class: "overall", dataset: { status } }, lamp, el("strong", {}, text)),
    el("dl", { class: "facts" }, items.map(fact)));
  find("#overview").setAttribute("aria-busy", "false");
  if (said !== null && said !== status) say(text);
  said = status;
}

class Card {
  #status = el("span", { class: "badge" });
  #type = el("span", { class: "muted small break" });
  #fields = new Map();
  #error = el("p", { class: "last small" });
  #models = el("p", { class: "models small muted break" });

  constructor(name) {
    const field = (key, label) => {
      const value = el("dd", { class: "numbers", dataset: { field: key } });
      this.#fields.set(key, value);
      return el("div", {}, el("dt", {}, label), value);
    };
    this.node = el("article", { class: "card provider", dataset: { provider: name } },
      el("header", { class: "row spread" },
        el("div", { class: "names" }, el("h3", { class: "break" }, name), this.#type), this.#status),
      el("dl", { class: "facts three" },
        field("circuit", "Circuit"), field("success_rate_5m", "Success"), field("in_flight", "In flight"),
        field("p50_seconds", "Median"), field("p95_seconds", "95th pct."), field("queued", "Queued")),
      this.#error, this.#models);
  }

  show(provider) {
    const [tone, text] = STATUS[provider.status] ?? ["", provider.status];
    this.node.dataset.status = provider.status;
    this.#status.className = `badge ${tone}`;
    this.#status.textContent = text;
    this.#type.textContent = provider.type;
    const [, circuit] = CIRCUIT[provider.circuit] ?? ["", provider.circuit];
    const rate = provider.success_rate_5m;
    this.#set("circuit", circuit, provider.circuit !== "closed");
    this.#set("success_rate_5m", rate === null ? "no calls" : percent(rate), rate !== null && rate < POOR);
    this.#set("in_flight", count(provider.in_flight));
    this.#set("queued", count(provider.queued));
    this.#set("p50_seconds", seconds(provider.p50_seconds));
    this.#set("p95_seconds", seconds(provider.p95_seconds));
    this.#showError(provider.last_error);
    const models = provider.models;
    const more = models.length > MODELS_SHOWN ? ` and ${models.length - MODELS_SHOWN} more` : "";
    this.#models.textContent = models.length ? `${models.slice(0, MODELS_SHOWN).join(", ")}${more}` : "No model leads here";
  }

  #set(key, text, worry = false) {
    const node = this.#fields.get(key);
    if (node.textContent !== text) node.textContent = text;
    node.classList.toggle("worry", worry);
    node.classList.toggle("muted", text === "–" || text === "no calls");
  }

  #showError(error) {
    this.#error.classList.toggle("muted", error === null);
    if (error === null) return void (this.#error.textContent = "No error on record");
    const at = new Date(error.at * 1000);
    const time = el("time", { datetime: at.toISOString(), title: at.toLocaleString() }, ago(at.getTime(), gatewayNow()));
    fill(this.#error, "Last error ", el("code", { class: "break" }, error.code), " ", time);
  }
}
