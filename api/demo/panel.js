// Count the answers of each layer since the page was opened. Only answers about titles count, because
// /home is drawn anew every time and has no layer.
import { answers, CLICK, HOVER } from "./client.js";
import { byId, make } from "./dom.js";
import { count, several } from "./text.js";

const LAYERS = [
  ["near", "Near", "in the process itself"],
  ["redis", "Redis", "shared by all processes"],
  ["store", "Store", "read for this answer"],
  ["collapsed", "Joined", "a read that was under way"],
  ["stale", "Stale", "past its time, the store being away"],
];
const SAMPLES = 199; // of each layer; the latest

const seen = new Map(
  LAYERS.map(([layer, name, note]) => [layer, { count: 0, micros: [], ...rows(layer, name, note) }]),
);
const total = { answers: 0, hits: 0, unchanged: 0, shed: 0, gone: 0, failed: 0, clicks: 0, hovers: 0 };
let drawing = false;

function rows(layer, name, note) {
  const cell = (className) => make("td", { className });
  const dot = () => make("i", { className: "dot", data: { layer } });
  const [number, share, median] = [cell("number"), cell("share"), cell("number")];
  const bar = make("span", { className: "bar", data: { layer } });
  share.append(bar);
  const head = make("th", { scope: "row" }, dot(), name, make("small", { textContent: ` ${note}` }));
  byId("layers").append(make("tr", { data: { layer } }, head, number, share, median));
  const part = make("span", { data: { layer } });
  byId("stack").append(part);
  const figure = make("b");
  const legend = make("span", { hidden: true }, dot(), `${name} `, figure);
  byId("legend").append(legend);
  return { number, bar, median, part, figure, legend };
}

answers.addEventListener("answer", ({ detail: { served, urgency } }) => {
  total.answers += 1;
  total.hits += served.isHit ? 1 : 0;
  total.unchanged += served.notModified ? 1 : 0;
  total.clicks += urgency === CLICK ? 1 : 0;
  total.hovers += urgency === HOVER ? 1 : 0;
  const layer = seen.get(served.layer);
  if (layer) {
    layer.count += 1;
    if (served.micros !== null) layer.micros.push(served.micros);
    if (layer.micros.length > SAMPLES) layer.micros.shift();
  }
  draw();
});

answers.addEventListener("refusal", ({ detail: { error } }) => {
  total[error.isGone ? "gone" : error.isShed ? "shed" : "failed"] += 1;
  draw();
});

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    for (const layer of seen.values()) drawLayer(layer);
    byId("ratio").textContent = total.answers ? percent(total.hits) : "–";
    byId("answers").textContent = count(total.answers);
    byId("besides").textContent = besides();
  });
}

function drawLayer(layer) {
  const share = total.answers ? layer.count / total.answers : 0;
  layer.number.textContent = layer.figure.textContent = count(layer.count);
  layer.legend.hidden = layer.count === 0;
  layer.bar.style.setProperty("--share", String(share));
  layer.part.style.setProperty("flex-grow", String(share));
  layer.median.textContent = layer.micros.length ? `${count(median(layer.micros))} µs` : "–";
}

const percent = (part) => `${((100 * part) / total.answers).toFixed(1)} %`;

function median(numbers) {
  return [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)];
}

function besides() {
  const glances = total.answers - total.clicks - total.hovers;
  const [clicks, hovers] = [several(total.clicks, "click"), several(total.hovers, "hover")];
  const asked = `Asked by ${clicks}, ${hovers} and ${several(glances, "title")} in view.`;
  const others = [
    [total.unchanged, "not modified (304)"],
    [total.shed, "refused as busy (503)"],
    [total.gone, "no longer there (404)"],
    [total.failed, "failed"],
  ].filter(([number]) => number);
  const also = others.map(([number, what]) => `${count(number)} ${what}`).join(", ");
  return also ? `${asked} ${also}.` : asked;
}

draw();
