// Count the latest answers by layer. Only answers about titles count, because /home is drawn anew
// every time and has no layer. An answer about many titles counts for the slowest layer it needed.
import { answers, CLICK, GLANCE, HOVER } from "./client.js";
import { byId, make } from "./dom.js";
import { known, LAYERS, states } from "./layers.js";
import { count, several, time } from "./text.js";

const LATEST = 500;
const RARE = ["collapsed", "stale"]; // shown once there are any

const latest = []; // {layer, isHit, micros, waitedMs}
const drawn = new Map(LAYERS.map((each) => [each[0], row(...each)]));
const total = { [CLICK]: 0, [HOVER]: 0, [GLANCE]: 0, unchanged: 0, shed: 0, gone: 0, failed: 0 };
let drawing = false;

function row(layer, name, note) {
  const cell = (className) => make("td", { className });
  const cells = { share: cell("share"), took: cell("time"), waited: cell("time") };
  const bar = make("span", { className: "bar", data: { layer } });
  const percent = make("span");
  cells.share.append(make("div", {}, bar, percent));
  const state = make("small");
  const dot = make("i", { className: "dot", data: { layer } });
  const more = make("span", { className: "wide", textContent: note ? ` (${note})` : "" });
  const head = make("th", { scope: "row" }, dot, name, more, state);
  const line = make("tr", { data: { layer } }, head, ...Object.values(cells));
  byId("layers").append(line);
  const part = make("span", { data: { layer } });
  byId("stack").append(part);
  return { ...cells, bar, percent, part, line, state };
}

answers.addEventListener("answer", ({ detail: { served, urgency } }) => {
  latest.push(served);
  if (latest.length > LATEST) latest.shift();
  total[urgency] += 1;
  total.unchanged += served.notModified ? 1 : 0;
  draw();
});

answers.addEventListener("refusal", ({ detail: { error } }) => {
  total[error.isGone ? "gone" : error.isShed ? "shed" : "failed"] += 1;
  draw();
});

states.addEventListener("change", () => {
  for (const [layer, { line, state }] of drawn) {
    const word = known[layer] ?? "up";
    line.dataset.state = word;
    state.textContent = word === "up" ? "" : ` ${word}`;
  }
});

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    for (const [layer, parts] of drawn) drawLayer(layer, parts);
    const hits = latest.filter(({ isHit }) => isHit).length;
    byId("hits").hidden = total[CLICK] + total[HOVER] === 0;
    byId("ratio").textContent = latest.length ? percent(hits) : "";
    byId("answers").textContent = count(latest.length);
    byId("answers-word").textContent = latest.length === 1 ? "answer" : "answers";
    byId("besides").textContent = besides();
  });
}

function drawLayer(layer, { share: cell, bar, percent: label, part, took, waited, line }) {
  const ours = latest.filter((each) => each.layer === layer);
  const share = latest.length ? ours.length / latest.length : 0;
  line.hidden = RARE.includes(layer) && ours.length === 0;
  cell.title = several(ours.length, "answer");
  label.textContent = ours.length ? `${Math.round(100 * share)} %` : "";
  bar.style.setProperty("--share", String(share));
  part.style.setProperty("flex-grow", String(share));
  took.textContent = median(ours.map(({ micros }) => micros && micros / 1000));
  waited.textContent = median(ours.map(({ waitedMs }) => waitedMs));
}

const percent = (part) => `${((100 * part) / latest.length).toFixed(1)} %`;

function median(milliseconds) {
  const sorted = milliseconds.filter((each) => each !== null).sort((one, other) => one - other);
  return sorted.length ? time(sorted[Math.floor(sorted.length / 2)]) : "–";
}

function besides() {
  const [clicks, hovers] = [several(total[CLICK], "click"), several(total[HOVER], "hover")];
  const screens = several(total[GLANCE], "screen");
  const asked = `Asked so far: ${clicks}, ${hovers}, ${screens} of titles.`;
  const others = [
    [total.unchanged, "not modified (304)"],
    [total.shed, "refused as busy (503)"],
    [total.gone, "no longer there (404)"],
    [total.failed, "failed"],
  ].filter(([number]) => number);
  const also = others.map(([number, what]) => `${count(number)} ${what}`).join(", ");
  return also ? `${asked} ${also}.` : asked;
}

const panel = byId("panel");
const toggle = byId("panel-toggle");

// Open the panel where it is a sheet at the foot of the page. Beside a wide page it is always open.
export function openPanel(isOpen) {
  panel.toggleAttribute("data-open", isOpen);
  toggle.setAttribute("aria-expanded", String(isOpen));
  toggle.textContent = isOpen ? "Close" : "Details";
}

toggle.addEventListener("click", () => openPanel(!("open" in panel.dataset)));
addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || !("open" in panel.dataset) || byId("player").open) return;
  openPanel(false);
  if (panel.contains(document.activeElement)) toggle.focus();
});
draw();
