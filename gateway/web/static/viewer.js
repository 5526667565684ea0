// One picture, large, with all that is known of it.

import { el, fill, find, say } from "./dom.js";
import { ago, bytes, money, seconds } from "./format.js";
import { receipt } from "./receipt.js";
import { tools } from "./results.js";
import { snippets } from "./snippets.js";

/** Show an entry. `address`: a promise of where the whole picture is, null where it is gone. */
export function view(entry, address, actions) {
  const dialog = find("#viewer");
  const picture = el("div", { class: "large" });
  const close = () => dialog.close();
  const closing = Object.fromEntries(Object.entries(actions).map(([name, act]) => [name, (...given) => (name === "download" ? null : close(), act(...given))]));
  fill(
    dialog,
    el("div", { class: "viewing" },
      picture,
      el("div", { class: "inside stack" },
        el("div", { class: "row spread top" }, el("h2", { id: "viewer-title", class: "break" }, entry.prompt || "A picture"), el("button", { type: "button", class: "button quiet", on: { click: close } }, "Close")),
        el("div", { class: "row" }, tools(entry, closing, true), el("button", { type: "button", class: "button", on: { click: () => closing.reuse([{ body: entry.body, strict: entry.strict }]) } }, "Reuse settings")),
        facts(entry),
        entry.revised && el("div", {}, el("h3", {}, "The prompt as the provider wrote it"), el("p", { class: "break" }, entry.revised)),
        entry.repairs.length > 0 && el("p", { class: "notice warn" }, `Put right here: ${entry.repairs.join("; ")}`),
        el("h3", {}, "Receipt"), receipt(entry.parameters, "What became of each parameter"),
        el("h3", { id: "copy-title" }, "The same by code"), code(entry)),
    ),
  );
  fill(picture, entry.thumb ? el("img", { src: entry.address, alt: "", class: "preview" }) : null);
  address.then((found) => {
    if (!dialog.open) return;
    fill(picture, found
      ? el("img", { src: found, alt: entry.prompt.slice(0, 300) })
      : [el("img", { src: entry.address, alt: entry.prompt.slice(0, 300) }), el("p", { class: "notice" }, "The gateway keeps the picture no more: this small one is what the browser remembers.")]);
  });
  dialog.addEventListener("close", () => {
    fill(dialog);
    if (entry.thumb) URL.revokeObjectURL(entry.address);
  }, { once: true });
  dialog.showModal();
}

function facts(entry) {
  const each = entry.cost === null ? null : entry.cost / entry.count;
  const rows = [
    ["Model", entry.executed === entry.model ? entry.model : `${entry.model} (${entry.executed})`],
    ["Provider", entry.provider],
    ["Size", `${entry.size.replace("x", " × ")} ${entry.format.toUpperCase()}, ${bytes(entry.blob?.size ?? entry.bytes)}`],
    ["Seed", entry.seed ?? "not told"],
    ["Cost", each === null ? "unknown" : entry.count > 1 && each > 0 ? `${money(each)}, of ${money(entry.cost)} for ${entry.count} pictures` : money(each)],
    ["Time", seconds(entry.seconds)],
    entry.made && ["Made", new Date(entry.made).toLocaleString()],
    ["Link", entry.expires ? (entry.expires > Date.now() ? `good until ${new Date(entry.expires).toLocaleTimeString()} (${ago(entry.expires)})` : "renewed when opened, as long as the gateway keeps the picture") : "none"],
    ["Generation", entry.generation],
  ];
  return el("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { class: "break" }, String(value)))));
}

function code(entry) {
  const made = snippets(entry.body, entry.names, entry.masked);
  const shown = el("pre", { class: "code", tabindex: 0, "aria-label": "Code" });
  const tabs = made.map(([title]) => el("button", { type: "button", class: "button tiny", on: { click: () => choose(title) } }, title));
  const copy = el("button", { type: "button", class: "button tiny", on: { click: () => copied(shown.textContent, copy) } }, "Copy");
  function choose(title) {
    shown.textContent = made.find((each) => each[0] === title)[1];
    tabs.forEach((tab) => tab.setAttribute("aria-pressed", String(tab.textContent === title)));
  }
  choose("curl");
  return el("div", { class: "stack deeper" }, el("div", { class: "row spread" }, el("div", { class: "row", role: "group", "aria-labelledby": "copy-title" }, tabs), copy), shown);
}

async function copied(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // without a secure origin there is no clipboard: what is selected can be copied by hand
    const range = document.createRange();
    range.selectNodeContents(button.closest(".stack").querySelector("pre"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = "Selected";
  }
  say(button.textContent);
  setTimeout(() => (button.textContent = "Copy"), 2000);
}
