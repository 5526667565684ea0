// Requests, pictures and cost over time and by group: charts, the table of sums, and the same as a file.

import { admin, gatewayNow } from "./dashboard-feed.js";
import { Chart } from "./dashboard-chart.js";
import { GROUPS, SPANS, Spans, added, asked } from "./dashboard-spans.js";
import { el, fill, find } from "./dom.js";
import { count, dollars, seconds } from "./format.js";

const COLOURED = 5; // groups with a colour of their own; the rest share one
const SHOWN = 200;

// Exact to a hundredth of a cent; on an axis as short as it can be.
function cost(usd, axis) {
  if (axis && (usd >= 10 || Number.isInteger(usd))) return `$${count(usd)}`;
  return dollars(axis ? Number(usd.toPrecision(2)) : Math.round(usd * 1e4) / 1e4);
}

const number = (value) => (Number.isInteger(value) ? count(value) : String(value));
const CHARTS = [
  { name: "requests", title: "Requests", value: (row) => row.requests, shown: number, whole: true },
  { name: "images", title: "Pictures", value: (row) => row.images, shown: number, whole: true },
  { name: "cost_usd", title: "Cost", value: (row) => row.cost_usd, shown: cost, whole: false },
];
const COLUMNS = [
  ["requests", "Requests", count],
  ["errors", "Errors", count],
  ["images", "Pictures", count],
  ["upstream_calls", "Calls", count],
  ["cost_usd", "Cost", dollars],
  ["unknown_cost_calls", "Cost unknown", count],
  ["p50_seconds", "Median", seconds],
  ["p95_seconds", "95th percentile", seconds],
];

const beside = matchMedia("(min-width: 46rem)");

export class Usage {
  #charts = CHARTS.map((each) => new Chart(each, (open) => this.#opened(open)));
  #drawn = "";
  #order = []; // groups by colour

  /** `changed()`: another span or group was chosen. */
  constructor(changed) {
    fill(find("#usage-charts"), this.#charts.map((chart) => chart.node));
    const said = new URLSearchParams(location.hash.slice(1));
    this.#offer("#usage-span", SPANS, said.get("time") ?? "24h");
    this.#offer("#usage-group", GROUPS, said.get("by") ?? "model");
    this.#choose();
    for (const id of ["#usage-span", "#usage-group"]) {
      find(id).addEventListener("change", () => {
        this.#choose();
        history.replaceState(null, "", `#time=${this.spans.span.name}&by=${this.spans.group.name}`);
        changed();
      });
    }
    find("#usage-csv").addEventListener("click", () => this.#download());
  }

  async turn(signal) {
    const spans = this.spans;
    const news = await spans.turn(signal);
    if (spans === this.spans && (news || this.#drawn === "")) this.#draw();
    find("#usage").setAttribute("aria-busy", "false");
  }

  #offer(id, choices, chosen) {
    fill(find(id), choices.map(({ name, text }) => el("option", { value: name, selected: name === chosen }, text)));
  }

  #choose() {
    const [span, group] = ["#usage-span", "#usage-group"].map((id) => find(id).value);
    this.spans = new Spans(SPANS.find(({ name }) => name === span), GROUPS.find(({ name }) => name === group));
    this.#order = [];
    find("#usage").setAttribute("aria-busy", "true");
  }

  // Tables that stand side by side open together.
  #opened(open) {
    if (beside.matches) for (const chart of this.#charts) chart.show(open);
  }

  #label(group) {
    const none = group === "" || (this.spans.group.name === "status" && group === "0");
    return none ? this.spans.group.none : group;
  }

  #draw() {
    const { span } = this.spans;
    const { steps, rows, totals } = this.spans.read();
    const series = this.#series(rows);
    const item = ({ label, className }) => el("li", {}, swatch(className), el("span", { class: "name" }, label));
    fill(find("#usage-legend"), rows.length > 1 && series.map(item));
    const shared = { steps, series, each: span.each, span: span.text, when: when(span) };
    this.#charts.forEach((chart, at) => chart.draw({ ...shared, total: CHARTS[at].value(totals) }));
    this.#tabulate(rows, totals, series);
    this.#drawn = span.name;
  }

