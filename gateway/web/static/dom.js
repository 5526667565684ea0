// Elements, built without a line of markup: whatever a prompt, a provider or a key's name says is text, never HTML.

const SVG = "http://www.w3.org/2000/svg";

/** The first element for a selector. */
export const find = (selector, within = document) => within.querySelector(selector);

/**
 * An element. `given`: attributes by name; `class`, `dataset` and `on` ({event: listener}) are understood; null, undefined
 * and false leave one out, true sets it empty; `value`, `checked`, `disabled`, `hidden` and the like are set as properties.
 * Children: nodes, or anything else as text; null, undefined and false are skipped, arrays are flattened.
 */
export function el(tag, given = {}, ...children) {
  return filled(document.createElement(tag), given, children);
}

/** The same for SVG. */
export function svg(tag, given = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), given, children);
}

const PROPERTIES = new Set(["value", "checked", "selected", "disabled", "hidden", "open", "indeterminate", "htmlFor"]);

function filled(node, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (PROPERTIES.has(name)) node[name] = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) attribute(node, name, String(value));
  }
  node.append(...nodes(children));
  return node;
}

// Names come from our own scripts; still, none of them is to open a door that the policy has shut.
function attribute(node, name, value) {
  if (/^(on|style$|srcdoc$)/i.test(name)) throw new TypeError(`${name}: listeners go into "on", styles into a class`);
  if (/^(href|src|action|xlink:href)$/i.test(name) && !safe(value)) throw new TypeError(`${name}: no such address`);
  node.setAttribute(name, value);
}

/** Whether an address leads to something that can be shown or fetched, and runs nothing. */
export function safe(address) {
  return ["http:", "https:", "blob:"].includes(new URL(address, location.href).protocol) || address.startsWith("data:image/");
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Put these children in place of those that were there. */
export function fill(node, ...children) {
  node.replaceChildren(...nodes(children));
  return node;
}

/** Say something to those who listen to the page: an element with id "said" and role status is there for it. */
export function say(text) {
  const place = find("#said");
  if (place) place.textContent = text;
}

/** The same function, called once after `milliseconds` without another call. */
export function settled(milliseconds, call) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(call, milliseconds, ...given);
  };
}

const reduced = matchMedia("(prefers-reduced-motion: reduce)");
/** Whether whoever looks wants things to stand still. */
export const still = () => reduced.matches;
