// Runs: one press of the button each, with a column for each model and a tile for each picture.

import { el, fill, find, say } from "./dom.js";
import { money, seconds } from "./format.js";
import { icon } from "./icons.js";
import { keep, owner } from "./kept.js";
import { make, token } from "./making.js";
import { losses, noted, receipt } from "./receipt.js";

const DELIVERY = new Set(["response_format", "stream", "partial_images"]);
const MOST_RUNS = 20; // pictures of older runs are in the gallery
const MOST_PICTURES = 10; // that one request can ask for

/** Where runs are shown. `actions`: what can be done with a picture: view, edit, vary, reuse; `refused(error)`. */
export function results(actions) {
  const place = find("#runs");
  const runs = [];

  function start(orders, inputs, ratio) {
    const stop = new AbortController();
    const columns = orders.map((order) => column({ token: token(), ...order }, inputs, ratio, actions));
    const stopping = el("button", { type: "button", class: "button tiny", on: { click: () => stop.abort() } }, icon("stop"), "Stop");
    const card = el(
      "article",
      { class: "run card", "aria-label": `Pictures of: ${orders[0].body.prompt.slice(0, 80)}` },
      el("div", { class: "inside stack" },
        el("div", { class: "run-head" },
          el("p", { class: "run-prompt break", title: orders[0].body.prompt }, orders[0].body.prompt),
          el("div", { class: "row" }, stopping,
            el("button", { type: "button", class: "button quiet tiny", on: { click: () => actions.reuse(orders) } }, icon("reuse"), "Reuse settings"))),
        el("div", { class: "columns", dataset: { count: columns.length } }, columns.map((each) => each.node))),
    );
    find("#results-empty").hidden = true;
    place.prepend(card);
    runs.unshift({ card, columns });
    for (const old of runs.splice(MOST_RUNS)) {
      old.card.remove();
      old.columns.forEach((each) => each.release());
    }
    say(`Making pictures with ${orders.map((each) => each.body.model).join(", ")}`);
    Promise.all(columns.map((each) => each.work(stop.signal))).then(() => stopping.remove());
    return card;
  }

  return { start };
}

function column(order, inputs, ratio, actions) {
  const whose = owner(); // the key may be another one when the pictures are there
  const wanted = Math.min(MOST_PICTURES, Math.max(1, Math.floor(Number(order.body.n ?? 1)) || 1));
  const status = el("span", { class: "small muted numbers" }, "Waiting…");
  const tiles = el("ul", { class: "tiles", "aria-label": `Pictures by ${order.body.model}`, dataset: { count: wanted } });
  const foot = el("div", { class: "stack foot" });
  const node = el("section", { class: "column", "aria-label": order.body.model },
    el("div", { class: "row column-head" }, el("h3", { class: "break" }, order.body.model), status), tiles, foot);
  const pictures = [];
  const addresses = [];
  let over = false;
  let released = false;
  const waiting = Array.from({ length: wanted }, () => tile(ratio));
  fill(tiles, waiting);
  const entry = (picture, metadata, took) => ({
    ...picture,
    prompt: order.body.prompt,
    model: order.body.model,
    body: order.body,
    strict: order.strict,
    names: inputs.map((each) => each.name),
    masked: Boolean(inputs[0]?.mask),
    provider: metadata.provider,
    executed: metadata.executed_model,
    cost: metadata.cost_micros,
    count: pictures.length,
    seconds: took,
    parameters: metadata.parameters,
    repairs: metadata.repairs ?? [],
  });

  function shown(picture) {
    const address = URL.createObjectURL(picture.blob);
    addresses.push(address);
    picture.address = address;
    pictures.push(picture);
    const here = waiting[picture.index] ?? tile(ratio);
    if (!here.isConnected) tiles.append(here);
    fill(here, el("button", { type: "button", class: "picture", disabled: true, "aria-label": `Open picture ${picture.index + 1}` }, el("img", { src: address, alt: order.body.prompt.slice(0, 200) })));
    here.classList.remove("waiting");
    status.textContent = `${pictures.length} of ${wanted}`;
  }

  function partial({ index, blob }) {
    const address = URL.createObjectURL(blob);
    addresses.push(address);
    if (waiting[index]) fill(waiting[index], el("img", { src: address, alt: "A preview of the picture", class: "preview" }));
  }

  function ended(said, took) {
    // How pictures travel to this page is its own wish, and nobody else's.
    const metadata = { ...said, parameters: said.parameters.filter((each) => !DELIVERY.has(each.name) || each.note) };
    const lost = noted(metadata.parameters);
    fill(status, `${seconds(took)} · `, el("span", { class: "cost" }, metadata.cost_micros === null ? "cost unknown" : money(metadata.cost_micros)));
    waiting.slice(0).filter((each) => each.classList.contains("waiting")).forEach((each) => each.remove());
    const entries = pictures.map((picture) => ({ ...entry(picture, metadata, took), inputs }));
    entries.forEach((each) => dress(waiting[each.index] ?? tiles.children[each.index], each, actions));
    fill(
      foot,
      metadata.partial && el("p", { class: "notice warn" }, `${pictures.length} of ${wanted} pictures: the others failed and are not here.`),
      metadata.notice && el("p", { class: "small muted" }, metadata.notice),
      losses(metadata.parameters),
      el("details", { class: "small" }, el("summary", {}, `Receipt: ${lost ? `${lost} ${lost === 1 ? "change" : "changes"}` : "exactly as asked"}`, `, by ${metadata.provider}`),
        receipt(metadata.parameters, `What became of each parameter at ${metadata.provider}`)),
    );
    say(`${pictures.length} ${pictures.length === 1 ? "picture" : "pictures"} by ${order.body.model} in ${seconds(took)}`);
    keep(entries.map(({ inputs: _, address: __, ...words }) => words), whose).then(actions.kept, () => {}); // without storage there is no gallery, which says so
  }

  function failed(error) {
    waiting.filter((each) => each.classList.contains("waiting")).forEach((each) => each.remove());
    status.textContent = error.name === "AbortError" ? "Stopped" : "Failed";
    fill(foot, error.name === "AbortError"
      ? el("p", { class: "notice" }, "You stopped waiting. What a provider has begun may go on, and may be charged.")
      : problem(error, order, inputs, actions));
    say(error.name === "AbortError" ? "Stopped" : `Failed: ${error.message}`);
  }

  async function work(signal) {
    const began = performance.now();
    const clock = setInterval(() => {
      status.textContent = `${pictures.length ? `${pictures.length} of ${wanted} · ` : ""}${seconds((performance.now() - began) / 1000)}`;
    }, 200);
    try {
      for await (const told of make(order, inputs, signal)) {
        if (told.kind === "partial") partial(told);
        if (told.kind === "picture") shown(told.picture);
        if (told.kind === "ended") {
          clearInterval(clock);
          ended(told.metadata, told.seconds);
        }
      }
    } catch (error) {
      clearInterval(clock);
      failed(error);
      if (error.wantsKey) actions.refused(error);
    } finally {
      over = true;
      if (released) free();
    }
  }

  function free() {
    for (const each of addresses.splice(0)) URL.revokeObjectURL(each);
  }

  // What is still being made comes all the same, and is remembered: its pictures are let go of when it is over.
  const release = () => ((released = true), over && free());
  return { node, work, release };
}

