// The share of each layer, second by second, while visitors are sent.
import { answers } from "./client.js";
import { byId } from "./dom.js";
import { LAYERS } from "./layers.js";

const SECONDS = 60; // shown

const chart = byId("chart");
let columns = []; // of each second: answers by layer
let current = {};

answers.addEventListener("answer", ({ detail: { served } }) => {
  current[served.layer] = (current[served.layer] ?? 0) + 1;
});

// Begin anew, because the columns of an earlier time would stand at wrong seconds.
export function clearChart() {
  columns = [];
  current = {};
}

// End a second, and draw it as the latest column.
export function drawChart() {
  columns.push(current);
  current = {};
  if (columns.length > SECONDS) columns.shift();
  const first = SECONDS - columns.length;
  chart.replaceChildren(...columns.flatMap((column, at) => bars(column, first + at)));
  byId("chart-box").hidden = false;
}

function bars(column, x) {
  const all = Object.values(column).reduce((sum, number) => sum + number, 0);
  let top = 1;
  return LAYERS.filter(([layer]) => column[layer]).map(([layer]) => {
    const bar = document.createElementNS(chart.namespaceURI, "rect");
    const height = column[layer] / all;
    top -= height;
    for (const [name, value] of Object.entries({ x, y: top, width: 0.8, height })) {
      bar.setAttribute(name, String(value));
    }
    bar.dataset.layer = layer;
    return bar;
  });
}
