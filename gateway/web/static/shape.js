// Size and ratio, chosen by their shape.

import { el, fill, find, svg } from "./dom.js";

const SIDE = 20; // of the drawing's longer side

/** The chooser inside a fieldset; `changed` is called whenever something else is chosen. */
export function shapes(fieldset, changed) {
  const choices = el("div", { class: "shapes" });
  const tiers = el("select", { id: "resolution", on: { change: changed } });
  const tier = el("div", { class: "field" }, el("label", { for: "resolution" }, "Resolution"), tiers);
  const width = pixels("width", "Width");
  const height = pixels("height", "Height");
  const exact = el("div", { class: "pair", hidden: true }, field("Width in pixels", width), field("Height in pixels", height));
  fieldset.append(choices, exact, tier);
  let chosen = "auto";
  let wanted = ""; // a tier from earlier settings, until a model that has it is chosen

  function pixels(id, label) {
    return el("input", { id, type: "number", inputmode: "numeric", min: 1, max: 14142, step: 1, value: id === "width" ? 1024 : 768,
      "aria-label": `${label} in pixels`, on: { input: changed } });
  }

  function field(label, input) {
    return el("div", { class: "field" }, el("label", { for: input.id }, label), input);
  }

  function choose(value) {
    chosen = value;
    exact.hidden = value !== "exact";
    tier.hidden = value === "exact" || tiers.options.length <= 1;
    for (const each of choices.querySelectorAll("input")) each.checked = each.value === value;
  }

  function choice(value) {
    return el(
      "label",
      { class: "shape", title: titles[value] ?? value },
      el("input", { type: "radio", name: "shape", value, checked: value === chosen, class: "visually-hidden", on: { change: () => (choose(value), changed()) } }),
      drawing(value),
      el("span", {}, titles[value] ?? value),
    );
  }

  return {
    /** Offer what models with these capabilities have between them; `edits`: whether there is a picture to match. */
    offer(found, edits) {
      const ratios = [...new Set(found.flatMap((each) => each.aspect_ratios))];
      const values = ["auto", ...(edits ? ["match_input_image"] : []), ...ratios, "exact"];
      if (!values.includes(chosen)) chosen = "auto";
      fill(choices, values.map(choice));
      const offered = [...new Set(found.flatMap((each) => each.resolutions))];
      const before = wanted || tiers.value;
      fill(tiers, el("option", { value: "" }, "Default"), offered.map((each) => el("option", { value: each }, each)));
      tiers.value = offered.includes(before) ? before : "";
      choose(chosen);
    },
    /** What a request says of its shape. */
    values() {
      if (chosen === "exact") return { size: `${width.value}x${height.value}` };
      return { ...(chosen === "auto" ? {} : { aspect_ratio: chosen }), ...(tiers.value ? { resolution: tiers.value } : {}) };
    },
    /** Put back what an earlier request said. */
    apply({ size, aspect_ratio: ratio, resolution }) {
      const [, w, h] = /^(\d+)x(\d+)$/.exec(size ?? "") ?? [];
      if (w) [width.value, height.value] = [w, h];
      wanted = tiers.value = resolution ?? "";
      choose(w ? "exact" : ratio ?? "auto");
    },
    /** Width by height of the place that waits for a picture, as far as one can tell. */
    ratio() {
      const [w, h] = chosen === "exact" ? [Number(width.value), Number(height.value)] : chosen.split(":").map(Number);
      return w > 0 && h > 0 ? [w, h] : [1, 1];
    },
    field: () => find("input:checked", choices),
  };
}

const titles = { auto: "Auto", exact: "Pixels", match_input_image: "As input" };

function drawing(value) {
  const [w, h] = value.includes(":") ? value.split(":").map(Number) : [1, 1];
  const scale = SIDE / Math.max(w, h);
  const [width, height] = [Math.max(6, w * scale), Math.max(6, h * scale)];
  const dashed = value === "auto" || value === "match_input_image";
  return svg(
    "svg",
    { viewBox: "0 0 24 24", "aria-hidden": "true", fill: "none", stroke: "currentColor", "stroke-width": "1.6" },
    svg("rect", { x: 12 - width / 2, y: 12 - height / 2, width, height, rx: 2, "stroke-dasharray": dashed ? "3 2.5" : null }),
    value === "exact" ? svg("path", { d: "M6 16h12M6 16l2-2m-2 2 2 2m10-2-2-2m2 2-2 2", "stroke-width": "1.3" }) : null,
  );
}