  #series(rows) {
    const own = (rows.length > COLOURED + 1 ? rows.slice(0, COLOURED) : rows).map(({ group }) => group);
    // Who was there before keeps its colour, whoever is first now.
    this.#order = [...this.#order.filter((group) => own.includes(group)), ...own.filter((group) => !this.#order.includes(group))];
    const series = this.#order.map((group, index) => ({
      label: this.#label(group),
      group,
      className: `series-${index + 1}`,
      of: (step) => (step.rows.has(group) ? [step.rows.get(group)] : []),
    }));
    const names = new Set(own);
    if (names.size < rows.length) {
      const of = (step) => [...step.rows].filter(([group]) => !names.has(group)).map(([, row]) => row);
      series.push({ label: `${rows.length - names.size} others`, className: `series-${COLOURED + 1}`, of });
    }
    return series;
  }

  #tabulate(rows, totals, series) {
    const { group, span } = this.spans;
    if (!rows.length) {
      fill(find("#usage-sums"), el("div", { class: "empty" },
        el("p", {}, `Nothing was asked for: ${span.text.toLowerCase()}.`),
        el("a", { href: "./" }, "Make a picture in the playground")));
      find("#usage-note").textContent = "";
      return;
    }
    const cells = (row) => COLUMNS.map(([name, , shown]) => {
      const worry = (name === "errors" || name === "unknown_cost_calls") && row[name] > 0;
      const free = name === "cost_usd" && row.cost_usd === 0 && row.unknown_cost_calls > 0;
      return el("td", { class: worry ? "number worry" : "number", dataset: { sum: name } }, free ? "unknown" : shown(row[name]));
    });
    const classes = new Map(series.map((one) => [one.group, one.className]));
    const others = series.at(-1).className;
    const line = (row) => el("tr", { dataset: { group: row.group } },
      el("th", { scope: "row", class: "group" },
        swatch(classes.get(row.group) ?? others), el("span", { class: "name" }, this.#label(row.group))),
      cells(row));
    const heads = COLUMNS.map(([, text]) => el("th", { scope: "col", class: "number" }, text));
    const rest = rows.slice(SHOWN);
    const more = rest.length > 0 && line({ ...added(rest), group: `${rest.length} more; the file has them` });
    const caption = `Usage by ${group.text.toLowerCase()}, ${span.text.toLowerCase()}`;
    fill(find("#usage-sums"), el("table", { id: "sums" },
      el("caption", { class: "visually-hidden" }, caption),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, group.text), heads)),
      el("tbody", {}, rows.slice(0, SHOWN).map(line), more),
      el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, "All"), cells(totals)))));
    find("#usage-note").textContent = note(totals, group);
  }

  async #download() {
    const { group } = this.spans;
    const { from, to } = this.spans.bounds(gatewayNow());
    const said = find("#usage-trouble");
    try {
      const response = await admin(`${asked(group, from, to)}&format=csv`);
      const address = URL.createObjectURL(await response.blob());
      const day = new Date(from).toISOString().slice(0, 10);
      el("a", { href: address, download: `usage-${day}-${group.name}.csv` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      said.textContent = error.message;
      said.hidden = false;
    }
  }
}

function swatch(className) {
  return el("span", { class: `swatch ${className}`, "aria-hidden": "true" });
}

function note(totals, group) {
  const whose = group.name === "provider" ? "calls to the provider" : "requests, from their head to the last byte";
  const times = `Times are of ${whose}.`;
  if (!totals.unknown_cost_calls) return times;
  const calls = totals.unknown_cost_calls === 1 ? "1 call is" : `${count(totals.unknown_cost_calls)} calls are`;
  return `Cost is what providers are known to have charged; ${calls} not in it, since nobody knows the price. ${times}`;
}

// A step's begin; shorter for the axis. Whole days are the ledger's, in UTC.
function when(span) {
  const days = span.step >= 86_400_000;
  const zone = days ? { timeZone: "UTC" } : {};
  const date = { month: "short", day: "numeric", ...zone };
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const short = new Intl.DateTimeFormat(undefined, span.steps * span.step > 86_400_000 ? date : time);
  const long = new Intl.DateTimeFormat(undefined, days ? date : { ...date, ...time });
  return (at, axis = false) => (axis ? short : long).format(at) + (days && !axis ? " (UTC)" : "");
}
