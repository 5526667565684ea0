// A mask, painted over a picture: what is painted is what is made anew. By pointer, touch or keyboard.

import { el, fill, find, say } from "./dom.js";
import { icon } from "./icons.js";

const LONGEST = 1024; // pixels of the drawing's longer side; the mask itself has the picture's own
const STEPS_BACK = 30;

/**
 * Paint on `input` ({url, width, height, mask, painted}); resolves when the dialog is closed, the mask being a Blob or
 * null. `keeps`: what is not painted stays as it is.
 */
export function paint(input, keeps) {
  const rest = keeps ? "the rest stays as it is" : "the model is asked to leave the rest";
  const dialog = find("#brush");
  const scale = Math.min(1, LONGEST / Math.max(input.width, input.height));
  const [width, height] = [Math.max(1, Math.round(input.width * scale)), Math.max(1, Math.round(input.height * scale))];
  const canvas = el("canvas", { width, height, tabindex: 0, role: "img", class: "layer", "aria-describedby": "brush-help",
    "aria-label": "The mask. Arrow keys move the brush, space paints" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const ring = el("div", { class: "ring", hidden: true });
  const size = el("input", { id: "brush-size", type: "range", min: 2, max: 40, value: 10, on: { input: () => place() } });
  const erasing = el("button", { type: "button", class: "button", "aria-pressed": "false", on: { click: toggle } }, "Erase");
  const past = [];
  let at = [width / 2, height / 2];
  let down = false;

  if (input.painted) context.drawImage(input.painted, 0, 0);
  context.lineCap = context.lineJoin = "round";

  const radius = () => (Number(size.value) / 100) * Math.max(width, height) * 0.5;

  function toggle() {
    erasing.setAttribute("aria-pressed", String(erasing.getAttribute("aria-pressed") !== "true"));
  }

  function remember() {
    past.push(context.getImageData(0, 0, width, height));
    if (past.length > STEPS_BACK) past.shift();
  }

  function stroke(from, to) {
    context.globalCompositeOperation = erasing.getAttribute("aria-pressed") === "true" ? "destination-out" : "source-over";
    context.strokeStyle = "rgb(230 60 110)";
    context.lineWidth = radius() * 2;
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(to[0] + 0.01, to[1]);
    context.stroke();
  }

  function undo() {
    const before = past.pop();
    if (before) context.putImageData(before, 0, 0);
    say(before ? "Undone" : "Nothing to undo");
  }

  function clear() {
    remember();
    context.clearRect(0, 0, width, height);
    say("Mask cleared");
  }

  function place() {
    const ratio = canvas.clientWidth / width;
    ring.hidden = false;
    ring.style.setProperty("width", `${2 * radius() * ratio}px`);
    ring.style.setProperty("height", `${2 * radius() * ratio}px`);
    ring.style.setProperty("transform", `translate(${at[0] * ratio}px, ${at[1] * ratio}px) translate(-50%, -50%)`);
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    remember();
    down = true;
    at = point(event);
    stroke(at, at);
    place();
  });
  canvas.addEventListener("pointermove", (event) => {
    for (const each of down ? (event.getCoalescedEvents?.() ?? [event]) : []) {
      const next = point(each);
      stroke(at, next);
      at = next;
    }
    at = point(event);
    place();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (down = false));
  canvas.addEventListener("pointerleave", () => (ring.hidden = document.activeElement !== canvas));
  canvas.addEventListener("focus", place);
  canvas.addEventListener("keydown", (event) => {
    const step = Math.max(2, radius() * (event.shiftKey ? 2 : 0.5));
    const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [];
    if (dx !== undefined) {
      const next = [Math.min(width, Math.max(0, at[0] + dx)), Math.min(height, Math.max(0, at[1] + dy))];
      if (event.ctrlKey || event.metaKey) stroke(at, next);
      at = next;
      place();
    } else if (event.key === " ") {
      remember();
      stroke(at, at);
    } else if (event.key === "[" || event.key === "]") {
      size.value = Number(size.value) + (event.key === "]" ? 2 : -2);
      place();
    } else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) undo();
    else return;
    event.preventDefault();
  });

  fill(
    dialog,
    el("div", { class: "inside stack" },
      el("h2", { id: "brush-title" }, "Paint what should change"),
      el("p", { class: "small muted", id: "brush-help" }, `What you paint is made anew; ${rest}. Keyboard: arrows move, space paints, Ctrl with arrows draws, [ and ] change the brush.`),
      el("div", { class: "easel" }, el("div", { class: "sheet" }, el("img", { src: input.url, alt: "" }), canvas, ring)),
      el("div", { class: "row" },
        el("label", { for: "brush-size", class: "label" }, "Brush"), el("span", { class: "slider" }, size), erasing,
        el("button", { type: "button", class: "button", on: { click: undo } }, icon("undo"), "Undo"),
        el("button", { type: "button", class: "button", on: { click: clear } }, "Clear")),
      el("div", { class: "row spread" },
        el("button", { type: "button", class: "button quiet", on: { click: () => dialog.close("cancel") } }, "Cancel"),
        el("button", { type: "button", class: "button primary", id: "brush-done", on: { click: () => dialog.close("done") } }, "Use mask")),
    ),
  );
  find(".sheet", dialog).style.setProperty("aspect-ratio", `${width} / ${height}`);
  find(".sheet", dialog).style.setProperty("--ratio", `${width / height}`);

  return new Promise((resolve) => {
    const closed = async () => {
      if (dialog.returnValue === "done") {
        const any = context.getImageData(0, 0, width, height).data.some((value, place) => place % 4 === 3 && value > 127);
        input.painted = any ? canvas : null;
        input.mask = any ? await cut(canvas, input.width, input.height) : null;
        say(any ? "Mask set" : "No mask");
      }
      fill(dialog);
      resolve();
    };
    dialog.addEventListener("close", closed, { once: true });
    dialog.returnValue = "";
    dialog.showModal();
    canvas.focus();
  });
}

// OpenAI's masks: of the picture's size, transparent where it may change.
function cut(painted, width, height) {
  const mask = el("canvas", { width, height });
  const context = mask.getContext("2d");
  context.fillRect(0, 0, width, height);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(painted, 0, 0, width, height);
  return new Promise((resolve) => mask.toBlob(resolve, "image/png"));
}
