// Line drawings, 24 by 24, in the colour of the text around them.

import { svg } from "./dom.js";

const PATHS = {
  download: "M12 4v11m0 0 4-4m-4 4-4-4M5 19h14",
  edit: "m4 20 1-4L16 5l3 3L8 19z",
  vary: "M4 7h3l10 10h3m0 0-3-3m3 3-3 3M4 17h3l3-3m4-4 3-3h3m0 0-3-3m3 3-3 3",
  more: "M12 8v.01M12 12h.01v4H12.5M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18",
  close: "m6 6 12 12M18 6 6 18",
  dice: "M5 5h14v14H5zM9 9v.01M15 9v.01M9 15v.01M15 15v.01M12 12v.01",
  plus: "M12 5v14M5 12h14",
  brush: "M14 5l5 5-7 7H7v-5zM4 20h16",
  undo: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 6 6",
  stop: "M7 7h10v10H7z",
  reuse: "M5 12a7 7 0 0 1 12-5l2 2m0-5v5h-5M19 12a7 7 0 0 1-12 5l-2-2m0 5v-5h5",
};

/** A drawing by its name, hidden from readers: whatever holds it says in words what it is. */
export function icon(name) {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round",
      "stroke-linejoin": "round", "aria-hidden": "true" },
    svg("path", { d: PATHS[name] }),
  );
}