function tile([width, height]) {
  const node = el("li", { class: "tile waiting" }, el("span", { class: "visually-hidden" }, "Being made"));
  node.style.setProperty("--ratio", `${width / height}`);
  return node;
}

function dress(node, entry, actions) {
  if (!node) return;
  const picture = node.querySelector("button.picture");
  picture.disabled = false;
  picture.addEventListener("click", () => actions.view(entry));
  node.append(
    el("div", { class: "caption" },
      el("span", { class: "small muted numbers" }, `${entry.size.replace("x", " × ")} ${entry.format.toUpperCase()}${entry.seed === null ? "" : ` · seed ${entry.seed}`}`),
      el("div", { class: "tools" }, tools(entry, actions))),
  );
}

/** What can be done with a picture, as buttons. */
export function tools(entry, actions, named = false) {
  const button = (name, label, act, dataset = {}) => el("button", { type: "button", dataset, class: named ? "button" : "button quiet square tiny", "aria-label": named ? null : label, title: named ? null : label, on: { click: act } }, icon(name), named && label);
  const varies = !entry.names.length || entry.inputs;
  return [
    button("download", "Download", () => actions.download(entry)),
    button("edit", "Edit this picture", () => actions.edit(entry)),
    varies && button("vary", "Variations", () => actions.vary(entry), { buys: "" }),
    !named && button("more", "Details", () => actions.view(entry)),
  ];
}

function problem(error, order, inputs, actions) {
  const where = [error.param && `parameter ${error.param}`, error.code ?? error.type, error.status >= 400 && `status ${error.status}`, error.requestId].filter(Boolean);
  return el(
    "div",
    { class: "notice bad", role: "alert" },
    el("strong", {}, title(error)),
    el("p", {}, error.message),
    where.length > 0 && el("p", { class: "small muted mono" }, where.join(" · ")),
    el("div", { class: "row" },
      error.wantsKey
        ? el("button", { type: "button", class: "button tiny", on: { click: () => actions.refused(error) } }, "Enter a key")
        : !error.param && el("button", { type: "button", dataset: { buys: "" }, class: "button tiny", on: { click: () => actions.again([error.untold ? order : anew(order)], inputs) } }, "Try again")),
  );
}

// After a failure that was told another try is another request.
const anew = ({ token: _, ...order }) => order;

const TITLES = {
  invalid_api_key: "The gateway asks for a key",
  model_not_allowed: "This key may not use the model",
  moderation_blocked: "Refused because of its content",
  budget_exceeded: "The key's budget is spent",
  unpriced_route: "Without a price, and the key has a budget",
  rate_limit_exceeded: "Too many requests for this key",
  upstream_busy: "The provider is busy",
  upstream_unavailable: "No provider is reachable",
  outcome_unknown: "Nobody knows what became of it",
  generation_timeout: "It took too long",
  overloaded: "The gateway is busy",
  draining: "The gateway is being restarted",
  unsupported_parameter: "Strict: this cannot be done exactly as asked",
};

function title(error) {
  if (TITLES[error.code]) return TITLES[error.code];
  if (error.lost) return "Connection lost";
  if (error.status === 0) return "No connection";
  const refused = error.status < 400 ? error.type === "invalid_request_error" : error.status < 500;
  return refused ? "The request was refused" : "No picture came";
}

