// Stacked bars over time, as plain SVG. The picture is named in words, and every number of it stands in a table beneath.

import { el, fill, svg } from "./dom.js";

const WIDTH = 10; // of a step, in the drawing's own units
const HEIGHT = 100;
const AIR = 1.5;

/** The top of an axis for values up to `most`: a number that halves well. */
export function ceiling(most, whole) {
  if (most <= 0) return whole ? 2 : 0.02;
  const power = 10 ** Math.floor(Math.log10(most));
  const tops = [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((times) => Number((times * power).toPrecision(2)));
  return tops.find((top) => top >= most * 0.999999 && (!whole || top % 2 === 0));
}

/** A chart of one sum. `value(row)` takes it out of a row, `shown(number)` writes it, `whole`: only integers occur. */
export class Chart {
  #data = null;
  #hovered = null;
  #drawing = svg("svg", { class: "bars", preserveAspectRatio: "none", role: "img" });
  #axis = el("div", { class: "axis numbers", "aria-hidden": "true" });
  #ends = el("div", { class: "ends numbers", "aria-hidden": "true" });
  #total = el("strong", { class: "total numbers" });
  #readout = el("p", { class: "readout muted small numbers" });
  #table = el("details", { class: "figures", on: { toggle: () => this.#toggled() } });

  /** `opened(open)`: somebody opened the table, or shut it. */
  constructor({ name, title, value, shown, whole }, opened) {
    Object.assign(this, { title, value, shown, whole, opened });
    this.#total.dataset.total = name;
    this.#drawing.addEventListener("pointermove", (event) => this.#point(event));
    this.#drawing.addEventListener("pointerdown", (event) => this.#point(event));
    this.#drawing.addEventListener("pointerleave", () => this.#hover(null));
    const plot = el("div", { class: "plot" }, this.#axis, this.#drawing, this.#ends);
    const box = { class: "scroller", tabindex: "0", role: "region", "aria-label": `${title} over time` };
    this.#table.append(el("summary", { class: "small" }, `${title} as a table`), el("div", box));
    this.node = el("article", { class: "card chart" },
      el("div", { class: "row spread" }, el("h3", {}, title), this.#total), this.#readout, plot, this.#table);
  }

  /** `steps` as Spans reads them; `series`: [{label, of: (step) => rows, className}]; `each`: a step in words. */
  draw({ steps, series, total, each, span, when }) {
    this.#data = { steps, series, each, span, when };
    this.#total.textContent = this.shown(total);
    const stacks = steps.map((step) => series.map((one) => this.#sum(one.of(step))));
    const sums = stacks.map((stack) => stack.reduce((sum, part) => sum + part, 0));
    const most = Math.max(0, ...sums);
    const top = ceiling(most, this.whole);
    fill(this.#axis, [top, top / 2, 0].map((number) => el("span", {}, this.shown(number, true))));
    const middle = Math.floor((steps.length - 1) / 2);
    fill(this.#ends, [steps[0], steps[middle], steps.at(-1)].map((step) => el("span", {}, when(step.from, true))));
    this.#drawing.setAttribute("viewBox", `0 0 ${WIDTH * steps.length} ${HEIGHT}`);
    const peak = sums.indexOf(most);
    const words = most ? `most in the step from ${when(steps[peak].from)}: ${this.shown(most)}` : "nothing yet";
    const told = `${this.title}, ${span.toLowerCase()}, per ${each}. In all ${this.shown(total)}; ${words}.`;
    this.#drawing.setAttribute("aria-label", told);
    const width = WIDTH * steps.length;
    fill(this.#drawing,
      [0, 50, 100].map((y) => svg("line", { class: "grid", x1: 0, x2: width, y1: y, y2: y })),
      svg("rect", { class: "hover", width: 0, height: HEIGHT, y: 0, x: 0 }),
      stacks.map((stack, at) => bars(stack, at, top, series)));
    this.#hover(this.#hovered);
    this.#tabulate();
  }

  /** Open or shut the table. */
  show(open) {
    this.#table.open = open;
  }

  #toggled() {
    this.#tabulate();
    this.opened(this.#table.open);
  }

  #sum(rows) {
    return rows.reduce((sum, row) => sum + this.value(row), 0);
  }

  #point(event) {
    const { left, width } = this.#drawing.getBoundingClientRect();
    const steps = this.#data?.steps.length ?? 0;
    this.#hover(Math.min(steps - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * steps))));
  }

  #hover(at) {
    this.#hovered = at;
    if (!this.#data) return;
    const column = this.#drawing.querySelector(".hover");
    column?.setAttribute("x", String((at ?? 0) * WIDTH));
    column?.setAttribute("width", String(at === null ? 0 : WIDTH));
    const { steps, series, when } = this.#data;
    if (at === null) {
      this.#readout.textContent = `per ${this.#data.each}`;
      return;
    }
    const parts = series.map((one) => [one.label, this.#sum(one.of(steps[at]))]).filter(([, sum]) => sum > 0);
    const sum = parts.reduce((whole, [, part]) => whole + part, 0);
    const each = parts.map(([label, part]) => `${label} ${this.shown(part)}`).join(", ");
    const by = parts.length > 1 ? ` (${each})` : parts.map(([label]) => `, ${label}`).join("");
    this.#readout.textContent = `${when(steps[at].from)}: ${this.shown(sum)}${by}`;
  }

  // Only while somebody has it open.
  #tabulate() {
    const place = this.#table.lastElementChild;
    if (!this.#table.open || !this.#data) return void fill(place);
    const { steps, series, when } = this.#data;
    const cell = (number) => el("td", { class: number ? "number" : "number muted" }, this.shown(number));
    const rows = steps.toReversed().map((step) => {
      const parts = series.map((one) => this.#sum(one.of(step)));
      const sum = parts.reduce((whole, part) => whole + part, 0);
      return el("tr", {}, el("th", { scope: "row", class: "nowrap" }, when(step.from)), parts.map(cell), cell(sum));
    });
    const labels = [...series.map((one) => one.label), "All"];
    const heads = labels.map((label) => el("th", { scope: "col", class: "number" }, label));
    const left = place.scrollTop;
    const head = el("tr", {}, el("th", { scope: "col" }, "From"), heads);
    fill(place, el("table", {}, el("thead", {}, head), el("tbody", {}, rows)));
    place.scrollTop = left;
  }
}

function bars(stack, at, top, series) {
  let y = HEIGHT;
  return stack.map((part, index) => {
    const height = (part / top) * HEIGHT;
    y -= height;
    const place = { x: at * WIDTH + AIR / 2, y: y.toFixed(3), width: WIDTH - AIR, height: height.toFixed(3) };
    return height > 0 && svg("rect", { class: series[index].className, ...place });
  });
}
