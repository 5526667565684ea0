// The page that makes pictures: what is wired to what.

import { ApiError, json, keepKey, keyFor, root } from "./api.js";
import { paint } from "./brush.js";
import { composer } from "./composer.js";
import { el, fill, find, say, still } from "./dom.js";
import { gallery } from "./gallery.js";
import { inputs } from "./inputs.js";
import { amend } from "./kept.js";
import { expiry, hosted, roll } from "./making.js";
import { planner } from "./plan.js";
import { results } from "./results.js";
import { view } from "./viewer.js";

const IDEAS = ["Red fox in snow", "Lake at sunset", "City at night"];
const VARIATIONS = 4;

const pictures = inputs({ changed: () => (form.offer(), changed()), paint: (input) => paint(input, form.keeps) });
const form = composer(pictures, changed);
const plan = planner(() => ({ orders: form.orders(), inputs: pictures.all() }), (error) => form.blame(error));
const runs = results(actions());
const shown = gallery((entry) => view(entry, whole(entry), actions()));

function changed() {
  if (form.ready) plan.look();
}

function actions() {
  return {
    view: (entry) => view(entry, entry.blob ? Promise.resolve(entry.address) : whole(entry), actions()),
    reuse: (orders) => (show("create"), form.apply(orders), find("#prompt").focus(), say("Settings put back")),
    again: (orders, given) => runs.start(orders, given, form.ratio()),
    refused: askForKey,
    kept: () => find("#gallery").hidden || shown.load(),
    download,
    edit,
    vary,
  };
}

function vary(entry) {
  const seed = (entry.seed ?? roll()) + 1;
  show("create");
  const order = { body: { ...entry.body, seed, n: VARIATIONS }, strict: entry.strict };
  const [width, height] = entry.size.split("x").map(Number);
  present(runs.start([order], entry.inputs ?? [], [width, height]));
}

async function edit(entry) {
  const blob = await bytesOf(entry);
  if (!blob) return say("The gateway keeps this picture no more");
  show("create");
  await pictures.set([new File([blob], `picture.${extension(entry)}`, { type: blob.type })]);
  find("#prompt").focus();
  find("#prompt").select();
  find("#composer").scrollIntoView({ behavior: still() ? "auto" : "smooth", block: "start" });
  return say("The picture is what you start from now; write what should change");
}

async function download(entry) {
  const blob = await bytesOf(entry);
  if (!blob) return say("The gateway keeps this picture no more");
  const address = URL.createObjectURL(blob);
  const words = entry.prompt.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-+|-+$/g, "").slice(0, 60);
  const link = el("a", { href: address, download: `${words || "picture"}${entry.seed === null ? "" : `-${entry.seed}`}.${extension(entry)}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  return say("Downloaded");
}

const extension = (entry) => (entry.format === "jpeg" ? "jpg" : entry.format);

async function bytesOf(entry) {
  if (entry.blob) return entry.blob;
  const address = await whole(entry);
  if (!address) return null;
  try {
    const answer = await fetch(address, { credentials: "omit" });
    return answer.ok ? await answer.blob() : null; // what says that it is gone is no picture
  } catch {
    return null;
  }
}

/** Where the whole picture is: by its link while that is good, else by one signed anew; null where it is gone. */
async function whole(entry) {
  if (entry.path && entry.expires > Date.now() + 5000) {
    const address = new URL(entry.path, root).href;
    if ((await fetch(address, { method: "HEAD", credentials: "omit" }).catch(() => ({}))).ok) return address;
  }
  try {
    const { answer } = await json(`v1/generations/${encodeURIComponent(entry.generation)}`);
    const path = hosted(answer?.data?.[entry.index]?.url ?? "");
    if (!path) return null;
    if (entry.id) await amend(entry.id, { path, expires: expiry(path) });
    return new URL(path, root).href;
  } catch {
    return null;
  }
}

// On a phone the results lie below the form: whoever asked is to see that it has begun.
function present(card) {
  if (card.getBoundingClientRect().top > innerHeight * 0.6) card.scrollIntoView({ behavior: still() ? "auto" : "smooth", block: "start" });
}

find("#composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const orders = form.orders();
  if (!orders[0]?.body.prompt.trim()) {
    find("#prompt").focus();
    say("Write a prompt first");
    return;
  }
  present(runs.start(orders, pictures.all().map((each) => ({ ...each })), form.ratio()));
});

// A double click, or Enter held down, is one wish, and what it makes is paid for once.
document.addEventListener("click", (event) => {
  if (event.detail < 2 || !event.target.closest?.("[data-buys]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });

document.addEventListener("keydown", (event) => {
  const types = event.target.matches?.("textarea") && !event.ctrlKey && !event.metaKey;
  if (event.key !== "Enter" || !event.repeat || types) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });

find("#prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  find("#composer").requestSubmit();
});

fill(find("#ideas"), IDEAS.map((each) => el("button", { type: "button", class: "idea", on: { click: () => ((find("#prompt").value = each), changed(), find("#make").focus()) } }, each)));

// Views.

const VIEWS = ["create", "gallery"];

function show(name) {
  for (const each of VIEWS) {
    const on = each === name;
    find(`#${each}`).hidden = !on;
    find(`#tab-${each}`).setAttribute("aria-selected", String(on));
    find(`#tab-${each}`).tabIndex = on ? 0 : -1;
  }
  history.replaceState(null, "", name === "create" ? "#" : `#${name}`);
  if (name === "gallery") shown.load();
  else shown.unload();
}

