// What this browser made, newest first. Only what can be seen is in the page and in memory, however many there are.

import { el, fill, find, settled, say } from "./dom.js";
import { ago } from "./format.js";
import { forget, ids, recall } from "./kept.js";

const LEAST_WIDTH = 168;
const GAP = 14;
const CAPTION = 46;
const BEYOND = 2; // rows above and below what is seen

/** The gallery; `open(entry)` shows one picture. */
export function gallery(open) {
  const grid = find("#gallery-grid");
  const empty = find("#gallery-empty");
  const search = find("#gallery-search");
  const about = find("#gallery-about");
  const cells = new Map(); // id -> {node, address}
  let all = [];
  let due = 0;
  let turn = 0;

  async function load() {
    const mine = (turn += 1);
    let found = [];
    let gone = "";
    try {
      found = await ids(search.value);
    } catch {
      gone = "This browser keeps no gallery here: it allows pages no storage.";
    }
    if (mine !== turn) return; // another search was begun since, whose answer may have come first
    all = found;
    [...cells.keys()].forEach(drop);
    const searching = search.value.trim() !== "";
    about.textContent = all.length ? `${all.length} ${all.length === 1 ? "picture" : "pictures"}, remembered by this browser alone. The gateway keeps the pictures themselves until they expire.` : "";
    empty.hidden = all.length > 0;
    fill(empty, el("p", {}, gone || (searching ? "No prompt holds these words." : "Nothing here yet. Pictures that you make are remembered by this browser.")));
    find("#gallery-clear").hidden = !all.length || searching;
    draw();
    if (searching) say(`${all.length} found`);
  }

  function measures() {
    const width = grid.clientWidth;
    const columns = Math.max(2, Math.floor((width + GAP) / (LEAST_WIDTH + GAP)));
    const side = (width - GAP * (columns - 1)) / columns;
    return { columns, side, row: side + CAPTION + GAP };
  }

  function draw() {
    due = 0;
    if (!grid.clientWidth) return;
    const { columns, side, row } = measures();
    grid.style.setProperty("height", `${Math.ceil(all.length / columns) * row}px`);
    const top = -grid.getBoundingClientRect().top;
    const first = Math.max(0, (Math.floor(top / row) - BEYOND) * columns);
    const last = Math.min(all.length, (Math.ceil((top + innerHeight) / row) + BEYOND) * columns);
    const seen = new Set(all.slice(first, last));
    const focused = [...cells].find(([, cell]) => cell.node.contains(document.activeElement))?.[0];
    for (const id of cells.keys()) if (!seen.has(id) && id !== focused) drop(id);
    let before = null;
    for (let place = first; place < last; place += 1) {
      const cell = cells.get(all[place]) ?? add(all[place], place);
      if (cell.node.previousSibling !== before && before) before.after(cell.node);
      before = cell.node;
      const [x, y] = [(place % columns) * (side + GAP), Math.floor(place / columns) * row];
      cell.node.style.setProperty("transform", `translate(${x}px, ${y}px)`);
      cell.node.style.setProperty("width", `${side}px`);
      cell.node.style.setProperty("--side", `${side}px`);
    }
  }

  function add(id, place) {
    const node = el("li", { class: "cell", "aria-setsize": all.length, "aria-posinset": place + 1 });
    const cell = { node, address: null };
    cells.set(id, cell);
    grid.append(node);
    recall(id).then((entry) => {
      if (!entry || cells.get(id) !== cell) return;
      cell.address = entry.address = URL.createObjectURL(entry.thumb);
      const [until, when] = [entry.expires ? `The link is good until ${new Date(entry.expires).toLocaleString()}` : null, `${ago(entry.made)}${expiry(entry)}`];
      fill(node,
        el("button", { type: "button", class: "picture", "aria-label": `Open: ${entry.prompt.slice(0, 120)}`, on: { click: () => open({ ...entry, address: URL.createObjectURL(entry.thumb) }) } },
          el("img", { src: cell.address, alt: "", decoding: "async" })),
        el("div", { class: "cell-caption" }, el("span", { class: "clip", title: entry.prompt }, entry.prompt), el("span", { class: "clip small muted", title: until }, when)));
    });
    return cell;
  }

  function drop(id) {
    const cell = cells.get(id);
    cell.node.remove();
    if (cell.address) URL.revokeObjectURL(cell.address);
    cells.delete(id);
  }

  const soon = () => (due ||= requestAnimationFrame(draw));
  addEventListener("scroll", soon, { passive: true });
  new ResizeObserver(soon).observe(grid);
  search.addEventListener("input", settled(200, load));
  find("#gallery-clear").addEventListener("click", () => find("#sure").showModal());
  find("#sure").addEventListener("close", async (event) => {
    if (event.target.returnValue !== "yes") return;
    await forget();
    await load();
    say("Gallery cleared");
  });

  return { load, unload: () => [...cells.keys()].forEach(drop) };
}

function expiry(entry) {
  if (!entry.expires) return "";
  const minutes = Math.ceil((entry.expires - Date.now()) / 60_000);
  return minutes <= 0 ? " · link expired" : ` · ${minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`} left`;
}
