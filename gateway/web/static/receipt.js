// What became of each parameter, and why.

import { el } from "./dom.js";

const WORDS = { passthrough: "as asked", renamed: "as asked", converted: "converted", emulated: "done here", dropped: "left out" };

/** How many entries tell of a loss: their note says which. */
export const noted = (entries) => entries.filter((each) => each.note).length;

/** The entries as a table: first what has a note, then what was changed, then the rest. */
export function receipt(entries, title) {
  const weight = (each) => (each.note ? 0 : each.behavior === "passthrough" || each.behavior === "renamed" ? 2 : 1);
  const sorted = entries.toSorted((one, other) => weight(one) - weight(other));
  return el(
    "div",
    { class: "scroller receipt-box", role: "region", tabindex: 0, "aria-label": title },
    el("table", { class: "receipt" },
      el("thead", {}, el("tr", {}, ["Parameter", "Asked", "Sent", "What became of it"].map((each) => el("th", { scope: "col" }, each)))),
      el("tbody", {}, sorted.map(line)),
    ),
  );
}

function line(entry) {
  return el(
    "tr",
    {},
    el("th", { scope: "row", class: "mono" }, entry.name),
    el("td", { class: "break" }, shown(entry.requested)),
    el("td", { class: "break" }, entry.behavior === "dropped" ? "–" : entry.sent === null ? "–" : shown(entry.sent)),
    el("td", {}, badge(entry), entry.note && el("p", { class: "note" }, entry.note)),
  );
}

function badge(entry) {
  return el("span", { class: entry.note ? "badge warn" : "badge", title: entry.behavior }, WORDS[entry.behavior] ?? entry.behavior);
}

/** The losses alone, one line each, for where a table is too much; null where there are none. */
export function losses(entries) {
  const found = entries.filter((each) => each.note);
  if (!found.length) return null;
  return el("ul", { class: "losses" }, found.map((each) => el("li", {}, badge(each), el("span", {}, el("b", { class: "mono" }, each.name), " ", each.note))));
}

function shown(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value.length > 160 ? `${value.slice(0, 160)}…` : value;
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.map(shown).join(", ");
  return Object.entries(value).map(([name, each]) => `${name} ${shown(each)}`).join(", ");
}
