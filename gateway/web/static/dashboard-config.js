// The configuration in force: read when somebody opens it, section by section, and searched as it is typed.

import { facts } from "./dashboard-feed.js";
import { el, fill, find, settled } from "./dom.js";
import { count } from "./format.js";

const TYPING = 120;
const NOTHING = "nothing";

/** What leads to each plain value: [["apiframe.base_url", "https://..."], ...]; lists of plain values are one. */
export function leaves(value, path = "") {
  const plain = (each) => each === null || typeof each !== "object";
  if (plain(value) || (Array.isArray(value) && value.every(plain))) return [[path, value]];
  const entries = Array.isArray(value) ? value.map((each, at) => [`[${at}]`, each]) : Object.entries(value);
  if (!entries.length) return [[path, value]];
  const dot = Array.isArray(value) || !path ? "" : ".";
  return entries.flatMap(([name, held]) => leaves(held, `${path}${dot}${name}`));
}

function written(value) {
  if (value === null || value === "") return "–";
  if (Array.isArray(value)) return value.length ? value.join(", ") : NOTHING;
  return typeof value === "object" ? NOTHING : String(value);
}

export class Config {
  #sections = [];
  #read = false;
  #turn = 0;

  /** `refused(error)` hears of an error that another key could mend. */
  constructor(refused) {
    this.refused = refused;
    find("#config").addEventListener("toggle", () => find("#config").open && !this.#read && this.read());
    find("#config-again").addEventListener("click", () => this.read());
    find("#config-search").addEventListener("input", settled(TYPING, () => this.#search()));
  }

  forget() {
    this.#turn += 1;
    this.#read = false;
    this.#sections = [];
    find("#config").open = false;
    fill(find("#config-rows"));
  }

  async read() {
    this.#read = true;
    const mine = (this.#turn += 1);
    const place = find("#config-rows");
    try {
      const told = await facts("admin/config");
      if (mine !== this.#turn) return; // it was asked for again since, or is not to be shown any more
      this.#show(told);
      this.#search();
    } catch (error) {
      if (mine !== this.#turn) return;
      this.#read = false;
      if (error.wantsKey) return void this.refused(error);
      fill(place, el("p", { class: "notice bad", role: "alert" }, error.message));
    }
  }

  #show(config) {
    this.#sections = Object.entries(config).map(([name, value]) => {
      const rows = leaves(value).map(([path, held]) => {
        const text = written(held);
        const muted = text === "–" || held === "unset" || text === NOTHING;
        const node = el("div", { class: "setting" },
          el("dt", { class: "mono break" }, path || name),
          el("dd", { class: muted ? "mono break muted" : "mono break" }, text));
        return { node, text: `${name}${path ? `.${path}` : ""} ${text}`.toLowerCase() };
      });
      const tally = el("span", { class: "muted small" }, count(rows.length));
      const node = el("details", { class: "section" },
        el("summary", {}, el("span", { class: "mono" }, name), " ", tally),
        el("dl", {}, rows.map((row) => row.node)));
      return { node, rows, tally };
    });
    fill(find("#config-rows"), this.#sections.map((section) => section.node));
  }

  #search() {
    const words = find("#config-search").value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const { node, rows, tally } of this.#sections) {
      let here = 0;
      for (const row of rows) {
        row.node.hidden = !words.every((word) => row.text.includes(word));
        here += row.node.hidden ? 0 : 1;
      }
      node.hidden = here === 0;
      tally.textContent = count(here);
      if (words.length) node.open = here > 0;
      found += here;
    }
    const settings = found === 1 ? "1 setting" : `${count(found)} settings`;
    find("#config-found").textContent = words.length
      ? `${found ? settings : "No setting"} with ${words.join(" and ")}`
      : `${settings}; secrets are only told as set or unset`;
  }
}