for (const [place, name] of VIEWS.entries()) {
  find(`#tab-${name}`).addEventListener("click", () => show(name));
  find(`#tab-${name}`).addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const next = VIEWS[(place + 1) % VIEWS.length];
    show(next);
    find(`#tab-${next}`).focus();
  });
}

// The key.

function askForKey(error) {
  find("#key").value = keyFor();
  find("#key-problem").hidden = !error;
  find("#key-problem").textContent = error ? error.message : "";
  find("#key-forget").hidden = !keyFor();
  find("#key-dialog").showModal();
}

find("#key-open").addEventListener("click", () => askForKey());
find("#key-cancel").addEventListener("click", () => find("#key-dialog").close());
find("#key-forget").addEventListener("click", () => (use(""), find("#key-dialog").close()));
find("#key-form").addEventListener("submit", () => use(find("#key").value.trim()));

function use(key) {
  keepKey(key);
  if (!find("#gallery").hidden) shown.load(); // each key sees its own
  begin();
}

// The models.

let turn = 0;

async function begin() {
  const mine = (turn += 1);
  find("#key-open").textContent = keyFor() ? "Key set" : "Key";
  try {
    const { data } = await json("v1/models");
    const models = data.filter((each) => !each.alias_of);
    if (!models.length) throw new ApiError("This key may use no model.");
    const [schema, first] = await Promise.all([bounds(models[0].id), ordinary()]);
    if (mine !== turn) return; // another key was given since, and its answer may have come first
    form.stock({ models, first, schema });
    find("#make").disabled = false;
    plan.now();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine !== turn) return;
    find("#make").disabled = !form.ready;
    fill(find("#plan-body"), el("div", { class: "notice bad" }, el("strong", {}, error.wantsKey ? "The gateway asks for a key" : "The models cannot be listed"), el("p", {}, error.message),
      el("div", { class: "row" }, error.wantsKey
        ? el("button", { type: "button", class: "button tiny", on: { click: () => askForKey() } }, "Enter a key")
        : el("button", { type: "button", class: "button tiny", on: { click: begin } }, "Try again"))));
    if (error.wantsKey) askForKey(keyFor() ? error : null);
  }
}

// Of the parameters; without them the gateway itself says what it does not take.
async function bounds(id) {
  try {
    return (await json(`v1/models/${encodeURIComponent(id)}?schema=true`)).schema.properties;
  } catch (error) {
    if (error instanceof ApiError) return {};
    throw error;
  }
}

// The model that a request without one gets; a plan costs nothing.
async function ordinary() {
  try {
    return (await json("v1/images/generations?dryRun=true", { body: { prompt: "a picture" } })).model;
  } catch (error) {
    if (error instanceof ApiError) return null;
    throw error;
  }
}

show(location.hash === "#gallery" ? "gallery" : "create");
begin();
