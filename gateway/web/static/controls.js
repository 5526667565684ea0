// Settings that only some models have: what none of the chosen models can do is not offered.

import { el, fill } from "./dom.js";

const KNOWN = [
  ["negative_prompt", "What to leave out", "text"],
  ["quality", "Quality", "choice"],
  ["style", "Style", "text"],
  ["background", "Background", "choice"],
  ["steps", "Steps", "whole"],
  ["guidance", "Guidance", "number"],
  ["strength", "Strength of the change", "number", "edit"],
  ["input_fidelity", "Closeness to the pictures", "choice", "edit"],
  ["safety_tolerance", "Safety tolerance", "whole"],
  ["moderation", "Moderation", "choice"],
  ["prompt_upsampling", "Let the model extend the prompt", "flag"],
];

/** The controls inside `place`; `changed` is called whenever a value changes. */
export function controls(place, changed) {
  const held = new Map(); // values by name, kept while another model is looked at
  const others = el("textarea", { id: "others", rows: 2, spellcheck: "false", placeholder: '{"guidance": 4}', class: "mono", "aria-describedby": "others-problem", on: { input: changed } });
  const problem = el("p", { id: "others-problem", class: "small muted" }, "Any parameter of the API; the plan says what becomes of it.");
  const strict = el("input", { type: "checkbox", id: "strict", on: { change: changed } });
  let offered = [];

  function control([name, label, kind], schema) {
    const id = `c-${name}`;
    const keep = (event) => {
      held.set(name, kind === "flag" ? (event.target.checked ? "true" : "") : event.target.value);
      changed();
    };
    const value = held.get(name) ?? "";
    if (kind === "flag") {
      const box = el("input", { id, type: "checkbox", checked: value === "true", on: { change: keep } });
      return el("label", { class: "check" }, box, label);
    }
    return el("div", { class: "field" }, el("label", { for: id }, label), input(kind, id, value, schema[name] ?? {}, keep));
  }

  return {
    /** Offer what models with these capabilities have between them, within the bounds of the published schema. */
    offer(found, edits, schema) {
      offered = KNOWN.filter(
        ([name, , , when]) => (when !== "edit" || edits) && found.some((each) => (each.parameters[name] ?? "dropped") !== "dropped"),
      );
      const shown = offered.map((each) => each[0]).join();
      if (place.dataset.shown === shown) return;
      place.dataset.shown = shown;
      fill(
        place,
        offered.map((each) => control(each, schema)),
        el("div", { class: "field" }, el("label", { for: "others" }, "Anything else, as JSON"), others, problem),
        el("label", { class: "check" }, strict, "Strict: refuse rather than change what I ask for"),
      );
    },
    /** What a request says, by name. */
    values() {
      const said = {};
      for (const [name, , kind] of offered) {
        const value = held.get(name) ?? "";
        if (value !== "") said[name] = kind === "whole" || kind === "number" ? Number(value) : kind === "flag" ? true : value;
      }
      return { ...said, ...this.others() };
    },
    others() {
      let said = {};
      let fine = true;
      try {
        said = others.value.trim() ? JSON.parse(others.value) : {};
        fine = said !== null && typeof said === "object" && !Array.isArray(said);
      } catch {
        fine = false;
      }
      others.setAttribute("aria-invalid", String(!fine));
      problem.textContent = fine ? "Any parameter of the API; the plan says what becomes of it." : 'Not JSON yet: an object such as {"guidance": 4} is left out until it is one.';
      return fine ? said : {};
    },
    get strict() {
      return strict.checked;
    },
    /** Put back what an earlier request said; returns nothing, and calls nobody. */
    apply(said, isStrict) {
      held.clear();
      const rest = {};
      for (const [name, value] of Object.entries(said)) {
        if (KNOWN.some((each) => each[0] === name)) held.set(name, String(value));
        else rest[name] = value;
      }
      others.value = Object.keys(rest).length ? JSON.stringify(rest) : "";
      strict.checked = Boolean(isStrict);
      delete place.dataset.shown;
    },
  };
}

function input(kind, id, value, schema, keep) {
  const on = { input: keep };
  if (kind === "choice") {
    const words = (schema.enum ?? []).filter((word) => word !== null);
    return el("select", { id, on: { change: keep } }, el("option", { value: "" }, "Default"),
      words.map((word) => el("option", { value: word, selected: word === value }, word)));
  }
  if (kind === "text") return el("input", { id, type: "text", value, autocomplete: "off", on });
  return el("input", { id, type: "number", inputmode: "decimal", value, min: schema.minimum ?? schema.exclusiveMinimum ?? null,
    max: schema.maximum ?? null, step: kind === "whole" ? 1 : "any", placeholder: "default", on });
}
