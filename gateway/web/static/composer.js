// What is asked for: prompt, models, shape and settings, from the form to a request's body and back.

import { controls } from "./controls.js";
import { el, fill, find } from "./dom.js";
import { dollars } from "./format.js";
import { icon } from "./icons.js";
import { roll } from "./making.js";
import { shapes } from "./shape.js";

const MOST_MODELS = 4;
const LOSSY = new Set(["jpeg", "webp", "avif"]);
/** Fields that are written here and nowhere else. */
const HERE = ["model", "prompt", "n", "seed", "output_format", "output_quality", "size", "aspect_ratio", "resolution"];

/** The form; `changed` is called whenever the request would be another. It offers nothing until it is stocked. */
export function composer(pictures, changed) {
  let catalogue = { models: [], first: null, schema: {} };
  const prompt = find("#prompt");
  const n = find("#n");
  const seed = find("#seed");
  const format = find("#output_format");
  const quality = find("#output_quality");
  const shape = shapes(find("#shape"), changed);
  const settings = controls(find("#controls"), changed);
  let byId = new Map();
  let chosen = [];
  let blamed = null;

  const edits = (id) => byId.get(id).capabilities.operations.includes("edit");
  const editing = () => pictures.all().length > 0;

  function offer() {
    if (editing() && !chosen.some(edits)) {
      const able = catalogue.models.find((each) => edits(each.id));
      if (able) chosen = [able.id];
    }
    const found = chosen.map((id) => byId.get(id).capabilities);
    models();
    shape.offer(found, editing());
    settings.offer(found, editing(), catalogue.schema);
    find("#inputs").hidden = !catalogue.models.some((each) => edits(each.id));
    find("#seed").closest(".field").hidden = !found.some((each) => each.seed);
    find("#output_quality-field").hidden = !LOSSY.has(format.value);
    find("#make").textContent = verb();
  }

  function verb() {
    const many = Number(n.value) > 1;
    if (chosen.length > 1) return `Compare ${chosen.length} models`;
    return editing() ? (many ? `Make ${n.value} edits` : "Edit picture") : many ? `Make ${n.value} pictures` : "Make picture";
  }

  function models() {
    const rows = chosen.map((id, place) => row(id, place));
    const left = catalogue.models.filter((each) => !chosen.includes(each.id) && (!editing() || edits(each.id)));
    const more = left.length > 0 && chosen.length < MOST_MODELS;
    fill(find("#models"), rows, more && el("button", { type: "button", class: "button quiet tiny", id: "compare", on: { click: () => pick([...chosen, left[0].id], chosen.length) } }, icon("plus"), "Compare with another model"));
    find("#model-about").textContent = chosen.length === 1 ? about(byId.get(chosen[0])) : "Each model makes the pictures; time, cost and changes stand side by side.";
  }

  function row(id, place) {
    const options = catalogue.models.map((each) => {
      const unable = editing() && !edits(each.id);
      return el("option", { value: each.id, selected: each.id === id, disabled: unable || (each.id !== id && chosen.includes(each.id)) }, unable ? `${each.id} (cannot edit)` : each.id);
    });
    const select = el("select", { id: `model-${place}`, "aria-label": place ? `Model ${place + 1}` : "Model", on: { change: (event) => pick(chosen.with(place, event.target.value), place) } }, options);
    return el("div", { class: "joined" }, select,
      chosen.length > 1 && el("button", { type: "button", class: "button square", "aria-label": `Compare without ${id}`, title: "Remove", on: { click: () => pick(chosen.toSpliced(place, 1), 0) } }, icon("close")));
  }

  function pick(ids, focused) {
    chosen = ids;
    offer();
    find(`#model-${Math.min(focused, chosen.length - 1)}`).focus();
    changed();
  }

  find("#seed-roll").append(icon("dice"));
  find("#seed-roll").addEventListener("click", () => ((seed.value = roll()), changed()));
  for (const field of [prompt, seed, quality]) field.addEventListener("input", changed);
  for (const field of [n, format]) field.addEventListener("input", () => (offer(), changed()));

  return {
    offer: () => catalogue.models.length && offer(),
    /** Offer these: {models, first, schema}; what was chosen stays so where it can. */
    stock(found) {
      catalogue = found;
      byId = new Map(found.models.map((each) => [each.id, each]));
      chosen = chosen.filter((id) => byId.has(id));
      if (!chosen.length) chosen = [byId.has(found.first) ? found.first : found.models[0].id];
      offer();
    },
    get ready() {
      return catalogue.models.length > 0;
    },
    /** What would be sent now: one order for each model. */
    orders() {
      const said = settings.values();
      return chosen.map((id) => ({
        body: {
          model: id,
          prompt: prompt.value,
          ...(n.value !== "" && n.value !== "1" ? { n: Number(n.value) } : {}),
          ...shape.values(),
          ...(seed.value !== "" && !seed.closest(".field").hidden ? { seed: Number(seed.value) } : {}),
          ...(format.value ? { output_format: format.value } : {}),
          ...(LOSSY.has(format.value) && quality.value !== "" ? { output_quality: Number(quality.value) } : {}),
          ...said,
        },
        strict: settings.strict,
        partials: byId.get(id).capabilities.streaming_partials,
      }));
    },
    /** Whether all that a mask does not show stays as it is, whichever model is asked. */
    get keeps() {
      const masked = chosen.map((id) => byId.get(id).capabilities).filter((each) => each.mask);
      return masked.length > 0 && masked.every((each) => each.mask_exact);
    },
    ratio: () => (editing() && !shape.values().size && !shape.values().aspect_ratio ? [pictures.all()[0].width, pictures.all()[0].height] : shape.ratio()),
    /** Put back the settings of earlier requests, of which all but the model are the same. */
    apply(orders) {
      const { body, strict } = orders[0];
      const known = orders.map((each) => each.body.model).filter((id) => byId.has(id));
      if (known.length) chosen = known;
      prompt.value = body.prompt;
      n.value = body.n ?? 1;
      seed.value = body.seed ?? "";
      format.value = body.output_format ?? "";
      quality.value = body.output_quality ?? "";
      settings.apply(Object.fromEntries(Object.entries(body).filter(([name]) => !HERE.includes(name))), strict);
      shape.apply(body);
      offer();
      shape.apply(body);
      changed();
    },
    /** Mark the field that an error is about; null marks none. */
    blame(error) {
      blamed?.removeAttribute("aria-invalid");
      const name = { size: "width", image: "inputs-add", num_images: "n" }[error?.param] ?? error?.param;
      blamed = name ? (document.getElementById(name) ?? document.getElementById(`c-${name}`)) : null;
      blamed?.setAttribute("aria-invalid", "true");
    },
  };
}

function about(model) {
  const { routes, price } = model.capabilities;
  const providers = [...new Set(routes.map((each) => each.provider))];
  const per = price && Object.entries(price)[0];
  const cost = per ? (per[1] === 0 ? "Free." : `${dollars(per[1])} ${per[0].replace("usd_", "").replaceAll("_", " ")}.`) : "Price unknown.";
  return [model.description, `By ${providers.join(", then ")}.`, cost].filter(Boolean).join(" ");
}
