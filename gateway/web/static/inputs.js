// Pictures to start from: chosen, dropped or pasted; the first may carry a mask.

import { el, fill, find, say } from "./dom.js";
import { icon } from "./icons.js";

const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"];

/** The place for pictures. `changed` is called when they change, `paint(input)` to draw a mask on one. */
export function inputs({ changed, paint }) {
  const list = find("#inputs-list");
  const file = find("#inputs-file");
  const hint = find("#inputs-hint");
  const drop = find("#drop");
  let held = []; // {blob, name, url, width, height, mask, standIn}

  function shown() {
    hint.hidden = held.length > 0;
    fill(list, held.map(thumb));
    changed();
  }

  function thumb(input, place) {
    return el(
      "li",
      { class: "thumb" },
      el("img", { src: input.url, alt: input.name }),
      place === 0 && el("button", { type: "button", class: "button tiny", "aria-pressed": String(Boolean(input.mask)), on: { click: () => paint(input).then(shown) } },
        icon("brush"), input.mask ? "Mask set" : "Mask"),
      el("button", { type: "button", class: "button square tiny remove", "aria-label": `Remove ${input.name}`, title: "Remove", on: { click: () => remove(input) } }, icon("close")),
    );
  }

  function remove(input) {
    URL.revokeObjectURL(input.url);
    held = held.filter((each) => each !== input);
    shown();
    find("#inputs-add").focus();
    say("Picture removed");
  }

  async function add(files) {
    const problems = [];
    for (const blob of files) {
      const input = await opened(blob);
      if (input) held.push(input);
      else problems.push(blob.name || "one picture");
    }
    shown();
    hint.textContent = problems.length ? `Not a picture that this browser can open: ${problems.join(", ")}` : "Drop, paste or add pictures to edit them.";
    if (problems.length) hint.hidden = false;
    else say(`${held.length} ${held.length === 1 ? "picture" : "pictures"} to start from`);
  }

  find("#inputs-add").addEventListener("click", () => file.click());
  file.addEventListener("change", () => add([...file.files]).then(() => (file.value = "")));
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((each) => TYPES.includes(each.type));
    if (!files.length) return;
    event.preventDefault();
    add(files);
  });
  let depth = 0; // enter and leave come for each element on the way
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragenter", (event) => carries(event) && ((depth += 1), (drop.hidden = false)));
  document.addEventListener("dragleave", (event) => carries(event) && (depth -= 1) <= 0 && (drop.hidden = true));
  document.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth = 0;
    drop.hidden = true;
    add([...event.dataTransfer.files]);
  });

  return {
    add,
    /** In place of those that are there. */
    set(files) {
      held.forEach((each) => URL.revokeObjectURL(each.url));
      held = [];
      return add(files);
    },
    all: () => held,
  };
}

async function opened(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    return null;
  }
  const { width, height } = bitmap;
  bitmap.close();
  return { blob, name: blob.name || `picture.${(blob.type.split("/")[1] ?? "png").replace("jpeg", "jpg")}`, url: URL.createObjectURL(blob), width, height, mask: null, standIn: null };
}

/**
 * A blank picture of the same pixels. What a plan says depends on how large a picture is, not on what it shows, so that
 * no picture travels at each key that is pressed.
 */
export async function standIn(input) {
  input.standIn ??= await blank(input.width, input.height);
  return input.standIn;
}

function blank(width, height) {
  const canvas = el("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#888";
  context.fillRect(0, 0, width, height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
